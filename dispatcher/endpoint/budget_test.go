package endpoint

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
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

// TestLargeAnswersKeepTheirPace: an endpoint that says that it sends much, and hardly sends anything, keeps nobody out for longer than a
// tick. Its calls are not failed by that, and what it holds is given back.
func TestLargeAnswersKeepTheirPace(t *testing.T) {
	t.Run("HTTP/1.1", func(t *testing.T) { keepPace(t, HTTP2Never) })
	t.Run("HTTP/2", func(t *testing.T) { keepPace(t, HTTP2Always) })
}

func keepPace(t *testing.T, version HTTP2) {
	const large = 3 << 20
	begun := make(chan struct{}, 1)
	both := new(http.Protocols)
	both.SetHTTP1(true)
	both.SetUnencryptedHTTP2(true)
	listen := func(handler http.HandlerFunc) string {
		server := httptest.NewUnstartedServer(handler)
		server.Config.Protocols = both
		server.Start()
		t.Cleanup(server.Close)
		return server.URL
	}
	slow := listen(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		startBulk(w)
		_, _ = w.Write(replied(1, "small"))
		_, _ = w.Write(replied(2, strings.Repeat("x", large))[:100<<10])
		_ = http.NewResponseController(w).Flush()
		begun <- struct{}{}
		<-r.Context().Done()
	})
	good := listen(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		startBulk(w)
		_, _ = w.Write(replied(1, strings.Repeat("y", large)))
	})
	p := NewPool()
	defer p.Close()
	p.replies.bytesMax, p.replies.tick = 4<<20, 10*time.Millisecond
	of := func(url string) *Client {
		c, err := p.Client(Spec{URL: url, HTTP2: version})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first, ended := gather(t), make(chan *Failure)
	go func() { ended <- of(slow).Bulk(within(t, time.Minute), []byte("x"), 2, first.sent, first.told) }()
	<-begun
	for used := int64(0); used == 0; runtime.Gosched() {
		p.replies.mu.Lock()
		used = p.replies.used
		p.replies.mu.Unlock()
	}
	second := gather(t)
	wantRest(t, of(good).Bulk(within(t, time.Minute), []byte("x"), 1, second.sent, second.told), 0, "")
	wantRest(t, <-ended, Unanswered, "so slowly that it kept others out")
	if len(second.replies[1]) != large || first.replies[1] != "small" {
		t.Errorf("answered with %d bytes; before the slow one there was %q", len(second.replies[1]), first.replies[1])
	}
	p.Release(second.rooms[0])
	if used := p.replies.used; used != 0 {
		t.Errorf("%d bytes are still counted", used)
	}
}

// TestPace: who is slow goes on as long as nobody wants the room, and who is in pace goes on whoever wants it.
func TestPace(t *testing.T) {
	slow := 0
	b := &budget{bytesMax: 1 << 20, used: 1 << 20, tick: time.Hour}
	p := pace{budget: b, slow: func() { slow++ }}
	p.judge() // of nothing
	p.begin(16 << 20)
	defer p.end()
	p.got.Add(1)
	p.judge()
	if slow != 0 {
		t.Fatal("nobody wanted the room")
	}
	if b.take(0, 1) {
		t.Fatal("there was room")
	}
	p.got.Add(1 << 20)
	p.judge()
	if slow != 0 {
		t.Fatal("it was in pace")
	}
	p.got.Add(1<<20 - 1)
	p.judge()
	if slow != 0 {
		t.Fatal("who went without room did so before")
	}
	b.take(0, 1)
	p.began = p.began.Add(-2 * time.Hour)
	p.judge()
	if slow != 0 {
		t.Fatal("it was the gateway that stood still")
	}
	b.take(0, 1)
	p.got.Add(1<<20 - 1)
	p.judge()
	if slow != 1 {
		t.Error("it was too slow, and somebody went without room")
	}
	b.take(0, 1)
	p.end()
	p.judge()
	if slow != 1 {
		t.Error("it was judged after its end")
	}
}
