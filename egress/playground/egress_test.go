package playground

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

func TestFetch(t *testing.T) {
	e := newEngine(t)
	l := begin(t, e, 0, "a", "b/c d")
	l.wantNothing("a")
	l.Offer(e.commit(output("a", "1"), output("b/c d", "2"), output("a", "3")))
	l.sorts()
	l.want("a", "1", "3")
	l.wantNothing("a")
	l.want("b/c%20d", "2")
	l.wantNothing("b%2Fc%20d")
	e.until("everything to be delivered", func() bool { return e.low == 4 })
}

// TestTopicThatNobodyReads stops no other, and is there after a restart; what was fetched behind it may come again then.
func TestTopicThatNobodyReads(t *testing.T) {
	e := newEngine(t)
	l := begin(t, e, 0, "a", "b")
	l.Offer(e.commit(output("b", "0"), output("a", "1"), output("a", "2")))
	l.sorts()
	l.want("a", "1", "2")
	l.stop()
	l = begin(t, e, 0, "a", "b")
	l.sorts()
	l.want("b", "0")
	l.want("a", "1", "2")
	l.wantNothing("b")
	e.until("everything to be delivered", func() bool { return e.low == 4 })
}

// TestMoreThanFits: what has no room in memory is read back, in order, and the memory stays within its bound.
func TestMoreThanFits(t *testing.T) {
	e := newEngine(t)
	l := begin(t, e, 2000, "a", "b")
	const n = 300
	for i := range n {
		l.Offer(e.commit(output("a", fmt.Sprint("a", i)), output("b", fmt.Sprint("b", i))))
	}
	l.sorts()
	l.mu.Lock()
	held := l.bytes
	for _, topic := range l.topics {
		held += topic.bytes
	}
	l.mu.Unlock()
	if held > 2000+1000 {
		t.Errorf("%d bytes are in memory", held)
	}
	l.want("a", numbered("a", 0, n)...)
	l.wantNothing("a")
	l.Offer(e.commit(output("a", "more")))
	l.sorts()
	l.want("a", "more")
	l.want("b", numbered("b", 0, n)...)
	l.wantNothing("b")
	e.until("everything to be delivered", func() bool { return e.low == 2*n+2 })
}

// TestMemoryIsEnough: what fits is never read back.
func TestMemoryIsEnough(t *testing.T) {
	e := newEngine(t)
	l := begin(t, e, 0, "a", "b")
	for i := range 100 {
		l.Offer(e.commit(output("a", fmt.Sprint("a", i)), output("b", fmt.Sprint("b", i))))
	}
	l.sorts()
	l.want("a", numbered("a", 0, 100)...)
	l.want("b", numbered("b", 0, 100)...)
	l.stop()
	if e.reads > 0 {
		t.Errorf("the store is asked %d times", e.reads)
	}
}

// TestOfferedIsBounded: what is offered while the sorting stands still is held within the bound, without a gap; the rest is read back.
func TestOfferedIsBounded(t *testing.T) {
	e := newEngine(t)
	l := prepare(t, e, 4000, "a")
	large := strings.Repeat("x", 1500)
	for _, payload := range []string{"1", "2", large, "4", large, "6"} { // the last one would fit, and stands behind a gap
		l.Offer(e.commit(output("a", payload)))
	}
	if n := len(l.offered); n != 2 || l.bytes > 2000 || l.known != 7 {
		t.Errorf("%d packs are held, %d bytes; known below %d", n, l.bytes, l.known)
	}
	l.run()
	l.sorts()
	l.want("a", "1", "2", large, "4", large, "6")
	e.until("everything to be delivered", func() bool { return e.low == 7 })
}

// TestPending: what waits is told, fetched and refused outputs not among it.
func TestPending(t *testing.T) {
	e := newEngine(t)
	e.commit(output("a", "0"))
	l := begin(t, e, 0, "a", "b")
	l.saysPending(1)
	l.Offer(e.commit(output("a", "1"), output("nobody's", "x"), output("b", "2")))
	l.saysPending(3)
	l.want("b", "2")
	l.saysPending(2)
	l.stop()
	l = begin(t, e, 0, "a", "b")
	l.saysPending(3) // b comes again, what was refused does not
	l.want("a", "0", "1")
	l.want("b", "2")
	l.saysPending(0)
}

// TestPackComesAgain: what was fetched comes again after each restart as long as anything else of its commit waits, and never after that.
func TestPackComesAgain(t *testing.T) {
	e := newEngine(t)
	l := begin(t, e, 0, "a", "b")
	l.Offer(e.commit(output("a", "1"), output("b", "2"), output("a", "3")))
	l.Offer(e.commit(output("a", "4")))
	for range 3 {
		l.want("a", "1", "3", "4")
		l.wantNothing("a")
		e.until("the first to be delivered", func() bool { return e.low == 2 })
		l.stop()
		l = begin(t, e, 0, "a", "b")
	}
	l.want("a", "1")
	l.want("b", "2")
	e.until("all but two to be delivered", func() bool { return e.low == 3 })
	l.stop()
	l = begin(t, e, 0, "a", "b")
	l.want("a", "1", "3")
	l.want("b", "2")
	l.stop()
	l = begin(t, e, 0, "a", "b")
	l.wantNothing("b")
	l.want("a", "4")
	l.stop()
	l = begin(t, e, 0, "a", "b")
	l.wantNothing("a")
	l.wantNothing("b")
}

// TestSetAside: what can never be fetched becomes a dead letter, once; the rest goes on.
func TestSetAside(t *testing.T) {
	e := newEngine(t)
	bad := []struct {
		output api.Output
		reason string
	}{
		{raw("io.statefun.types/string", "\x0a\x01x"), "wrong type"},
		{raw("", ""), "wrong type"},
		{raw(recordType, ""), "no record"},
		{raw(recordType, "{"), "no record"},
		{raw(recordType, "[]"), "no record"},
		{raw(recordType, `{"topic":"a"}`), "no record"},
		{raw(recordType, `{"payload":"a"}`), "no record"},
		{raw(recordType, `{"topic":"a","payload":null}`), "no record"},
		{raw(recordType, `{"topic":"a","payload":{}}`), "no record"},
		{raw(recordType, `{"topic":["a"],"payload":"x"}`), "no record"},
		{raw(recordType, `{"topic":"a","payload":"x","other":1}`), "no record"},
		{raw(recordType, `{"topic":"a","payload":"x"} {}`), "no record"},
		{raw(recordType, `{"topic":"a","payload":"x"}x`), "no record"},
		{raw(recordType, `{"topic":"a","payload":"x"}}`), "no record"},
		{raw(recordType, `{"TOPIC":"a","payload":"x"}`), "no record"},
		{raw(recordType, `{"topic":"a","Payload":"x"}`), "no record"},
		{raw(recordType, `null`), "no record"},
		{raw(recordType, `{"topic":"a","payload":"x"}]`), "no record"},
		{raw(recordType, "{\"topic\":\"a\",\"payload\":\"\xff\"}"), "no record"},
		{output("b", "x"), "unknown topic"},
		{output("", "x"), "unknown topic"},
		{output(strings.Repeat("x", 1<<20), "x"), "unknown topic"},
	}
	l := begin(t, e, 0, "a")
	for i, b := range bad {
		l.Offer(e.commit(b.output, output("a", fmt.Sprint(i))))
	}
	l.sorts()
	l.want("a", numbered("", 0, len(bad))...)
	e.until("everything to be delivered", func() bool { return e.low == uint64(2*len(bad)+1) })
	l.stop()
	if len(e.dead) != len(bad) {
		t.Fatalf("%d letters, want %d", len(e.dead), len(bad))
	}
	for i := range e.dead {
		d := &e.dead[i]
		if d.Reason != bad[i].reason || d.Kind != api.DeadOutput || d.From != lane.Egress || d.Offset != int64(2*i+1) || d.Address != bad[i].output.Sender ||
			string(d.Value) != string(bad[i].output.Value.Value) || d.TypeName != bad[i].output.Value.TypeName || d.Detail == "" || len(d.Detail) > 2000 {
			t.Errorf("letter %d: %.300v, want reason %s", i, d, bad[i].reason)
		}
	}
}

// TestTextOfOtherTypes: StateFun's reader takes numbers and truth values for text.
func TestTextOfOtherTypes(t *testing.T) {
	e := newEngine(t)
	l := begin(t, e, 0, "1")
	l.Offer(e.commit(raw(recordType, `{"payload": true, "topic": 1}`), raw(recordType, ` {"topic":"1","payload":"a\u00fc\n"} `), raw(recordType, `{"topic":"2","topic":"1","payload":"x","payload":"y"}`), output("1", "")))
	l.sorts()
	l.want("1", "true", "aü\n", "y", "")
}

// TestDeadLettersAreFull: the lane waits with what would be set aside, and what was sorted before can be fetched.
func TestDeadLettersAreFull(t *testing.T) {
	e := newEngine(t)
	e.full = make(chan struct{})
	l := begin(t, e, 0, "a")
	l.Offer(e.commit(output("a", "1"), output("nobody's", "x")))
	e.until("a letter that waits", func() bool { return e.refusals == 1 })
	l.want("a", "1")
	close(e.full)
	e.until("everything to be delivered", func() bool { return e.low == 3 })
}

// TestRestart: what was set aside before is not set aside again, and what was fetched above the lowest may come again.
func TestRestart(t *testing.T) {
	e := newEngine(t)
	l := begin(t, e, 0, "a", "b")
	l.Offer(e.commit(output("b", "1"), output("nobody's", "2"), output("a", "3")))
	e.until("the letter", func() bool { return len(e.dead) == 1 })
	l.stop()
	l = begin(t, e, 0, "a", "b")
	l.sorts()
	l.want("b", "1")
	l.want("a", "3")
	e.until("everything to be delivered", func() bool { return e.low == 4 })
	l.stop()
	if len(e.dead) != 1 {
		t.Errorf("%d letters", len(e.dead))
	}
}

// TestStoreAway: whoever fetches is told, and the sorting goes on when it is back.
func TestStoreAway(t *testing.T) {
	e := newEngine(t)
	e.commit(output("a", "1"))
	e.away = 3
	l := begin(t, e, 2000, "a")
	l.sorts()
	for i := range 50 {
		l.Offer(e.commit(output("a", fmt.Sprint(i+2))))
	}
	l.sorts()
	l.want("a", "1")
	e.mu.Lock()
	e.away = 1
	e.mu.Unlock()
	failed := 0
	for i := 2; i <= 51; {
		code, status, got := l.get("a")
		switch {
		case code == 503 && status == "503" && failed == 0:
			failed++
		case code == 200 && got == fmt.Sprint(i):
			i++
		default:
			t.Fatalf("%d, %s, %q; want %d", code, status, got, i)
		}
	}
	if failed != 1 {
		t.Errorf("failed %d times", failed)
	}
	l.stop()
	begins, ends := "begins egress "+lane.Egress+": store: away", "ends egress "+lane.Egress+": store"
	if want := []string{begins, ends, begins, ends}; !slices.Equal(l.states, want) {
		t.Errorf("told is %q, want %q", l.states, want)
	}
}

func TestHostileFetches(t *testing.T) {
	e := newEngine(t)
	l := begin(t, e, 0, "a", "b")
	l.Offer(e.commit(output("a", "1")))
	l.sorts()
	for _, c := range []struct {
		method, path string
		code         int
		status       string
		tells        string
	}{
		{"GET", "/", 404, "405", "a, b"},
		{"GET", "/c", 404, "405", "a, b"},
		{"GET", "/a/", 404, "405", "a, b"},
		{"GET", "//a", 404, "405", "a, b"},
		{"GET", "/" + strings.Repeat("x", 100_000), 404, "405", "..."},
		{"HEAD", "/a", 405, "405", "GET"},
		{"OPTIONS", "/a", 405, "405", "GET"},
		{"POST", "/a", 405, "405", "GET"},
		{"PUT", "/a", 405, "405", "GET"},
		{"DELETE", "/a", 405, "405", "GET"},
	} {
		w := httptest.NewRecorder()
		l.ServeHTTP(w, httptest.NewRequest(c.method, c.path, nil))
		if w.Code != c.code || w.Header().Get("Status") != c.status || !strings.Contains(w.Body.String(), c.tells) || w.Body.Len() > 2000 {
			t.Errorf("%s %.20s: %d, %s, %.200q", c.method, c.path, w.Code, w.Header().Get("Status"), w.Body)
		}
	}
	l.want("a", "1")
}

// broken is a connection that takes nothing.
type broken struct{ *httptest.ResponseRecorder }

func (broken) WriteString(string) (int, error) { return 0, errors.New("gone") }
func (broken) Write([]byte) (int, error)       { return 0, errors.New("gone") }

// TestFetcherIsGone: a record that has not arrived is there for the next one, in its place.
func TestFetcherIsGone(t *testing.T) {
	e := newEngine(t)
	l := begin(t, e, 0, "a")
	l.Offer(e.commit(output("a", "1"), output("a", "2")))
	l.sorts()
	l.ServeHTTP(broken{httptest.NewRecorder()}, httptest.NewRequest("GET", "/a", nil))
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	l.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/a", nil).WithContext(gone))
	l.want("a", "1", "2")
	l.wantNothing("a")
	e.until("everything to be delivered", func() bool { return e.low == 3 })
}

// TestReadingBackWaitsForSorting: while a topic is read back from the store more is sorted. What was not sorted when its turn came must
// not be passed over for what is by then.
func TestReadingBackWaitsForSorting(t *testing.T) {
	e := newEngine(t)
	l := prepare(t, e, 0, "a")
	first := e.commit(output("a", "1"), output("a", "2"))
	topic := l.topics["a"]
	topic.behind, topic.next, l.sorted, l.known = true, first.First, first.First, behind(&first)
	now := time.Now()
	if l.readOutput("a", topic, &first, 0, now) {
		t.Error("the next one's turn comes before this one is sorted")
	}
	l.readBack("a", topic, []statestore.OutputPack{first}, l.sorted)
	if topic.behind || topic.next != first.First {
		t.Errorf("all that is sorted was looked at: behind %v, next %d", topic.behind, topic.next)
	}
}

// TestManyFetchers: however many fetch, and however little memory there is, each record of a topic is fetched once; by one fetcher, in
// order. It is played from a seed.
func TestManyFetchers(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	topics := []string{"a", "b", "c"}
	e := newEngine(t)
	l := begin(t, e, []int{500, 3000, 0}[rng.IntN(3)], topics...)
	want, refused := map[string][]string{}, 0
	var all [][]api.Output
	for i := range 400 {
		var outputs []api.Output
		for j := range 1 + rng.IntN(6) {
			payload := fmt.Sprintf("%d.%d", i, j)
			topic := append(slices.Clone(topics), "nobody's")[rng.IntN(4)]
			outputs = append(outputs, output(topic, payload))
			if topic == "nobody's" {
				refused++
				continue
			}
			want[topic] = append(want[topic], payload)
		}
		all = append(all, outputs)
	}
	var wait sync.WaitGroup
	got := map[string]map[string]int{}
	var mu sync.Mutex
	for _, topic := range topics {
		got[topic] = map[string]int{}
		fetchers := 1 + rng.IntN(3)
		left := len(want[topic])
		for range fetchers {
			wait.Go(func() {
				order := -1
				for {
					mu.Lock()
					done := left == 0
					mu.Unlock()
					if done {
						return
					}
					code, _, body := l.get(topic)
					if code != http.StatusOK {
						continue
					}
					mu.Lock()
					left--
					got[topic][body]++
					mu.Unlock()
					at := slices.Index(want[topic], body)
					if at <= order {
						t.Errorf("seed %d: %s of topic %s came to one fetcher behind number %d", seed, body, topic, order)
					}
					order = at
				}
			})
		}
	}
	for _, outputs := range all {
		l.Offer(e.commit(outputs...))
	}
	wait.Wait()
	for topic, payloads := range want {
		for _, p := range payloads {
			if got[topic][p] != 1 {
				t.Errorf("seed %d: %s of topic %s was fetched %d times", seed, p, topic, got[topic][p])
			}
		}
	}
	e.until("everything to be delivered", func() bool { return e.low == e.next })
	l.stop()
	if len(e.dead) != refused {
		t.Errorf("seed %d: %d letters, want %d", seed, len(e.dead), refused)
	}
}
