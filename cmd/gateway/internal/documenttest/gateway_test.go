//go:build unix

package documenttest

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

// callCart: the function answers a request as it answers any caller. localhost:8080 is where the gateway of the test listens.
func callCart(t *testing.T, line string) {
	need(t, "curl")
	s := newShop(t)
	g := s.open()
	if got, want := shell(t, s.folder, replace(t, line, "localhost:8080", g.events)), receipt(1, "io.statefun.types/string", "pen"); got != want {
		t.Errorf("answered %s, want %s", got, want)
	}
	g.Stop()
}

// callOnce: sent again, it has the same reply and no further effect. localhost:8080 is where the gateway of the test listens.
func callOnce(t *testing.T, line string) {
	need(t, "curl")
	s := newShop(t)
	g := s.open()
	line = replace(t, line, "localhost:8080", g.events)
	want := receipt(1, "io.stategate.types/json", `{"sku":"A1"}`)
	for n := range 3 {
		if got := shell(t, s.folder, line); got != want {
			t.Errorf("%d: answered %s, want %s", n, got, want)
		}
	}
	if _, got := g.post("/v1/call/shop/cart/ada", "pen"); got != receipt(2, "io.statefun.types/string", "pen") {
		t.Errorf("the next item is answered %s, want the second", got)
	}
	g.Stop()
}

// refuse sends what the function cannot use, and waits until the admin side says at path what it makes of it.
func (s *shop) refuse(g *gateway, function, path string) {
	s.t.Helper()
	if code, body := g.post("/v1/send/"+function+"/ada", refusal); code != 202 {
		s.t.Fatalf("the event is answered %d %s", code, body)
	}
	testgateway.Poll(s.t, path+" to tell of it", func() (bool, string) {
		_, body, err := g.Get(path)
		return strings.Contains(string(body), refusal), fmt.Sprint(string(body), err)
	})
}

// askDeadLetters: where the endpoint says onFailure: deadLetter, what its function keeps failing on is set aside, with where it came from and
// why. 127.0.0.1:8081 is the admin side of the gateway of the test.
func askDeadLetters(t *testing.T, line string) {
	need(t, "curl")
	s := newShop(t)
	g := s.open()
	s.refuse(g, "shop/stock", "/v1/deadletters")
	said := shell(t, s.folder, replace(t, line, "127.0.0.1:8081", g.admin))
	var got struct {
		Items []struct {
			Kind, From, Detail, TypeName, Value string
			Address                             struct{ Namespace, Name, ID string }
		}
	}
	if err := json.Unmarshal([]byte(said), &got); err != nil || len(got.Items) != 1 {
		t.Fatalf("want one dead letter, got %v in %s", err, said)
	}
	d := got.Items[0]
	if from := d.Address.Namespace + "/" + d.Address.Name + "/" + d.Address.ID; from != "shop/stock/ada" || d.Kind != "message" {
		t.Errorf("a %s of %s was set aside, want a message of shop/stock/ada", d.Kind, from)
	}
	if !strings.Contains(d.Detail, "the item is "+refusal) || d.TypeName != "io.statefun.types/string" || !strings.Contains(d.Value, refusal) {
		t.Errorf("what was set aside, or why, is not in %s", said)
	}
	g.Stop()
}

// askAddress: with the default of onFailure an address waits for the message that its function fails on; what it has and why it waits can be
// asked for. 127.0.0.1:8081 is the admin side of the gateway of the test.
func askAddress(t *testing.T, line string) {
	need(t, "curl")
	s := newShop(t)
	g := s.open()
	if code, body := g.post("/v1/call/shop/cart/ada", "pen"); code != 200 {
		t.Fatalf("the first item is answered %d %s", code, body)
	}
	s.refuse(g, "shop/cart", "/v1/addresses/shop/cart/ada")
	said := shell(t, s.folder, replace(t, line, "127.0.0.1:8081", g.admin))
	var got struct {
		State []struct {
			Name, TypeName, Value string
		}
		Mailbox struct {
			Messages int
		}
		LastError string
	}
	if err := json.Unmarshal([]byte(said), &got); err != nil {
		t.Fatalf("%v in %s", err, said)
	}
	one := base64.StdEncoding.EncodeToString([]byte{0, 0, 0, 0, 0, 0, 0, 1})
	if len(got.State) != 1 || got.State[0].Name != "items" || got.State[0].TypeName != "shop/count" || got.State[0].Value != one {
		t.Errorf("want the state items of one item, got %s", said)
	}
	if got.Mailbox.Messages != 1 || !strings.Contains(got.LastError, "the item is "+refusal) {
		t.Errorf("want one message that waits and the function's complaint, got %s", said)
	}
	g.Stop()
}

// runTwo: of two gateways that are started by the command one works; the other waits, passes requests on, and takes over. The store is the
// database of the test's PostgreSQL. As both are on one machine, each has places of its own to listen, by the environment.
func runTwo(t *testing.T, line string) {
	need(t)
	line = replace(t, line, "postgres://gateway@db.internal/app", "'"+testserver.Postgres(t).URL()+"'")
	s := newShop(t)
	start := func(name string) *gateway {
		g := s.newGateway(name)
		g.Program = "bash"
		g.Args = []string{"-c", fmt.Sprintf("STATEGATE_ADMIN=%s STATEGATE_LISTEN=%s exec %s", g.admin, g.events, line)}
		g.Start()
		return g
	}
	first := start("first")
	first.Until("active", testgateway.IsActive)
	second := start("second")
	second.Until("standby", testgateway.IsStandby)
	s.answers(second)
	if code, body := second.post("/v1/call/shop/cart/ada", "pen"); code != 200 || body != receipt(1, "io.statefun.types/string", "pen") {
		t.Errorf("the one that waits answers %d %s", code, body)
	}
	first.Until("active", testgateway.IsActive)
	first.Stop()
	second.Until("active", testgateway.IsActive)
	s.answers(second)
	if code, body := second.post("/v1/call/shop/cart/ada", "pen"); code != 200 || body != receipt(2, "io.statefun.types/string", "pen") {
		t.Errorf("the one that has taken over answers %d %s", code, body)
	}
	second.Stop()
}
