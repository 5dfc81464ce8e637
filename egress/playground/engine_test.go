package playground

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/statestore"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 90 * time.Second

var lane = statestore.LaneID{Egress: "io.statefun.playground/egress"}

// engine is a store with one lane, from number 1 on. What is delivered is forgotten in whole packs, as stores do.
type engine struct {
	t *testing.T

	mu        sync.Mutex // guards all below
	packs     []statestore.OutputPack
	next      uint64
	low       uint64
	dead      []api.DeadLetter
	refusals  int             // that were asked for
	reads     int             // that were asked for
	full      chan struct{}   // not nil: dead letters wait until it is closed
	slow      chan struct{}   // not nil: reads wait until it is closed
	read      func(found int) // told how many packs a read has found, before it is answered; may be nil
	away      int             // reads that fail
	delivered chan struct{}   // closed, and made anew, with each change
}

var errAway = errors.New("away")

func newEngine(t *testing.T) *engine {
	return &engine{t: t, next: 1, low: 1, delivered: make(chan struct{})}
}

// commit makes outputs durable, and answers what a relay is offered.
func (e *engine) commit(outputs ...api.Output) statestore.OutputPack {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := statestore.OutputPack{Lane: lane, First: e.next, Outputs: outputs}
	e.packs = append(e.packs, p)
	e.next += uint64(len(outputs))
	return p
}

// lane is what a claim finds: a pack of which anything is left is there as a whole, and nothing says what of it was delivered.
func (e *engine) lane() statestore.Lane {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.low = e.next
	if len(e.packs) > 0 {
		e.low = e.packs[0].First
	}
	return statestore.Lane{LaneID: lane, Low: e.low, Next: e.next}
}

func (e *engine) Outputs(ctx context.Context, id statestore.LaneID, from uint64, bytesMax int) (found []statestore.OutputPack, err error) {
	e.mu.Lock()
	slow := e.slow
	e.mu.Unlock()
	if slow != nil {
		select {
		case <-slow:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	defer func() {
		if e.read != nil && err == nil {
			e.read(len(found))
		}
	}()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.reads++; e.away > 0 {
		e.away--
		return nil, errAway
	}
	for _, p := range e.packs {
		if behind(&p) <= from {
			continue
		}
		if len(found) > 0 && bytesMax <= 0 {
			break
		}
		for i := range p.Outputs {
			bytesMax -= p.Outputs[i].Size()
		}
		for _, d := range e.dead {
			if n := uint64(d.Offset); n >= p.First && n < behind(&p) {
				p.Refused = append(slices.Clone(p.Refused), n)
			}
		}
		slices.Sort(p.Refused)
		found = append(found, p)
	}
	return found, nil
}

func (e *engine) Owns(context.Context) error                       { return nil }
func (e *engine) Claimed(context.Context, string) (bool, error)    { return true, nil }
func (e *engine) Started(context.Context, statestore.LaneID) error { return nil }
func (e *engine) Refuse(ctx context.Context, _ statestore.LaneID, dead []api.DeadLetter) error {
	e.mu.Lock()
	if len(dead) == 0 {
		e.t.Error("nothing is to be set aside")
	}
	full := e.full
	e.refusals++
	e.changed()
	e.mu.Unlock()
	if full != nil {
		select {
		case <-full:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dead = append(e.dead, dead...)
	e.changed()
	return nil
}

func (e *engine) changed() {
	close(e.delivered)
	e.delivered = make(chan struct{})
}

func (e *engine) Delivered(id statestore.LaneID, below uint64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if id != lane || below <= e.low || below > e.next {
		e.t.Errorf("delivered below %d of %v; low is %d, next %d", below, id, e.low, e.next)
	}
	e.low = below
	e.packs = slices.DeleteFunc(e.packs, func(p statestore.OutputPack) bool { return behind(&p) <= below })
	e.changed()
}

// until waits for something that the engine is told.
func (e *engine) until(what string, ok func() bool) {
	e.t.Helper()
	limit := time.After(patience)
	for {
		e.mu.Lock()
		done, changed := ok(), e.delivered
		e.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-limit:
			e.t.Fatalf("waited %v: %s", patience, what)
		}
	}
}

func output(topic, payload string) api.Output {
	value, _ := json.Marshal(map[string]string{"topic": topic, "payload": payload})
	return raw(recordType, string(value))
}

func raw(typeName, value string) api.Output {
	return api.Output{
		Sender: api.Address{Type: api.FunctionType{Namespace: "test", Name: "f"}, ID: "a"},
		Value:  api.TypedValue{TypeName: typeName, HasValue: true, Value: []byte(value)},
	}
}

// life is a relay that runs.
type life struct {
	*Relay
	t      *testing.T
	end    context.CancelFunc
	ended  chan error
	passed chan struct{} // has a token when the relay has gone through what it was offered

	told    sync.Mutex
	pending int64    // as it was told last; guarded by told
	states  []string // conditions, in the order in which they were told; guarded by told
}

func begin(t *testing.T, e *engine, memory int, topics ...string) *life {
	t.Helper()
	l := prepare(t, e, memory, topics...)
	l.run()
	return l
}

// prepare makes a relay that does not run.
func prepare(t *testing.T, e *engine, memory int, topics ...string) *life {
	l := &life{t: t, ended: make(chan error, 1), passed: make(chan struct{}, 1)}
	state := func(text string) {
		l.told.Lock()
		defer l.told.Unlock()
		if n := len(l.states); n == 0 || l.states[n-1] != text {
			l.states = append(l.states, text)
		}
	}
	l.Relay = New(Config{
		ID: lane.Egress, Address: "127.0.0.1:0", Place: "module.yaml:1:1", Topics: topics, MemoryBytesMax: memory, Log: slog.New(slog.DiscardHandler),
		Hooks: egress.Hooks{
			Pending: func(_ string, outputs int64, _ float64) {
				l.told.Lock()
				l.pending = outputs
				l.told.Unlock()
				select {
				case l.passed <- struct{}{}:
				default:
				}
			},
			Degraded:  func(key, text string) { state("begins " + key + ": " + text) },
			Recovered: func(key string) { state("ends " + key) },
		},
	}, e.lane(), e)
	return l
}

func (l *life) run() {
	ctx, end := context.WithCancel(l.t.Context())
	l.end = end
	go func() { l.ended <- l.Run(ctx) }()
	l.t.Cleanup(l.stop)
}

// saysPending waits until the relay says that so many outputs wait.
func (l *life) saysPending(want int64) {
	l.t.Helper()
	for limit := time.After(patience); ; {
		l.told.Lock()
		got := l.pending
		l.told.Unlock()
		if got == want {
			return
		}
		select {
		case <-l.passed:
		case <-limit:
			l.t.Fatalf("waited %v for %d outputs that wait; told are %d", patience, want, got)
		}
	}
}

func (l *life) stop() {
	if l.end == nil {
		return
	}
	l.end()
	l.end = nil
	if err := <-l.ended; err != nil {
		l.t.Error(err)
	}
}

// sorts waits until all that was offered has been sorted.
func (l *life) sorts() {
	l.t.Helper()
	for limit := time.After(patience); ; {
		l.mu.Lock()
		done := l.sorted == l.known
		l.mu.Unlock()
		if done {
			return
		}
		select {
		case <-l.passed:
		case <-limit:
			l.t.Fatalf("waited %v for outputs to be sorted", patience)
		}
	}
}

// get asks for a topic's next record.
func (l *life) get(topic string) (code int, status, body string) {
	w := httptest.NewRecorder()
	l.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/"+topic, nil))
	return w.Code, w.Header().Get("Status"), w.Body.String()
}

func (l *life) want(topic string, payloads ...string) {
	l.t.Helper()
	for _, want := range payloads {
		if code, status, got := l.get(topic); code != 200 || status != "200" || got != want {
			l.t.Fatalf("topic %s: %d, %s, %q; want %q", topic, code, status, got, want)
		}
	}
}

func (l *life) wantNothing(topic string) {
	l.t.Helper()
	if code, status, got := l.get(topic); code != 404 || status != "404" || got != "" {
		l.t.Fatalf("topic %s: %d, %s, %q; want nothing", topic, code, status, got)
	}
}

func numbered(prefix string, from, to int) (all []string) {
	for i := from; i < to; i++ {
		all = append(all, fmt.Sprint(prefix, i))
	}
	return all
}
