package dispatcher

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/dispatcher/endpoint"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/internal/testfunction"
)

func TestBulkRequestIsTheGeneratedOne(t *testing.T) {
	value := api.TypedValue{TypeName: "a/b", HasValue: true, Value: bytes.Repeat([]byte{7}, 300)}
	var calls []sending
	want := &protocol.ToFunctions{}
	for i := range 300 { // numbers of one byte and of two
		call := &machine.Call{Target: api.Address{Type: counter, ID: fmt.Sprint("k", i)}, Messages: []api.Message{{Argument: value}}}
		if i%3 == 0 {
			call.States = []machine.CallState{{Name: "seen", Set: true, Value: value}, {Name: "other"}}
		}
		if i == 7 {
			call = &machine.Call{}
		}
		calls = append(calls, sending{call: call})
		one := &protocol.ToFunction{}
		if err := proto.Unmarshal(generated(t, call), one); err != nil {
			t.Fatal(err)
		}
		want.Calls = append(want.Calls, &protocol.ToFunctions_Call{Number: uint32(i + 1), ToFunction: one})
	}
	got := appendBulk([]byte("before")[:6:6], calls)
	if !bytes.Equal(got[6:], onWire(t, want)) {
		t.Error("a bulk by hand is not the generated one")
	}
	if cap(got)-len(got) > len(got)/4 {
		t.Errorf("%d bytes of room for %d", cap(got), len(got))
	}
}

// traffic is what went to a function, and a way to hold it up.
type traffic struct {
	http.Handler
	before func(w http.ResponseWriter, r *http.Request, body []byte) (answered bool)

	largest atomic.Int64 // calls of one request, as the dispatcher says
	bulks   atomic.Int64 // requests with many
}

func (f *traffic) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if f.before != nil && f.before(w, r, body) {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.Handler.ServeHTTP(w, r)
}

func isBulk(r *http.Request) bool { return strings.Contains(r.Header.Get("Content-Type"), "bulk") }

// beginBulk begins a life that gathers calls as soon as one request is out, and whose function has said that it takes bulks.
func beginBulk(t *testing.T, f *traffic, change ...func(*Config)) *life {
	t.Helper()
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	l := begin(t, newStore(nil), &function{url: server.URL}, append([]func(*Config){func(c *Config) {
		c.Machine.YoungRequests = 1
		c.Hooks.Bulk = func(calls int) {
			if calls > 1 {
				f.bulks.Add(1)
			}
			f.largest.Store(max(f.largest.Load(), int64(calls)))
		}
	}}, change...)...)
	l.arrive(0, "first")
	l.until("the first output", func() bool { return l.got("first") == "1" })
	return l
}

func names(prefix string, n int) (ids []string) {
	for i := range n {
		ids = append(ids, fmt.Sprint(prefix, i))
	}
	return ids
}

// each waits until every id has these outputs.
func (l *life) each(ids []string, want string) {
	l.t.Helper()
	l.until("outputs of all", func() bool { return !slices.ContainsFunc(ids, func(id string) bool { return l.got(id) != want }) })
}

// TestBulk: under load calls travel together, and each counts once, whatever becomes of bulk calls meanwhile.
func TestBulk(t *testing.T) {
	f := &traffic{Handler: &testfunction.Handler{Bulk: 64}}
	l := beginBulk(t, f)
	handler := f.Handler.(*testfunction.Handler)
	ids := names("k", 300)
	l.arrive(1, ids...)
	l.each(ids, "1")
	if n := f.largest.Load(); n < 2 || n > 64 {
		t.Errorf("the largest request carried %d calls, want 2 to 64", n)
	}
	before := f.bulks.Load()
	handler.ForgetBulk(true) // a redeploy of an older version
	l.arrive(1000, ids...)
	l.each(ids, "1 2")
	if n := f.bulks.Load() - before; n > 10 {
		t.Errorf("%d bulks were sent to a function that does not take them", n)
	}
	handler.ForgetBulk(false)
	l.arrive(2000, append(ids, ids...)...)
	l.each(ids, "1 2 3 4")
}

// TestBulkOfBrokenCalls: an id that kills the server takes those of its bulk with it once, and then fails alone.
func TestBulkOfBrokenCalls(t *testing.T) {
	var alone, together atomic.Int64
	f := &traffic{Handler: &testfunction.Handler{Bulk: 64}, before: func(_ http.ResponseWriter, r *http.Request, body []byte) bool {
		if !bytes.Contains(body, []byte("kill")) {
			return false
		}
		if isBulk(r) {
			together.Add(1)
		} else {
			alone.Add(1)
		}
		panic(http.ErrAbortHandler)
	}}
	l := beginBulk(t, f, func(c *Config) {
		c.Hooks.Answered = func(call *machine.Call, _ *machine.Reply, _ *endpoint.Failure, _ time.Duration) {
			if call.Target.ID != "kill" && call.Attempt != 1 {
				t.Errorf("attempt %d of %s: what another call did is held against it", call.Attempt, call.Target.ID)
			}
		}
	})
	ids := names("k", 100)
	l.arrive(1, slices.Concat(ids[:50], []string{"kill"}, ids[50:])...)
	l.each(ids, "1")
	l.until("a failure of its own", func() bool { return alone.Load() > 0 })
	l.arrive(1000, ids...)
	l.each(ids, "1 2")
	if n := together.Load(); n < 1 || n > 2 { // a request whose connection was dead is sent once more
		t.Errorf("it was part of %d bulks, want 1", n)
	}
	v, _, err := l.View(t.Context(), api.Address{Type: counter, ID: "kill"})
	if err != nil || v.Mailbox != 1 || v.LastError == "" {
		t.Errorf("the address that kills: %+v, %v", v, err)
	}
}

// TestBulkFailsAsAWhole: a front that is overloaded or confused answers for the function; all is called again and counts once.
func TestBulkFailsAsAWhole(t *testing.T) {
	for name, tc := range map[string]struct {
		answer  func(w http.ResponseWriter)
		refuses bool // bulk calls, so that none follow for seconds, though other replies announce them
	}{
		"503":  {func(w http.ResponseWriter) { w.WriteHeader(503) }, false},
		"500":  {func(w http.ResponseWriter) { w.WriteHeader(500) }, false},
		"404":  {func(w http.ResponseWriter) { w.WriteHeader(404) }, true},
		"page": {func(w http.ResponseWriter) { fmt.Fprint(w, "<html>") }, true},
		"garbage": {func(w http.ResponseWriter) {
			w.Header().Set("Content-Type", "application/vnd.stategate.bulk.v1")
			fmt.Fprint(w, "<html>")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var failed atomic.Bool
			f := &traffic{Handler: &testfunction.Handler{Bulk: 64}, before: func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
				if !isBulk(r) || !failed.CompareAndSwap(false, true) {
					return false
				}
				tc.answer(w)
				return true
			}}
			l := beginBulk(t, f)
			ids, began := names("k", 100), time.Now()
			l.arrive(1, ids...)
			l.each(ids, "1")
			if !failed.Load() {
				t.Error("no bulk was sent")
			}
			bulks := f.bulks.Load()
			l.arrive(1000, ids...)
			l.each(ids, "1 2")
			if more := f.bulks.Load() > bulks; more == tc.refuses && time.Since(began) < 4*time.Second {
				t.Errorf("bulks follow: %v", more)
			}
		})
	}
}

// TestBulkWithASlowCall: the others of its bulk are answered, committed and called again while it runs; when its time is over it is
// called alone.
func TestBulkWithASlowCall(t *testing.T) {
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	t.Cleanup(release)
	var inBulk atomic.Bool
	handler := &testfunction.Handler{Bulk: 64, Before: func(_, id string) int {
		if id == "held" {
			<-hold
		}
		return 0
	}}
	f := &traffic{Handler: handler, before: func(_ http.ResponseWriter, r *http.Request, body []byte) bool {
		if isBulk(r) && bytes.Contains(body, []byte("held")) {
			inBulk.Store(true)
		}
		return false
	}}
	l := beginBulk(t, f)
	ids := names("k", 100)
	for round := range 3 {
		all := ids
		if round == 0 {
			all = slices.Concat(ids[:50], []string{"held"}, ids[50:])
		}
		l.arrive(int64(1+1000*round), all...)
		l.each(ids, "1 2 3"[:2*round+1])
	}
	if !inBulk.Load() {
		t.Error("it has not travelled with others")
	}
	release()
	l.each([]string{"held"}, "1")
}

func TestBulkOutOfTime(t *testing.T) {
	results := make(chan string, 1000)
	f := &traffic{Handler: &testfunction.Handler{Bulk: 64}}
	l := beginBulk(t, f, func(c *Config) {
		function := c.Function
		c.Function = func(t api.FunctionType) (Function, bool) {
			f, ok := function(t)
			f.Timeout = 300
			return f, ok
		}
		c.Hooks.Answered = func(call *machine.Call, _ *machine.Reply, failure *endpoint.Failure, _ time.Duration) {
			if failure != nil && call.Target.ID == "hang-1" {
				results <- fmt.Sprint(failure.Kind, " ", call.Bulk != 0)
			}
		}
	})
	ids := names("k", 50)
	l.arrive(1, slices.Concat(ids[:25], []string{"hang-1"}, ids[25:])...)
	l.each(ids, "1")
	for _, want := range []string{"timeout true", "timeout false"} {
		select {
		case got := <-results:
			if got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		case <-time.After(patience):
			t.Fatalf("waited for %q", want)
		}
	}
	if err := l.Drain(t.Context()); err != nil || l.running.Load() != 0 { // each has ended once
		t.Errorf("drained: %v, %d calls are out", err, l.running.Load())
	}
}

// TestDrainWithABulk: what has been answered of a bulk and what is still out are both waited for.
func TestDrainWithABulk(t *testing.T) {
	reached, hold := make(chan struct{}, 10), make(chan struct{})
	f := &traffic{Handler: &testfunction.Handler{Bulk: 64, Before: func(_, id string) int {
		if id == "held" {
			reached <- struct{}{}
			<-hold
		}
		return 0
	}}}
	l := beginBulk(t, f)
	ids := names("k", 20)
	l.arrive(1, append(ids, "held")...)
	<-reached
	drained := make(chan error, 1)
	go func() { drained <- l.Drain(t.Context()) }()
	select {
	case err := <-drained:
		t.Fatalf("drained with a call out: %v", err)
	case <-time.After(30 * time.Millisecond): // the negative cannot be waited for
	}
	close(hold)
	if err := <-drained; err != nil {
		t.Fatal(err)
	}
	if n := l.running.Load(); n != 0 {
		t.Errorf("%d calls are out", n)
	}
	if p, _ := l.Progress(l.source); p.Position() != 22 {
		t.Errorf("position %d, want 22", p.Position())
	}
}

// TestBulkIsSorted: calls of one URL whose settings or times differ go in requests of their own, and those that go nowhere in none.
func TestBulkIsSorted(t *testing.T) {
	f := &traffic{Handler: &testfunction.Handler{Bulk: 64}}
	var ended sync.Map
	l := beginBulk(t, f, func(c *Config) {
		function := c.Function
		c.Function = func(t api.FunctionType) (Function, bool) {
			f, ok := function(t)
			switch t.Name {
			case "other":
				f.Spec.ReplyBytesMax = 1 << 20
			case "wrong":
				f.Spec.URL = "no URL"
			case "few":
				f.Spec.BulkCallsMax = 2
			case "never":
				f.Spec.BulkCallsMax = 1
			}
			return f, ok && t.Name != "unknown"
		}
		c.Hooks.Answered = func(call *machine.Call, _ *machine.Reply, failure *endpoint.Failure, _ time.Duration) {
			if failure != nil {
				ended.Store(call.Function.Name, failure.Kind)
			}
		}
	})
	call := func(name string, timeout int64) machine.Call {
		return machine.Call{Function: api.FunctionType{Namespace: "test", Name: name}, Timeout: timeout}
	}
	calls := []machine.Call{call("count", 1), call("other", 1), call("count", 1), call("unknown", 1), call("count", 2), call("wrong", 1), call("quiet", 1), call("other", 1),
		call("few", 1), call("few", 1), call("few", 1), call("never", 1), call("never", 1)}
	l.running.Add(int64(len(calls)))
	parcels := l.sort(calls, time.Now())
	l.running.Add(-11)
	var got []string
	for _, p := range parcels {
		var names []string
		for _, s := range p.calls {
			names = append(names, s.call.Function.Name)
			if s.words != l.speakers.words(s.call.Function) {
				t.Errorf("a call of %s has the words of another function", s.call.Function)
			}
		}
		got = append(got, fmt.Sprint(names, p.timeout))
	}
	if want := "[[count count quiet] 1 [other other] 1 [count] 2 [few few] 1 [few] 1 [never] 1 [never] 1]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := l.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	unknown, _ := ended.Load("unknown")
	wrong, _ := ended.Load("wrong")
	if unknown != endpoint.Status || wrong != endpoint.Unreachable {
		t.Errorf("what goes nowhere has ended as %v and %v", unknown, wrong)
	}
}
