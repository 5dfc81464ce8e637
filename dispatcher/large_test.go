package dispatcher

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/dispatcher/endpoint"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// largeFunction writes one record to the egress for each call, large but for the ids "first" and "small", as soon as the id is let go.
type largeFunction struct {
	t     *testing.T
	bulk  bool
	letGo map[string]chan struct{}
	bulks atomic.Int64
}

const largeBytes = 300 << 10

func (f *largeFunction) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if f.bulk {
		w.Header().Set("Stategate-Bulk", "1; calls=16")
	}
	w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
	if !isBulk(r) {
		call := &protocol.ToFunction{}
		if err := proto.Unmarshal(body, call); err != nil {
			f.t.Error(err)
		}
		_, _ = w.Write(onWire(f.t, f.answer(r, call)))
		return
	}
	f.bulks.Add(1)
	calls := &protocol.ToFunctions{}
	if err := proto.Unmarshal(body, calls); err != nil {
		f.t.Error(err)
	}
	var writing sync.Mutex
	var all sync.WaitGroup
	for _, call := range calls.Calls {
		all.Go(func() {
			answer := onWire(f.t, &protocol.FromFunctions{Answers: []*protocol.FromFunctions_Answer{{
				Number: call.Number, Answer: &protocol.FromFunctions_Answer_FromFunction{FromFunction: f.answer(r, call.ToFunction)},
			}}})
			writing.Lock()
			defer writing.Unlock()
			_, _ = w.Write(answer)
			_ = http.NewResponseController(w).Flush()
		})
	}
	all.Wait()
}

func (f *largeFunction) answer(r *http.Request, call *protocol.ToFunction) *protocol.FromFunction {
	id := call.GetInvocation().Target.Id
	value := []byte("small")
	if wait := f.letGo[id]; wait != nil {
		select {
		case <-wait:
		case <-r.Context().Done(): // the test has failed
		}
		if id != "small" {
			value = bytes.Repeat([]byte{'x'}, largeBytes)
		}
	}
	record := onWire(f.t, &protocol.KafkaProducerRecord{Key: []byte(id), ValueBytes: value, Topic: "out"})
	return resultOf(&wireResult{OutgoingEgresses: []*protocol.FromFunction_EgressMessage{{EgressNamespace: "test", EgressType: "out",
		Argument: &protocol.TypedValue{Typename: "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord", HasValue: true, Value: record}}}})
}

// TestLargeRepliesWaitForACommit: while the machine holds as much as it may, large replies are kept for it in their order, and small ones
// are not; they count in the budget until it has them, or until there is nobody to be told.
func TestLargeRepliesWaitForACommit(t *testing.T) {
	for name, bulk := range map[string]bool{"alone": false, "in a bulk": true} {
		t.Run(name, func(t *testing.T) {
			l, release := keepLarge(t, bulk, false)
			release()
			l.written("a", "b", "c", "d", "small")
			l.wantAnswered("c", "d")
			if room := l.room.Load(); room != 0 {
				t.Errorf("%d bytes of the budget are held", room)
			}
		})
		t.Run(name+", to the end", func(t *testing.T) {
			l, release := keepLarge(t, bulk, false)
			l.stop()
			<-l.looped
			release()
			if err := <-l.ended; err != nil {
				t.Fatal(err)
			}
			if room := l.room.Load(); room != 0 {
				t.Errorf("%d bytes of the budget are held", room)
			}
		})
	}
}

// TestLargeReplyFollowsTheCut: when a cut has made room, the first reply that waits is told at once, and not with the end of the commit.
func TestLargeReplyFollowsTheCut(t *testing.T) {
	l, release := keepLarge(t, false, true)
	l.hold <- struct{}{} // the commit of a ends, and the next one takes what b brought
	<-l.reached
	select {
	case got := <-l.answered:
		if got != "c" {
			t.Errorf("the machine was told of %s, want c", got)
		}
	case <-time.After(patience / 4):
		t.Error("the machine was not told of c while the commit is out")
	}
	release()
	l.written("a", "b", "c", "d", "small")
}

// largeLife is a life that tells of what the machine was told.
type largeLife struct {
	*life
	answered chan string
	hold     chan struct{} // what is sent lets one commit go
	reached  chan struct{} // has one for each commit that is held
}

// written waits for the outputs of all ids.
func (l *largeLife) written(ids ...string) {
	l.t.Helper()
	for _, id := range ids {
		want := largeBytes
		if id == "small" || id == "first" {
			want = len("small")
		}
		l.until("the output of "+id, func() bool { return len(l.got(id)) == want })
	}
}

func (l *largeLife) wantAnswered(ids ...string) {
	l.t.Helper()
	for _, id := range ids {
		if got := <-l.answered; got != id {
			l.t.Fatalf("the machine was told of %s, want %s", got, id)
		}
	}
}

// kept waits until the loop keeps so many replies.
func (l *largeLife) kept(want int) {
	for n := -1; n != want; runtime.Gosched() {
		seen := make(chan int)
		l.inbox.post(func(*machine.Machine) { seen <- len(l.large) })
		n = <-seen
	}
}

// keepLarge has a life keep the replies of c and d, while those of a, b and small are told, and answers what ends the commit. quiet: nothing but calls and commits
// wakes the loop, for no source waits either.
func keepLarge(t *testing.T, bulk, quiet bool) (l *largeLife, release func()) {
	f := &largeFunction{t: t, bulk: bulk, letGo: map[string]chan struct{}{}}
	for _, id := range []string{"a", "b", "c", "d", "small"} {
		f.letGo[id] = make(chan struct{})
	}
	hold, reached := make(chan struct{}), make(chan struct{}, 100)
	release = sync.OnceFunc(func() { close(hold) })
	var blocks atomic.Bool
	store := newStore(func(*statestore.Commit) memory.Fault {
		if blocks.Load() {
			reached <- struct{}{}
			<-hold
		}
		return memory.FaultNone
	})
	l = &largeLife{answered: make(chan string, 100), hold: hold, reached: reached}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	l.life = begin(t, store, &function{url: server.URL}, func(c *Config) {
		c.Machine.EffectBytesMax = largeBytes
		c.Machine.YoungRequests = 1
		c.Hooks.Answered = func(call *machine.Call, _ *machine.Reply, failure *endpoint.Failure, _ time.Duration) {
			if failure != nil {
				t.Errorf("call of %s: %s", call.Target.ID, failure.Text)
			}
			l.answered <- call.Target.ID
		}
		if quiet {
			c.Deliver = func(p statestore.OutputPack) { l.record(p) }
			c.RenewEvery, c.watchEvery, c.Machine.SweepInterval = time.Hour, time.Hour, time.Hour.Milliseconds()
		}
	})
	t.Cleanup(release)
	l.arrive(0, "first")
	l.written("first")
	l.wantAnswered("first")
	blocks.Store(true)
	if quiet {
		l.inbox.post(func(m *machine.Machine) {
			for i, id := range []string{"a", "b", "c", "d", "small"} {
				m.Event(eventTo(id), uint64(1000+i))
			}
		})
		<-reached
		hold <- struct{}{}
	} else {
		l.arrive(1, "a", "b", "c", "d", "small")
	}
	close(f.letGo["a"])
	l.wantAnswered("a")
	<-reached // what a brought is in a commit now, and does not count any more
	close(f.letGo["b"])
	l.wantAnswered("b")
	close(f.letGo["c"])
	l.kept(1)
	close(f.letGo["d"])
	l.kept(2)
	close(f.letGo["small"])
	l.wantAnswered("small")
	if got := f.bulks.Load(); got != map[bool]int64{true: 1}[bulk] {
		t.Errorf("%d bulks", got)
	}
	return l, release
}
