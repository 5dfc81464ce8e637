package kafka

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/ingress"
	"github.com/stategate/stategate/statestore"
)

// engine is what an ingress sees of the engine: it finishes what arrives at once, unless told to hold it.
type engine struct {
	t  *testing.T
	mu sync.Mutex

	progress map[api.Source]statestore.Progress
	starts   []statestore.Progress
	records  map[api.Source][]api.Record
	high     map[api.Source]int64         // after the last record that arrived
	gates    map[api.Source]chan struct{} // Arrive waits while the gate is shut
	held     map[api.Source]bool          // what arrives is not finished
	waiting  map[api.Source]bool          // Arrive waits at the gate
	changed  chan struct{}
	failWith error

	starting func(starts []statestore.Progress) error // before a start is durable; an error leaves it out
	commits  [][]api.Source                           // sources of each start
}

func newEngine(t *testing.T) *engine {
	return &engine{t: t, progress: map[api.Source]statestore.Progress{}, records: map[api.Source][]api.Record{},
		high: map[api.Source]int64{}, gates: map[api.Source]chan struct{}{}, held: map[api.Source]bool{}, waiting: map[api.Source]bool{}, changed: make(chan struct{})}
}

func (e *engine) notify() { close(e.changed); e.changed = make(chan struct{}) }

func (e *engine) Progress(source api.Source) (statestore.Progress, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, ok := e.progress[source]
	return p.Clone(), ok
}

func (e *engine) Start(_ context.Context, starts []statestore.Progress) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	var sources []api.Source
	for _, p := range starts {
		sources = append(sources, p.Source)
	}
	e.commits = append(e.commits, sources)
	if e.starting != nil {
		if err := e.starting(starts); err != nil {
			return err
		}
	}
	for _, p := range starts {
		e.starts = append(e.starts, p.Clone())
		e.progress[p.Source] = p.Clone()
		e.high[p.Source] = p.Start
	}
	e.notify()
	return nil
}

// restart is an engine that knows what this one has committed and nothing else.
func (e *engine) restart() *engine {
	e.mu.Lock()
	defer e.mu.Unlock()
	again := newEngine(e.t)
	for s, p := range e.progress {
		again.progress[s], again.high[s] = p.Clone(), p.Position()
	}
	return again
}

func (e *engine) Arrive(ctx context.Context, source api.Source, records []api.Record) error {
	e.mu.Lock()
	gate := e.gates[source]
	if gate != nil {
		e.waiting[source] = true
		e.notify()
	}
	failWith := e.failWith
	e.mu.Unlock()
	if failWith != nil {
		return failWith
	}
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.progress[source]; !ok {
		e.t.Errorf("records of %s arrive before its start is durable", source)
	}
	for _, r := range records {
		if r.Offset < e.high[source] {
			e.t.Errorf("%s: offset %d arrives after %d", source, r.Offset, e.high[source]-1)
		}
		e.high[source] = r.Offset + 1
		e.records[source] = append(e.records[source], r)
	}
	if !e.held[source] {
		p := e.progress[source]
		for i := range p.Targets {
			p.Targets[i].Done.Watermark = e.high[source]
		}
	}
	e.notify()
	return nil
}

// visible is what arrived for a target or as a dead letter.
func (e *engine) visible(source api.Source) []api.Record {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []api.Record
	for _, r := range e.records[source] {
		if len(r.Routes) > 0 || r.Dead != nil {
			out = append(out, r)
		}
	}
	return out
}

// until waits until the condition holds of the engine.
func (e *engine) until(what string, holds func() bool) {
	e.t.Helper()
	deadline := time.After(patience)
	for {
		e.mu.Lock()
		changed := e.changed
		e.mu.Unlock()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			e.t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func (e *engine) untilArrived(source api.Source, n int) []api.Record {
	e.t.Helper()
	e.until(fmt.Sprintf("%d records of %s", n, source), func() bool { return len(e.visible(source)) >= n })
	return e.visible(source)
}

func (e *engine) startOf(source api.Source) (int64, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := len(e.starts) - 1; i >= 0; i-- {
		if e.starts[i].Source == source {
			return e.starts[i].Start, true
		}
	}
	return 0, false
}

func (e *engine) untilStarted(source api.Source) int64 {
	e.t.Helper()
	e.until("start of "+source.String(), func() bool { _, ok := e.startOf(source); return ok })
	offset, _ := e.startOf(source)
	return offset
}

// observed is what the hooks have told.
type observed struct {
	t       testing.TB
	mu      sync.Mutex
	active  map[string]string
	ever    map[string]int
	skipped map[string]int
	lag     map[api.Source]int64
	read    int
	changed chan struct{}
}

func observe(t testing.TB) *observed {
	return &observed{t: t, active: map[string]string{}, ever: map[string]int{}, skipped: map[string]int{}, lag: map[api.Source]int64{}, changed: make(chan struct{})}
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
		Skipped:   func(_ api.Source, reason string) { set(func() { o.skipped[reason]++ }) },
		Lag:       func(s api.Source, n int64) { set(func() { o.lag[s] = n }) },
		Degraded:  func(key, text string) { set(func() { o.active[key] = text; o.ever[key]++ }) },
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
	return o.untilSaid(suffix, "")
}

// untilSaid waits for a condition whose text has a part: it may begin with another one, which says less.
func (o *observed) untilSaid(suffix, part string) (text string) {
	o.t.Helper()
	o.until(fmt.Sprintf("condition %s with %q", suffix, part), func() bool {
		for key, tx := range o.active {
			if strings.HasSuffix(key, suffix) && strings.Contains(tx, part) {
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
