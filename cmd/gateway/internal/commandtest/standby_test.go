//go:build unix

package commandtest

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

// TestStandby: one that waits tells what is stored, and of the rest and for every change whom to ask.
func TestStandby(t *testing.T) {
	s, functions := newShop(t)
	g := s.newGateway("first", functions)
	g.Open()
	g.post("/v1/call/shop/cart/ada", "pen")
	waits := s.newGateway("second", functions)
	waits.Start()
	waits.Until("standby", testgateway.IsStandby)
	waits.does("ok, standby", "status")
	waits.does(g.admin(), "members")
	waits.does("items", "state get shop/cart ada")
	waits.does("standby", "addresses show shop/cart ada")
	waits.does("module.yaml:", "module")
	waits.does("--admin", "settings")
	for _, line := range []string{
		"stuck", "functions pause shop/cart", "ingresses pause shop/api", "addresses retry shop/cart ada", "addresses skip shop/cart ada --message 1", "state set shop/cart ada items 3 --force",
		"state delete shop/cart ada items --force", "deadletters replay --function shop/cart --yes", "deadletters replay 1", "deadletters discard --all --yes", "egresses forget shop/receipts --yes",
		"egresses decide shop/receipts --deliver new --yes",
	} {
		waits.refuses(1, g.admin(), line)
	}
	g.Stop()
	waits.Until("active", testgateway.IsActive)
	waits.does("is paused", "functions pause shop/cart")
	waits.Stop()
}

// TestRights: what a token lets its holder do, and that nobody sends it to whom the certificate does not name.
func TestRights(t *testing.T) {
	s, functions := newShop(t)
	write := func(name, text string) string {
		name = filepath.Join(s.folder, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	authority, err := testserver.NewAuthority("authority of the shop")
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := authority.Issue(testserver.Subject{Name: "gateway", Addresses: []net.IP{net.IPv4(127, 0, 0, 1)}})
	if err != nil {
		t.Fatal(err)
	}
	operators, readers := write("operators", "the-token-of-operators\nanother-one-of-theirs\n"), write("readers", "the-token-of-readers\n")
	g := s.newGateway("gateway", functions, "--admin-token-file", operators, "--admin-read-token-file", readers, "--admin-tls-cert", write("tls.crt", string(certificate)), "--admin-tls-key", write("tls.key", string(key)))
	g.Start()
	url, ca := "https://"+g.admin(), write("ca.pem", string(authority.PEM))
	of := func(token string) string { return " --url " + url + " --ca-file " + ca + " --token-file " + token }
	g.until("ok, active", "status"+of(operators))
	g.does("shop/cart", "functions"+of(readers))
	g.does("is paused", "functions pause shop/cart"+of(operators))
	for _, line := range []string{"functions resume shop/cart", "addresses retry shop/cart ada", "state set shop/cart ada items 3 --force --type io.statefun.types/int", "deadletters replay 1", "deadletters discard --all --yes", "log-level debug"} {
		g.refuses(1, "only operators may do this", line+of(readers))
		g.refuses(1, "carries no token that is known", line+of(write("strangers", "somebody-else\n")))
		g.refuses(1, "--ca-file", line+" --url "+url+" --token-file "+operators)
		g.refuses(1, "https", line+" --url http://"+g.admin()+" --token-file "+operators)
	}
	if s := g.call("status", "--url", url, "--ca-file", ca); s.code != 1 || !strings.Contains(s.stdout, ", active") || !strings.Contains(s.stdout, "not known: the request carries no token that is known") {
		t.Errorf("whoever has no token sees the status of probes: %+v", s)
	}
	g.refuses(2, "holds no token", "stuck"+of(write("empty", "\n")))
	g.Stop()
}
