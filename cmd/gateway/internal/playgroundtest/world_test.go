//go:build unix

package playgroundtest

import (
	"bytes"
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

// world is the application with a gateway.
type world struct {
	t       *testing.T
	folder  string
	module  string
	env     []string
	in, out string // host:port of the two kinds
	*greeter
	gateway *testgateway.Gateway
}

// newWorld makes one whose gateway is not started. env are settings.
func newWorld(t *testing.T, env ...string) *world {
	t.Helper()
	w := &world{t: t, folder: t.TempDir(), greeter: serveGreeter(t), env: env}
	w.in, w.out = freeAddr(t), freeAddr(t)
	w.module = filepath.Join(w.folder, "module.yaml")
	text := fmt.Sprintf(`kind: io.statefun.endpoints.v2/http
spec:
  functions: example/*
  urlPathTemplate: %s/statefun
  transport:
    type: io.statefun.transports.v1/async
---
kind: io.statefun.playground.v1/ingress
spec:
  port: %s
---
kind: io.statefun.playground.v1/egress
spec:
  port: %s
  topics:
    - greetings
    - "other topic"
`, w.url, portOf(t, w.in), portOf(t, w.out))
	if err := os.WriteFile(w.module, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	w.gateway = w.newGateway("gateway")
	return w
}

// newGateway is a gateway on the world's store, not started.
func (w *world) newGateway(name string) *testgateway.Gateway {
	return testgateway.New(w.t, w.folder, name, w.env, "--module", w.module, "--store", "sqlite:"+filepath.Join(w.folder, "state.db"))
}

func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := testgateway.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func portOf(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// start starts a gateway and waits until both ports answer.
func (w *world) start(g *testgateway.Gateway) {
	w.t.Helper()
	g.Open()
	w.opened(w.in)
	w.opened(w.out)
}

func (w *world) opened(addr string) {
	w.t.Helper()
	testgateway.Poll(w.t, addr+" to be open", func() (bool, string) {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			return false, err.Error()
		}
		_ = conn.Close()
		return true, ""
	})
}

// answer is what curl shows.
type answer struct {
	code   int
	status string // the header of this name
	body   string
}

// curl runs the words of a command line, {in} and {out} being the ports; without curl on the machine the test does not run.
func (w *world) curl(words ...string) answer {
	w.t.Helper()
	a, err := w.tryCurl(words...)
	if err != nil {
		w.t.Fatalf("curl %q: %v", words, err)
	}
	return a
}

// tryCurl answers the error of a curl that has none.
func (w *world) tryCurl(words ...string) (a answer, err error) {
	w.t.Helper()
	path, err := exec.LookPath("curl")
	if err != nil {
		w.t.Skip("no curl")
	}
	for i := range words {
		words[i] = strings.NewReplacer("{in}", w.in, "{out}", w.out).Replace(words[i])
	}
	cmd := exec.Command(path, append([]string{"--silent", "--show-error", "--max-time", "60", "--write-out", "\n%{http_code} %header{status}"}, words...)...)
	var out, problems bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return a, fmt.Errorf("%w: %s", err, &problems)
	}
	at := strings.LastIndexByte(out.String(), '\n')
	a.body = out.String()[:at]
	if _, err := fmt.Sscan(out.String()[at+1:], &a.code, &a.status); err != nil {
		return a, fmt.Errorf("%q: %w", &out, err)
	}
	return a, nil
}

// greet sends an event as the walk-through of the playground does.
func (w *world) greet(id, name string) answer {
	w.t.Helper()
	return w.curl("-X", "PUT", "-H", "Content-Type: application/vnd.example/GreetRequest", "-d", fmt.Sprintf(`{"name": %q}`, name), "{in}/example/person/"+id)
}

// must fails the test when the answer is not 200 as the playground says it.
func (w *world) must(a answer) {
	w.t.Helper()
	if a.code != http.StatusOK || a.status != "200" {
		w.t.Fatalf("answered %+v", a)
	}
}

// fetch takes the next record of a topic, and waits for one.
func (w *world) fetch(topic string) (body string) {
	w.t.Helper()
	testgateway.Poll(w.t, "a record of "+topic, func() (bool, string) {
		a := w.curl("-X", "GET", "{out}/"+topic)
		if a.code == http.StatusOK {
			body = a.body
			return true, ""
		}
		if a.code != http.StatusNotFound || a.status != "404" || a.body != "" {
			w.t.Fatalf("answered %+v", a)
		}
		return false, "nothing"
	})
	return body
}

// nothing fails the test when a topic has a record.
func (w *world) nothing(topic string) {
	w.t.Helper()
	if a := w.curl("{out}/" + topic); a.code != http.StatusNotFound || a.body != "" || a.status != "404" {
		w.t.Errorf("topic %s: %+v, want nothing", topic, a)
	}
}
