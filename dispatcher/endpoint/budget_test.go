package endpoint

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
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
	p.Release(Room(first))
	second, fail := call()
	if fail != nil {
		t.Fatalf("after the first: %+v", fail)
	}
	p.Release(Room(second))
	if p.replies.used != 0 {
		t.Errorf("%d bytes are still counted", p.replies.used)
	}
}

// TestWaitingForRoom: who waits is let in in order, a smaller one does not overtake, and who gives up is in nobody's way.
func TestWaitingForRoom(t *testing.T) {
	pool, end := context.WithCancel(t.Context())
	b := &budget{bytesMax: 10}
	waits := func() int {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.waiting.Len()
	}
	begin := func(ctx context.Context, bytes int64) chan bool {
		before, got := waits(), make(chan bool, 1)
		go func() { got <- b.wait(ctx, pool, bytes) }()
		for waits() == before {
			runtime.Gosched()
		}
		return got
	}
	if !b.wait(t.Context(), pool, 15) {
		t.Fatal("alone: no room")
	}
	given, giveUp := context.WithCancel(t.Context())
	first, second, third := begin(given, 8), begin(t.Context(), 8), begin(t.Context(), 2)
	b.give(15) // room for the first, none for the second
	if !<-first || waits() != 2 || b.used != 8 {
		t.Fatalf("%d wait, %d bytes are used: want 2 and 8", waits(), b.used)
	}
	giveUp()  // too late
	b.give(8) // room for both
	if !<-second || !<-third || b.used != 10 {
		t.Fatalf("%d bytes are used, want 10", b.used)
	}
	impatient, giveUp := context.WithCancel(t.Context())
	first, second = begin(impatient, 100), begin(t.Context(), 5)
	b.give(5) // room for the second, which is not the first
	if waits() != 2 {
		t.Fatal("somebody was let in before his turn")
	}
	giveUp()
	if <-first || !<-second || b.used != 10 {
		t.Fatalf("%d bytes are used, want 10", b.used)
	}
	third = begin(t.Context(), 1)
	end() // of the pool
	if <-third || b.used != 10 || waits() != 0 {
		t.Fatalf("%d wait, %d bytes are used: want none and 10", waits(), b.used)
	}
}
