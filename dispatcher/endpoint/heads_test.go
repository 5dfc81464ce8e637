package endpoint

import (
	"fmt"
	"io"
	"net/http"
	"testing"
)

// TestHeads: what was said before costs no reading, and what is remembered is bounded.
func TestHeads(t *testing.T) {
	size := 0
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header()["Date"] = nil
		w.Header().Set("X", fmt.Sprint(size))
		good(w, make([]byte, size%7))
	})
	h := &c.carrier.direct.heads
	for size = range 3 * headsMax / 2 {
		for range 2 {
			reply, _, fail := c.Call(t.Context(), []byte("x"))
			if fail != nil || len(reply) != size%7 {
				t.Fatalf("got %d bytes, %v; want %d", len(reply), fail, size%7)
			}
		}
		if got, want := len(h.known), size%headsMax+1; got != want {
			t.Fatalf("%d heads are remembered, want %d", got, want)
		}
	}
	for _, m := range h.known { // that it is used
		m.header = http.Header{"Content-Type": {"other/kind"}}
	}
	reply, _, fail := c.Call(t.Context(), []byte("x"))
	wantFailure(t, reply, fail, BadReply, 200, "other/kind")
}
