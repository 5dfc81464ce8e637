package kinesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/ingress"
	"github.com/stategate/stategate/statestore"
)

const patience = 90 * time.Second

// engine is what an ingress sees of the engine, with the rules that count here: what is finished is committed, what is only at hand is
// lost with the engine, and Start keeps what is at hand and forgets what was finished above.
type engine struct {
	t  *testing.T
	mu sync.Mutex

	progress map[api.Source]statestore.Progress // committed
	seen     map[api.Source]int64
	atHand   map[api.Source][]api.Record // not finished
	hold     func(r *api.Record) bool    // do not finish; nil: finish all at once
	effects  map[string]int              // how often the record with a value took effect
	order    map[string][]string         // by id: values in the order of their effects
	arrived  map[string]bool             // values that any life was given
	deads    []api.DeadLetter
	starts   []statestore.Progress
	commits  int // Start calls
	dead     bool
	changed  chan struct{}
	gate     chan struct{} // Arrive waits while it is there
	waiting  bool          // it does
	late     bool          // Arrive answers only when its context has ended, although it has taken the records
}

var errDead = errors.New("the incarnation has ended")

func newEngine(t *testing.T) *engine {
	return &engine{t: t, progress: map[api.Source]statestore.Progress{}, seen: map[api.Source]int64{}, atHand: map[api.Source][]api.Record{},
		effects: map[string]int{}, order: map[string][]string{}, arrived: map[string]bool{}, changed: make(chan struct{})}
}

func (e *engine) notify() { close(e.changed); e.changed = make(chan struct{}) }

// crash ends this engine and answers one that knows what was committed.
func (e *engine) crash() *engine {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dead = true
	again := newEngine(e.t)
	again.effects, again.order, again.deads, again.arrived = e.effects, e.order, e.deads, e.arrived
	for s, p := range e.progress {
		again.progress[s], again.seen[s] = p.Clone(), p.Position()
	}
	return again
}

func (e *engine) Progress(source api.Source) (statestore.Progress, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, ok := e.progress[source]
	return p.Clone(), ok
}

func (e *engine) Start(ctx context.Context, starts []statestore.Progress) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.dead || ctx.Err() != nil {
		return errDead
	}
	e.commits++
	for _, p := range starts {
		for _, r := range e.atHand[p.Source] {
			e.effect(&r) // kept as a message: it will run, once
		}
		delete(e.atHand, p.Source)
		e.starts = append(e.starts, p.Clone())
		e.progress[p.Source], e.seen[p.Source] = p.Clone(), p.Position()
	}
	e.notify()
	return nil
}

// waits reports whether the record is not finished: it is held, or one of its id before it is.
func (e *engine) waits(r *api.Record) bool {
	for _, held := range e.atHand {
		if slices.ContainsFunc(held, func(h api.Record) bool { return h.ID == r.ID }) {
			return true
		}
	}
	return e.hold != nil && e.hold(r)
}

func (e *engine) effect(r *api.Record) {
	v := string(r.Value.Value)
	e.effects[v]++
	if n := e.effects[v]; n > 1 {
		e.t.Errorf("record %q took effect %d times", v, n)
	}
	e.order[r.ID] = append(e.order[r.ID], v)
}

func (e *engine) Arrive(ctx context.Context, source api.Source, records []api.Record) error {
	err := e.arrive(ctx, source, records)
	e.mu.Lock()
	late := e.late
	e.mu.Unlock()
	if late {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

func (e *engine) arrive(ctx context.Context, source api.Source, records []api.Record) error {
	e.mu.Lock()
	gate := e.gate
	if gate != nil {
		e.waiting = true
		e.notify()
	}
	e.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.dead {
		return errDead
	}
	p, ok := e.progress[source]
	if !ok {
		e.t.Errorf("records of %s arrive before its start is durable", source)
		return errDead
	}
	if a, err := parseAnchor(p.TopicID); err != nil || a.kind != kindAfter {
		e.t.Errorf("records of %s arrive while its anchor is %q", source, p.TopicID)
	}
	for _, r := range records {
		if r.Offset < e.seen[source] || p.Targets[0].Done.Contains(r.Offset) {
			continue
		}
		if r.Offset > e.seen[source] && !p.Targets[0].Done.Contains(e.seen[source]) {
			e.t.Errorf("%s: offset %d arrives, %d was expected", source, r.Offset, e.seen[source])
		}
		e.seen[source] = r.Offset + 1
		e.arrived[string(r.Value.Value)] = true
		switch {
		case r.Dead != nil:
			e.deads = append(e.deads, *r.Dead)
		case e.waits(&r):
			e.atHand[source] = append(e.atHand[source], r)
			continue
		default:
			e.effect(&r)
		}
		for i := range p.Targets {
			p.Targets[i].Done.Add(r.Offset, r.Offset+1)
		}
	}
	e.progress[source] = p
	e.notify()
	return nil
}

// until waits until the condition holds of the engine; it is asked with the lock held.
func (e *engine) until(what string, holds func() bool) {
	e.t.Helper()
	deadline := time.After(patience)
	for {
		e.mu.Lock()
		changed, ok := e.changed, holds()
		e.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			e.mu.Lock()
			defer e.mu.Unlock()
			e.t.Fatalf("waited in vain for: %s (effects %d, starts %v)", what, len(e.effects), e.starts)
		}
	}
}

func (e *engine) untilEffects(n int) {
	e.t.Helper()
	e.until(fmt.Sprintf("%d effects", n), func() bool { return len(e.effects) >= n })
}

// untilAnchor waits for an anchor that satisfies.
func (e *engine) untilAnchor(source api.Source, what string, ok func(a anchor) bool) {
	e.t.Helper()
	e.until(fmt.Sprintf("an anchor of %s %s", source, what), func() bool {
		a, err := parseAnchor(e.progress[source].TopicID)
		return err == nil && ok(a)
	})
}

// observed is what the hooks have told.
type observed struct {
	t       *testing.T
	mu      sync.Mutex
	active  map[string]string
	read    int
	changed chan struct{}
}

func observe(t *testing.T) *observed {
	return &observed{t: t, active: map[string]string{}, changed: make(chan struct{})}
}

func (o *observed) hooks() ingress.Hooks {
	set := func(f func()) {
		o.mu.Lock()
		defer o.mu.Unlock()
		f()
		close(o.changed)
		o.changed = make(chan struct{})
	}
	return ingress.Hooks{
		Records:   func(_ api.Source, n, _ int) { set(func() { o.read += n }) },
		Degraded:  func(key, text string) { set(func() { o.active[key] = text }) },
		Recovered: func(key string) { set(func() { delete(o.active, key) }) },
	}
}

func (o *observed) until(what string, holds func() bool) {
	o.t.Helper()
	deadline := time.After(patience)
	for {
		o.mu.Lock()
		changed, ok := o.changed, holds()
		o.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			o.mu.Lock()
			defer o.mu.Unlock()
			o.t.Fatalf("waited in vain for: %s (conditions %v)", what, o.active)
		}
	}
}

func (o *observed) untilDegraded(suffix string) (text string) {
	o.t.Helper()
	o.until("condition "+suffix, func() bool {
		for key, tx := range o.active {
			if strings.HasSuffix(key, suffix) {
				text = tx
				return true
			}
		}
		return false
	})
	return text
}

func (o *observed) untilRecovered(suffix string) {
	o.t.Helper()
	o.until("the end of condition "+suffix, func() bool {
		for key := range o.active {
			if strings.HasSuffix(key, suffix) {
				return false
			}
		}
		return true
	})
}
