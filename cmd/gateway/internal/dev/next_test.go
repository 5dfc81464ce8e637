package dev

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/module"
)

// pasted answers what a shell makes of a line of next: the words that curl gets, or that it does not get to curl.
func pasted(t *testing.T, line string) (words, trouble string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("bash", "-c", "curl() { printf '%s|' \"$@\"; }\n"+line)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); (err != nil) != (stderr.Len() > 0) {
		t.Fatalf("%s: %v, %q", line, err, &stderr)
	}
	return stdout.String(), stderr.String()
}

// TestLinesToPaste: what is to be pasted reaches a function that the module names, with its type, or is refused by the shell.
func TestLinesToPaste(t *testing.T) {
	const (
		http     = "kind: io.stategate.http.v1/ingress\nspec:\n  id: app/api\n  functions: [%]\n"
		route    = "  routes: [{path: '/visits/{user}', target: app/visits, id: '{user}', valueType: app.types/page}]\n"
		endpoint = "---\nkind: io.statefun.endpoints.v2/http\nspec: {functions: %, urlPathTemplate: 'http://127.0.0.1:1/'}\n"
		play     = "kind: io.statefun.playground.v1/ingress\nspec: {port: 8090}\n"
	)
	put := func(text, function string) string { return strings.ReplaceAll(text, "%", function) }
	for name, c := range map[string]struct{ module, words, trouble string }{
		"a route tells":       {put(http, "app/*") + route + put(endpoint, "app/*"), "-H|Stategate-Type: app.types/page|-d|hello|BASE/v1/call/app/visits/ada|", ""},
		"an endpoint tells":   {put(http, "app/*") + put(endpoint, "app/sum"), "-H|Content-Type: text/plain|-d|hello|BASE/v1/call/app/sum/ada|", ""},
		"the ingress tells":   {put(http, "app/sum") + put(endpoint, "app/*"), "-H|Content-Type: text/plain|-d|hello|BASE/v1/call/app/sum/ada|", ""},
		"not its namespace":   {put(http, "shop/*") + route + put(endpoint, "app/*") + put(endpoint, "shop/*"), "", "NAME: put the name"},
		"nothing tells":       {put(http, "app/*") + put(endpoint, "app/*"), "", "NAME: put the name"},
		"text has its type":   {put(http, "app/*") + strings.Replace(route, "app.types/page", textType, 1) + put(endpoint, "app/*"), "-H|Content-Type: text/plain|-d|hello|BASE/v1/call/app/visits/ada|", ""},
		"odd names":           {put(http, "app/*") + put(endpoint, `"app/{it's 1}"`), "-H|Content-Type: text/plain|-d|hello|BASE/v1/call/app/%7Bit%27s%201%7D/ada|", ""},
		"playground":          {play + put(endpoint, "app/sum"), "-X|PUT|-H|Content-Type: application/vnd.TYPE|-d|hello|http://:8090/app/sum/ada|", ""},
		"playground, nothing": {play + put(endpoint, "app/*"), "", "FUNCTION: put NAMESPACE/NAME"},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "module.yaml")
			if err := os.WriteFile(file, []byte(c.module), 0o644); err != nil {
				t.Fatal(err)
			}
			m, complaints := module.LoadAll([]string{file}, func(string) (string, bool) { return "", false })
			if complaints.HasErrors() {
				t.Fatal(complaints.Errors())
			}
			w := world{module: m}
			w.Admin, w.events = listening(t), listening(t)
			for line := range strings.Lines(w.next()) {
				if !strings.Contains(line, "/v1/call/") && !strings.Contains(line, "-X PUT") {
					continue
				}
				words, trouble := pasted(t, line)
				words = strings.ReplaceAll(words, "http://"+w.events.Addr().String(), "BASE")
				if p := m.PlaygroundIngress; p != nil {
					words = strings.ReplaceAll(words, p.Address(), ":8090")
				}
				if words != c.words || (trouble == "") != (c.trouble == "") || !strings.Contains(trouble, c.trouble) {
					t.Errorf("%sgot %q, %q, want %q, %q", line, words, trouble, c.words, c.trouble)
				}
				return
			}
			t.Errorf("no such line in %s", w.next())
		})
	}
}

func listening(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// TestAnotherPortIsTold: only where it is not the one that was meant.
func TestAnotherPortIsTold(t *testing.T) {
	var out bytes.Buffer
	w := world{screen: newScreen(&out, false)}
	l := listening(t)
	w.moved("--listen", "127.0.0.1:0", l)
	w.moved("--listen", l.Addr().String(), l)
	w.moved("--listen", "", l)
	w.moved("--listen", "127.0.0.1:1", nil)
	w.moved("--listen", "127.0.0.1:1", l)
	w.screen.close()
	if got, want := out.String(), "taken  127.0.0.1:1 is another program's, maybe an earlier gateway dev: --listen is "+l.Addr().String()+" here; end the other one, or give --listen HOST:PORT\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
