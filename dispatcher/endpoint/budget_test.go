package endpoint

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestLargeRepliesHaveABudget: two large replies at a time are too much for a small budget; the second fails at once and says so,
// and passes when the first is released. One that is larger than the whole budget passes alone.
func TestLargeRepliesHaveABudget(t *testing.T) {
	const large = 3 << 20
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = w.Write(make([]byte, large))
	}))
	defer server.Close()
	p := NewPool()
	defer p.Close()
	p.replies.bytesMax = 2 << 20
	c, err := p.Client(Spec{URL: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	call := func() ([]byte, *Failure) {
		reply, _, fail := c.Call(t.Context(), []byte("x"))
		return reply, fail
	}
	first, fail := call()
	if fail != nil || len(first) != large {
		t.Fatalf("alone: %d bytes, %+v", len(first), fail)
	}
	if _, fail := call(); fail == nil || fail.Kind != Busy || !strings.Contains(fail.Text, "memory") {
		t.Errorf("beside another: %+v, want no room", fail)
	}
	c.Release(first)
	second, fail := call()
	if fail != nil {
		t.Fatalf("after the first: %+v", fail)
	}
	c.Release(second)
	if p.replies.used != 0 {
		t.Errorf("%d bytes are still counted", p.replies.used)
	}
}
