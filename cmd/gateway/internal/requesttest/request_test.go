//go:build unix

package requesttest

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

func count(n int, typeName string) string { return fmt.Sprintf(`{"n":%d,"type":%q}`, n, typeName) }

// TestRequests goes through what can be asked.
func TestRequests(t *testing.T) {
	w := newWorld(t)
	g := w.newGateway("gateway").active(t)
	for n, c := range []struct {
		path, body, header string
		code               int
		want               string
	}{
		{"/v1/send/shop/cart/a", "x", "", 202, ""},
		{"/v1/call/shop/cart/a", "x", "", 200, count(2, "io.stategate.types/bytes")},
		{"/v1/call/shop/cart?id=a", "x", "Content-Type: text/plain", 200, count(3, "io.statefun.types/string")},
		{"/carts/a/items", "{", "Content-Type: application/json", 200, count(4, "shop/AddItem")},
		{"/v1/call/shop/cart/a%2Fb", "{}", "Content-Type: application/json", 200, count(1, "io.stategate.types/json")},
		{"/v1/call/shop/cart?id=", "", "Stategate-Type: any/type", 200, count(1, "any/type")},
		{"/v1/call/shop/relay/a", "", "", 200, "answered by another"},
		{"/v1/call/shop/answer/a", "", "", 504, "takes effect once"},
		{"/v1/call/shop/fail/a", "", "", 504, "its function fails on what waits"},
		{"/v1/call/other/cart/a", "", "", 404, "cannot be reached"},
		{"/v1/call/io.stategate/reply/a", "", "", 404, "cannot be reached"},
		{"/v1/send/shop/cart/a", strings.Repeat("x", 1<<20+1), "", 413, "maxBodySize"},
	} {
		var headers []string
		if c.header != "" {
			headers = []string{c.header}
		}
		got := g.post(c.path, c.body, headers...)
		if got.code != c.code || !strings.Contains(got.body, c.want) {
			t.Errorf("%d: %s is answered %d %s, want %d %s", n, c.path, got.code, got.body, c.code, c.want)
		}
		if got.code == 200 && got.head.Get("Stategate-Type") == "" {
			t.Errorf("%d: %s is answered without its type: %v", n, c.path, got.head)
		}
	}
	if got := g.Samples().Sum("stategate_dead_letters", nil); got != 0 {
		t.Errorf("%v dead letters", got)
	}
	g.Stop()
}

// TestSetAside: whoever waits for the reply of an event that is set aside is told so, long before the time is over.
func TestSetAside(t *testing.T) {
	w := newWorld(t)
	g := w.newGateway("gateway").active(t)
	got := g.post("/v1/call/strict/fail/a", "x")
	if got.code != 502 || !strings.Contains(got.body, "set aside") || !strings.Contains(got.body, "no effect") {
		t.Errorf("answered %d %s", got.code, got.body)
	}
	if got := g.Samples().Sum("stategate_dead_letters", nil); got != 1 {
		t.Errorf("%v dead letters", got)
	}
	g.Stop()
}

// TestDelays: an event comes when it is due, also after a stop; one that was cancelled does not, nor one that another one has replaced.
func TestDelays(t *testing.T) {
	w := newWorld(t)
	g := w.newGateway("gateway").active(t)
	for _, path := range []string{"/v1/send/shop/cart/a?delay=1ms", "/v1/send/shop/cart/b?delay=1h&token=t", "/v1/send/shop/cart/c?delay=1h&token=t", "/v1/send/shop/cart/b?delay=600ms&token=t"} {
		if got := g.post(path, "x"); got.code != 202 {
			t.Fatalf("%s is answered %+v", path, got)
		}
	}
	if got := g.do("DELETE", "/v1/send/shop/cart/c?token=t", ""); got.code != 204 {
		t.Fatalf("the cancellation is answered %+v", got)
	}
	g.Stop()
	g.active(t)
	for seen := map[string]bool{}; !seen["a"] || !seen["b"]; {
		seen[<-w.seen] = true
	}
	for id, want := range map[string]int{"a": 2, "b": 2, "c": 1} {
		if got := g.post("/v1/call/shop/cart/"+id, ""); got.body != count(want, "io.stategate.types/bytes") {
			t.Errorf("%s is answered %s, want %d", id, got.body, want)
		}
	}
	if status, timers, err := g.Get("/v1/timers"); err != nil || status != 200 || !strings.Contains(string(timers), `"items": []`) {
		t.Errorf("what was replaced and what was cancelled wait still: %d %s, %v", status, timers, err)
	}
}

// TestStop: a request that waits when its gateway is told to stop is answered.
func TestStop(t *testing.T) {
	w := newWorld(t)
	g := w.newGateway("gateway").active(t)
	w.block()
	got := make(chan answer, 1)
	go func() { got <- g.post("/v1/call/shop/cart/a", "") }()
	<-w.seen
	stopped := make(chan struct{})
	go func() { defer close(stopped); g.Stop() }()
	testgateway.Poll(t, "the gateway to stop", func() (bool, string) {
		a := g.post("/v1/send/shop/cart/b", "")
		return a.code == 503 || a.code == 0, fmt.Sprint(a)
	})
	w.release()
	if a := <-got; a.code != 200 || a.body != count(1, "io.stategate.types/bytes") {
		t.Errorf("answered %+v", a)
	}
	<-stopped
}

// TestStandby: one that waits passes requests on to the one that works, and answers them itself when that one has died.
func TestStandby(t *testing.T) {
	w := newWorld(t)
	first := w.newGateway("first").active(t)
	second := w.newGateway("second")
	second.Start()
	second.Until("standby", testgateway.IsStandby)
	second.opened(t)
	if got := second.post("/v1/call/shop/cart/a%2Fb", "x"); got.code != 200 || got.body != count(1, "io.stategate.types/bytes") {
		t.Fatalf("passed on, it is answered %+v", got)
	}
	w.block()
	waits := make(chan answer, 1)
	go func() { waits <- second.post("/v1/call/shop/cart/c", "") }()
	for <-w.seen != "c" {
	}
	first.Kill()
	if got := <-waits; got.code != 502 || !strings.Contains(got.body, "not known") {
		t.Errorf("when the one that works dies, a request is answered %+v", got)
	}
	w.release()
	testgateway.Poll(t, "the second to answer", func() (bool, string) {
		got := second.post("/v1/call/shop/cart/a%2Fb", "x")
		if got.code != 200 && got.code != 503 && got.code != 502 {
			t.Errorf("meanwhile a request is answered %+v", got)
		}
		return got.code == 200 && got.body == count(2, "io.stategate.types/bytes"), fmt.Sprint(got)
	})
	second.Until("active", testgateway.IsActive)
}

// TestKilled: what was answered is durable: a count that a request was told is never told again, whatever died in between.
func TestKilled(t *testing.T) {
	w := newWorld(t)
	g := w.newGateway("gateway").active(t)
	told, last := 0, 0
	for life := range 3 {
		answers, stop := make(chan answer), make(chan struct{})
		ended := make(chan struct{})
		for range 4 {
			go func() {
				defer func() { ended <- struct{}{} }()
				for {
					a := g.post("/v1/call/shop/cart/a", "")
					select {
					case answers <- a:
					case <-stop:
						return
					}
				}
			}()
		}
		seen := map[string]bool{}
		highest := last
		for len(seen) < 50 {
			a := <-answers
			var n int
			if _, err := fmt.Sscanf(a.body, `{"n":%d`, &n); a.code != 200 || err != nil {
				t.Fatalf("life %d: answered %+v", life, a)
			}
			if seen[a.body] || n <= last {
				t.Fatalf("life %d: count %d was told before (the highest of the lives before is %d)", life, n, last)
			}
			seen[a.body], highest = true, max(highest, n)
		}
		g.Kill()
		close(stop)
		for range 4 {
			<-ended
		}
		told, last = told+len(seen), highest
		g.active(t)
	}
	if told < 150 {
		t.Errorf("%d counts were told", told)
	}
}

// TestWhoMayAsk: an address that others reach is refused without a token or TLS.
func TestWhoMayAsk(t *testing.T) {
	w := newWorld(t)
	g := w.newGateway("open", "--listen", "0.0.0.0:0")
	g.Start()
	testgateway.Poll(t, "it to end", func() (bool, string) { return !g.Process.Runs(), "it runs" })
	if len(g.Logged("--listen-insecure")) == 0 {
		t.Errorf("it has ended, and its log does not tell the remedy: %q", g.Logged(""))
	}
	tokens := w.folder + "/tokens"
	if err := os.WriteFile(tokens, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g = w.newGateway("token", "--listen-token-file", tokens)
	g.Open()
	testgateway.Poll(t, "a request with a token", func() (bool, string) {
		a := g.post("/v1/call/shop/cart/a", "", "Authorization: Bearer two")
		return a.code == http.StatusOK, fmt.Sprint(a)
	})
	if a := g.post("/v1/call/shop/cart/a", "", "Authorization: Bearer three"); a.code != http.StatusUnauthorized {
		t.Errorf("with a token that is none: %+v", a)
	}
}

// TestDev: gateway dev listens, too, and what it says to paste is answered.
func TestDev(t *testing.T) {
	w := newWorld(t)
	log := filepath.Join(w.folder, "dev.log")
	cmd := exec.Command(testgateway.Binary(t), "dev", "--admin", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--module", w.module)
	cmd.Dir, cmd.Env = w.folder, testgateway.CleanEnviron()
	process, err := testgateway.Spawn("dev", log, cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(process.End)
	var g gateway
	testgateway.Poll(t, "what to paste", func() (bool, string) {
		text, err := os.ReadFile(log)
		if err != nil {
			return false, err.Error()
		}
		m := regexp.MustCompile(`'(http://[^/]+)/carts/ada/items'`).FindSubmatch(text)
		if m != nil {
			g.url = string(m[1])
		}
		return m != nil, string(text)
	})
	testgateway.Poll(t, "an answer", func() (bool, string) {
		a := g.post("/carts/ada/items", "{}")
		return a.code == http.StatusOK && a.body == count(1, "shop/AddItem"), fmt.Sprint(a)
	})
	if err := process.Stop(); err != nil {
		t.Error(err)
	}
}
