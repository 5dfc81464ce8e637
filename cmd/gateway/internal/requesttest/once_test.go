//go:build unix

package requesttest

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// TestKeys: what has a key takes effect once and is answered with the same, also after a stop; what else is said under it is refused.
func TestKeys(t *testing.T) {
	w := newWorld(t)
	g := w.newGateway("gateway").active(t)
	const key = "Idempotency-Key: key 1"
	one := count(1, "io.stategate.types/bytes")
	for range 3 {
		if got := g.post("/v1/call/shop/cart/a", "x", key); got.code != 200 || got.body != one {
			t.Fatalf("answered %+v", got)
		}
	}
	g.Stop()
	g.active(t)
	for n, c := range []struct {
		path, body string
		code       int
		want       string
	}{
		{"/v1/call/shop/cart/a", "x", 200, one},
		{"/v1/call/shop/cart/a", "y", 422, "another key"},
		{"/v1/send/shop/cart/a", "x", 422, "another key"},
		{"/carts/a/items", "x", 422, "another key"}, // of another type
		{"/v1/call/shop/cart/b", "x", 200, one},     // another address
		{"/v1/send/shop/cart/c", "x", 202, ""},
		{"/v1/send/shop/cart/c", "x", 202, ""},
		{"/v1/call/shop/answer/a", "x", 504, "same Idempotency-Key"}, // which does not answer
		{"/v1/call/shop/answer/a", "x", 504, "same Idempotency-Key"},
		{"/v1/call/other/cart/a", "x", 404, ""},
	} {
		got := g.post(c.path, c.body, key)
		if got.code != c.code || !strings.Contains(got.body, c.want) {
			t.Errorf("%d: %s is answered %+v, want %d %s", n, c.path, got, c.code, c.want)
		}
		if (got.code == 504) != (got.head.Get("Retry-After") != "") {
			t.Errorf("%d: %s has Retry-After %q", n, c.path, got.head.Get("Retry-After"))
		}
	}
	for id, want := range map[string]int{"a": 2, "b": 2, "c": 2} {
		if got := g.post("/v1/call/shop/cart/"+id, "", "Idempotency-Key: at the end"); got.body != count(want, "io.stategate.types/bytes") {
			t.Errorf("%s is answered %+v, want %d", id, got, want)
		}
	}
}

// TestKilledKeys: requests under keys are sent again by their clients, to whichever of two gateways, until they are answered, while the one
// that works is killed again and again. Each takes effect once, and whoever asks again is answered with the same.
func TestKilledKeys(t *testing.T) {
	const clients, keys, kills = 6, 25, 3
	w := newWorld(t)
	first := w.newGateway("first").active(t)
	second := w.newGateway("second")
	second.Start()
	second.Until("standby", testgateway.IsStandby)
	second.opened(t)
	gateways := []*gateway{first, second}

	var mu sync.Mutex
	answers, again, progress := map[string]string{}, 0, make(chan struct{}, clients*keys)
	// ask sends until it is answered, and answers what was.
	ask := func(key string, n int) string {
		for ; ; n++ {
			path := "/v1/call/shop/cart/a"
			got := gateways[n%2].post(path, key, "Idempotency-Key: "+key)
			switch got.code {
			case 200:
				return got.body
			case 0, 502, 503, 504:
				mu.Lock()
				again++
				mu.Unlock()
			default:
				t.Errorf("%s is answered %+v", key, got)
				return got.body
			}
		}
	}
	var wait sync.WaitGroup
	for c := range clients {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for k := range keys {
				key := fmt.Sprintf("client %d key %d", c, k)
				body := ask(key, c+k)
				mu.Lock()
				answers[key] = body
				mu.Unlock()
				progress <- struct{}{}
			}
		}()
	}
	for range kills {
		for range clients * keys / (kills + 1) {
			<-progress
		}
		active, standby := gateways[0], gateways[1]
		if r, err := active.Readiness(); err != nil || !testgateway.IsActive(r) {
			active, standby = standby, active
		}
		active.Kill()
		standby.Until("active", testgateway.IsActive)
		active.Start()
		active.Until("standby", testgateway.IsStandby)
	}
	wait.Wait()
	seen := map[string]string{}
	for key, body := range answers {
		if other, twice := seen[body]; twice {
			t.Errorf("%s and %s are both answered %s", key, other, body)
		}
		seen[body] = key
		if got := ask(key, 0); got != body {
			t.Errorf("%s was answered %s, and again %s", key, body, got)
		}
	}
	if got, want := ask("the last", 0), count(clients*keys+1, "io.stategate.types/bytes"); got != want {
		t.Errorf("%d keys took effect as %s, want %s", clients*keys, got, want)
	}
	t.Logf("%d keys, %d requests sent again", clients*keys, again)
	if again == 0 {
		t.Error("no request was sent again: nobody noticed the kills")
	}
}
