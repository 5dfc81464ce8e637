package playground

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// saysLater fails the test when a topic is not answered with "later", or not with how much is still to be looked at.
func (l *life) saysLater(topic string, left int) {
	l.t.Helper()
	w := httptest.NewRecorder()
	l.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+topic, nil))
	if h := w.Header(); w.Code != 503 || h.Get("Status") != "503" || h.Get("Retry-After") == "" || !strings.Contains(w.Body.String(), " "+strconv.Itoa(left)+" outputs") {
		l.t.Fatalf("topic %s: %d, %v, %q; want later, %d outputs", topic, w.Code, h, w.Body, left)
	}
}

// asks begins to fetch, and returns when that waits.
func (l *life) asks(topic string) <-chan *httptest.ResponseRecorder {
	l.t.Helper()
	answered := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		w := httptest.NewRecorder()
		l.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+topic, nil))
		answered <- w
	}()
	for limit := time.Now().Add(patience); time.Now().Before(limit); runtime.Gosched() {
		l.mu.Lock()
		waits := l.looked != nil && len(l.topics[topic].turn) == 1
		l.mu.Unlock()
		if waits {
			return answered
		}
	}
	l.t.Fatalf("waited %v for topic %s to be asked for", patience, topic)
	return nil
}

// TestEmptyWhenAllIsKnown: a topic is empty when all that is committed has been looked at, and not before.
func TestEmptyWhenAllIsKnown(t *testing.T) {
	e := newEngine(t)
	e.commit(output("a", "1"), output("b", "2"))
	e.commit(output("a", "3"))
	e.slow = make(chan struct{})
	l := prepare(t, e, 0, "a", "b", "c")
	l.lookTimeMax = time.Millisecond
	l.run()
	for _, topic := range []string{"a", "b", "c"} {
		l.saysLater(topic, 3)
	}
	l.lookTimeMax = patience
	b, c := l.asks("b"), l.asks("c")
	close(e.slow)
	if w := <-b; w.Code != 200 || w.Body.String() != "2" {
		t.Errorf("topic b: %d, %q", w.Code, w.Body)
	}
	if w := <-c; w.Code != 404 || w.Header().Get("Status") != "404" || w.Body.Len() > 0 {
		t.Errorf("topic c: %d, %q", w.Code, w.Body)
	}
	l.want("a", "1", "3")
	l.wantNothing("a")
}

// TestKnownWhenAsked: what is committed while somebody asks does not keep the answer back.
func TestKnownWhenAsked(t *testing.T) {
	e := newEngine(t)
	l := prepare(t, e, 0, "a", "b")
	l.lookTimeMax = patience
	first := e.commit(output("b", "1"))
	l.Offer(first)
	a := l.asks("a")
	l.Offer(e.commit(output("b", "2")))
	l.sortPack(t.Context(), &first)
	if w := <-a; w.Code != 404 {
		t.Errorf("%d, %q", w.Code, w.Body)
	}
}

// TestLaterWhileDeadLettersAreFull: what stands behind an output that cannot be set aside is not denied.
func TestLaterWhileDeadLettersAreFull(t *testing.T) {
	e := newEngine(t)
	e.full = make(chan struct{})
	l := prepare(t, e, 0, "a")
	l.lookTimeMax = time.Millisecond
	l.run()
	l.Offer(e.commit(output("nobody's", "x")))
	e.until("a letter that waits", func() bool { return e.refusals == 1 })
	l.wantNothing("a")
	l.Offer(e.commit(output("a", "1")))
	l.saysLater("a", 1)
	l.lookTimeMax = patience
	a := l.asks("a")
	close(e.full)
	if w := <-a; w.Code != 200 || w.Body.String() != "1" {
		t.Errorf("%d, %q", w.Code, w.Body)
	}
}

// TestLaterWhileReadingBack: a topic that is behind is not denied either.
func TestLaterWhileReadingBack(t *testing.T) {
	e := newEngine(t)
	l := prepare(t, e, 400, "a")
	l.run()
	for i := range 4 {
		l.Offer(e.commit(output("a", strconv.Itoa(i)+strings.Repeat("x", 200))))
	}
	l.sorts()
	l.want("a", "0"+strings.Repeat("x", 200))
	l.lookTimeMax = time.Millisecond
	e.mu.Lock()
	e.slow = make(chan struct{})
	e.mu.Unlock()
	l.saysLater("a", 3)
	close(e.slow)
	l.lookTimeMax = patience
	for i := 1; i < 4; i++ {
		l.want("a", strconv.Itoa(i)+strings.Repeat("x", 200))
	}
	l.wantNothing("a")
}

// TestStopWhileAsked: a stop does not wait for those who wait.
func TestStopWhileAsked(t *testing.T) {
	e := newEngine(t)
	e.commit(output("a", "1"))
	e.slow = make(chan struct{})
	l := prepare(t, e, 0, "a")
	l.lookTimeMax = time.Hour
	l.run()
	a := l.asks("a")
	l.stop()
	if w := <-a; w.Code != 503 || w.Header().Get("Status") != "503" {
		t.Errorf("%d, %q", w.Code, w.Body)
	}
}

// TestBehindOthers: after a restart a record is found behind others that nobody fetches and that have no room.
func TestBehindOthers(t *testing.T) {
	e := newEngine(t)
	const n = 200
	for range n {
		e.commit(output("a", strings.Repeat("x", 10_000)))
	}
	e.commit(output("b", "1"))
	l := prepare(t, e, 50_000, "a", "b")
	l.lookTimeMax = patience
	l.run()
	l.want("b", "1")
	l.wantNothing("b")
	l.mu.Lock()
	held, behind := l.bytes+l.topics["a"].bytes, l.topics["a"].behind
	l.mu.Unlock()
	if held > 50_000 || !behind {
		t.Errorf("%d bytes are in memory; behind: %v", held, behind)
	}
	for range n {
		l.want("a", strings.Repeat("x", 10_000))
	}
	l.wantNothing("a")
}

// TestCommittedWhileReadingBack: what is committed and sorted while the store says that nothing of a topic is left is not passed over.
func TestCommittedWhileReadingBack(t *testing.T) {
	e := newEngine(t)
	l := prepare(t, e, 4<<20, "a", "b")
	large := strings.Repeat("x", readBytes) // more than one question to the store answers
	armed := false
	e.read = func(found int) {
		if armed && found == 0 {
			armed = false
			l.Offer(e.commit(output("a", "4")))
			l.sorts()
		}
	}
	l.run()
	l.Offer(e.commit(output("a", "1"+large)))
	l.Offer(e.commit(output("a", "2"+large))) // has no room
	l.Offer(e.commit(output("b", "3")))
	l.sorts()
	l.want("a", "1"+large, "2"+large)
	l.want("b", "3")
	e.until("everything to be delivered", func() bool { return e.low == 4 })
	armed = true
	l.want("a", "4")
	if armed {
		t.Error("the topic was not read back")
	}
	l.Offer(e.commit(output("a", "5")))
	l.want("a", "5")
	l.wantNothing("a")
	e.until("everything to be delivered", func() bool { return e.low == 6 })
}
