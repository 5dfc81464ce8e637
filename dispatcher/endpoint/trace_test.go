package endpoint

import (
	"io"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
)

// TestTraced: a call that is in a trace says so in one header, in each protocol, alone, in a bulk and signed; one that is in none has none.
func TestTraced(t *testing.T) {
	const text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	in := api.ParseTrace(text)
	seen := make(chan []string, 1)
	handler := func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if s := r.Header.Get("Stategate-Signature"); s != "" && !signedBy("key", r, body) {
			t.Error("the signature is not that of the request")
		}
		seen <- r.Header.Values("traceparent")
		if r.Header.Get("Content-Type") == bulkContentType {
			startBulk(w)
			w.Write(replied(1, ""))
			return
		}
		w.Header().Set("Content-Type", contentType)
	}
	bothVersions(t, handler, func(t *testing.T, c *Client) {
		for _, signed := range []bool{false, true} {
			if signed {
				c.pool.SignWith(NewSigner("key"))
			}
			for _, size := range []int{0, 100, 300_000} {
				for _, want := range [][]string{nil, {text}, nil} {
					trace := in
					if want == nil {
						trace = nil
					}
					if _, _, fail := c.CallTraced(within(t, 10*time.Second), make([]byte, size), trace); fail != nil {
						t.Fatal(fail.Text)
					}
					if got := <-seen; !slices.Equal(got, want) {
						t.Errorf("a call of %d bytes is in %q, want %q", size, got, want)
					}
					g := gather(t)
					wantRest(t, c.BulkTraced(within(t, 10*time.Second), make([]byte, size), 1, trace, g.sent, g.told), 0, "")
					if got := <-seen; !slices.Equal(got, want) {
						t.Errorf("a bulk of %d bytes is in %q, want %q", size, got, want)
					}
				}
			}
		}
		if len(c.base.request.Header[traceHeader])+len(c.bulk.request.Header[traceHeader]) > 0 {
			t.Error("a trace is kept for the next request")
		}
	})
}
