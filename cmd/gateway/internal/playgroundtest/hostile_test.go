//go:build unix

package playgroundtest

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// TestHostileRequests: what cannot be used is refused with what to do, nothing of it happens, and the rest goes on.
func TestHostileRequests(t *testing.T) {
	w := newWorld(t)
	w.start(w.gateway)
	large := filepath.Join(w.folder, "large")
	if err := os.WriteFile(large, make([]byte, 9<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	vendor := "Content-Type: application/vnd.example/GreetRequest"
	for name, c := range map[string]struct {
		words  []string
		code   int
		status string
		tells  string
	}{
		"a function of nobody":  {[]string{"-X", "PUT", "-H", vendor, "-d", "{}", "{in}/other/person/a"}, 404, "404", "no endpoint of the module serves other/person"},
		"no address":            {[]string{"{in}/"}, 404, "404", "curl"},
		"no type":               {[]string{"-X", "PUT", "-H", "Content-Type:", "-d", "{}", "{in}/example/person/a"}, 415, "415", "application/vnd."},
		"too large":             {[]string{"-X", "PUT", "-H", vendor, "--data-binary", "@" + large, "{in}/example/person/a"}, 413, "413", "larger than"},
		"too large, in chunks":  {[]string{"-X", "PUT", "-H", vendor, "-H", "Transfer-Encoding: chunked", "--data-binary", "@" + large, "{in}/example/person/a"}, 413, "413", "larger than"},
		"an id that is no text": {[]string{"-X", "PUT", "-H", vendor, "-d", "{}", "{in}/example/person/%ff%fe"}, 400, "400", "UTF-8"},
		"a topic of nobody":     {[]string{"{out}/nobody"}, 404, "405", "greetings"},
		"a HEAD":                {[]string{"-I", "{out}/greetings"}, 405, "405", ""},
	} {
		if a := w.curl(c.words...); a.code != c.code || a.status != c.status || !strings.Contains(a.body, c.tells) {
			t.Errorf("%s: answered %+v, want %d, %s, %q", name, a, c.code, c.status, c.tells)
		}
	}
	// Outputs that are no records of the module's topics, between two that are.
	record := func(topic, payload string) string {
		text, err := json.Marshal(map[string]string{"topic": topic, "payload": payload})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, c := range [][2]string{
		{egressType, record("greetings", "first")}, {egressType, record("nobody", "x")}, {egressType, "{"}, {"example/Other", record("greetings", "x")},
		{egressType, record("other topic", "aside")}, {egressType, record("greetings", "last")},
	} {
		w.must(w.curl("-X", "PUT", "-H", "Content-Type: application/vnd."+c[0], "-d", c[1], "{in}/example/echo/a"))
	}
	for _, want := range []string{"first", "last"} {
		if got := w.fetch("greetings"); got != want {
			t.Errorf("fetched %q, want %q", got, want)
		}
	}
	if got := w.fetch("other%20topic"); got != "aside" {
		t.Errorf("fetched %q", got)
	}
	status, body, err := w.gateway.Get("/v1/deadletters")
	if err != nil || status != http.StatusOK {
		t.Fatal(status, err)
	}
	for _, reason := range []string{"unknown topic", "no record", "wrong type"} {
		if n := strings.Count(string(body), fmt.Sprintf("%q", reason)); n != 1 {
			t.Errorf("%q is the reason of %d dead letters in %s", reason, n, body)
		}
	}
	w.must(w.greet("Bob", "Bob"))
	if got, want := w.fetch("greetings"), "Hello Bob, visit 1 of Bob"; got != want {
		t.Errorf("greeted %q, want %q", got, want)
	}
	w.gateway.Until("active", testgateway.IsActive)
}

// TestPortTaken: the gateway says so, with the place in the module, and opens the port as soon as it can.
func TestPortTaken(t *testing.T) {
	w := newWorld(t)
	other, err := net.Listen("tcp", w.in)
	if err != nil {
		t.Fatal(err)
	}
	w.gateway.Start()
	w.gateway.Until("degraded", func(r testgateway.Readiness) bool {
		return r.Code == http.StatusOK && r.Says("module.yaml:10:3") && r.Says(w.in)
	})
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	w.opened(w.in)
	w.gateway.Until("whole", func(r testgateway.Readiness) bool { return testgateway.IsActive(r) && len(r.Reasons) == 0 })
	w.must(w.greet("Bob", "Bob"))
	if got, want := w.fetch("greetings"), "Hello Bob, visit 1 of Bob"; got != want {
		t.Errorf("greeted %q, want %q", got, want)
	}
}

// TestCheck: gateway check takes the module, and says where it would listen.
func TestCheck(t *testing.T) {
	w := newWorld(t)
	out, err := exec.Command(testgateway.Binary(t), "check", w.module).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"good", "playground, " + w.in, "playground, " + w.out} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
	if strings.Contains(string(out), "cannot run") {
		t.Errorf("it cannot be run:\n%s", out)
	}
}
