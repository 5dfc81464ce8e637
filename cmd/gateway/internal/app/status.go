package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/ingress"
	"github.com/stategate/stategate/statestore"
)

// troubles gathers the conditions that the parts have stated and not taken back.
type troubles struct {
	mu     sync.Mutex
	active map[string]report.Condition // by key; guarded by mu
}

func newTroubles() *troubles { return &troubles{active: map[string]report.Condition{}} }

func (t *troubles) begin(key, text string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, lasts := t.active[key]
	if !lasts {
		c = report.Condition{Key: key, Since: time.Now()}
	}
	c.Text = text
	t.active[key] = c
}

func (t *troubles) end(key string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.active, key)
}

// reasons lists what is stated. The kind is the first word of the key: ingress, egress or store.
func (t *troubles) reasons() []report.Reason {
	var out []report.Reason
	for _, c := range t.all() {
		kind, _, _ := strings.Cut(c.Key, " ")
		out = append(out, report.Reason{Kind: kind, Text: c.Key + ": " + c.Text})
	}
	return out
}

// all is what is stated, sorted by key.
func (t *troubles) all() []report.Condition {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := make([]report.Condition, 0, len(t.active))
	for _, key := range slices.Sorted(maps.Keys(t.active)) {
		out = append(out, t.active[key])
	}
	return out
}

// of is what is stated of one ingress or egress.
func of(all []report.Condition, kind, id string) []report.Condition {
	var out []report.Condition
	for _, c := range all {
		rest, ok := strings.CutPrefix(c.Key, kind+" "+id)
		if ok && (rest == "" || rest[0] == ' ' || rest[0] == ':') {
			out = append(out, c)
		}
	}
	return out
}

func (a *App) ingressHooks() ingress.Hooks {
	h := a.cfg.Hooks.Ingress
	lag := h.Lag
	h.Lag = func(source api.Source, records int64) {
		a.lags.set(source, records)
		if lag != nil {
			lag(source, records)
		}
	}
	h.Degraded, h.Recovered = both(h.Degraded, a.troubles.begin), bothEnds(h.Recovered, a.troubles.end)
	return h
}

func (a *App) egressHooks() egress.Hooks {
	h := a.cfg.Hooks.Egress
	h.Degraded, h.Recovered = both(h.Degraded, a.troubles.begin), bothEnds(h.Recovered, a.troubles.end)
	if a.cfg.Tracer != nil {
		h.Traced = a.cfg.Tracer.Sent
	}
	return h
}

func (a *App) dispatcherHooks() dispatcher.Hooks {
	h := a.cfg.Hooks.Dispatcher
	deadLetter := h.DeadLetter
	h.DeadLetter = func(d *api.DeadLetter) {
		a.dead.Add(1)
		if deadLetter != nil {
			deadLetter(d)
		}
	}
	h.Degraded, h.Recovered = both(h.Degraded, a.troubles.begin), bothEnds(h.Recovered, a.troubles.end)
	if a.cfg.Tracer != nil {
		h.Traces = a.cfg.Tracer.Dispatcher(a.endpointOf)
	}
	return h
}

func both(first, second func(key, text string)) func(key, text string) {
	return func(key, text string) {
		if first != nil {
			first(key, text)
		}
		second(key, text)
	}
}

func bothEnds(first, second func(key string)) func(key string) {
	return func(key string) {
		if first != nil {
			first(key)
		}
		second(key)
	}
}

// lookMax bounds a look at the loop or the store on behalf of somebody who asks for the status.
const lookMax = 2 * time.Second

// Turning reports whether the loop of the incarnation turns. A member without one is healthy.
func (a *App) Turning(ctx context.Context) bool {
	d := a.life.Load()
	if d == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, lookMax)
	defer cancel()
	return d.Ping(ctx) == nil || a.life.Load() != d
}

// Status looks at everything.
func (a *App) Status(ctx context.Context) report.Status {
	ctx, cancel := context.WithTimeout(ctx, lookMax)
	defer cancel()
	s := report.Status{Reasons: a.troubles.reasons()}
	d := a.life.Load()
	if a.draining.Load() {
		s.Unready = "draining"
	}
	if d == nil {
		a.standby(ctx, &s)
		return s
	}
	s.Active = true
	if away := d.StoreAway(); away != "" && s.Unready == "" {
		s.Unready = "the store is away: " + away
	}
	if reasons, err := d.Reasons(ctx); err == nil {
		for _, r := range reasons {
			s.Reasons = append(s.Reasons, report.Reason{Kind: r.Kind, Text: r.Text})
		}
	}
	return s
}

// standby asks the store who works. While nobody does, this member is about to, or waits for a lease to end.
func (a *App) standby(ctx context.Context, s *report.Status) {
	_, owned, err := a.cfg.Store.Owner(ctx)
	switch {
	case s.Unready != "":
	case err != nil:
		s.Unready = "the store is away: " + err.Error()
	case !owned:
		s.Unready = "starting"
		if found, err := a.cfg.Store.Members(ctx); err == nil {
			s.Unready += silentOwner(found, a.member.ID, time.Now())
		}
	}
}

// silentAfter is how long an owner's lease may be over before it is told: who takes over from one that is gone does so at once.
const silentAfter = 2 * time.Second

// silentOwner names an owner whose lease is over and whom nobody has taken over from: a process that is frozen keeps the lock of a file. "": there
// is none.
func silentOwner(found []statestore.MemberState, self string, now time.Time) string {
	for i := range found {
		m := &found[i]
		if m.Epoch != 0 && !m.Active && m.ID != self && now.Sub(m.Until) >= silentAfter {
			return fmt.Sprintf("; process %d on %s owned the store and has said nothing for %s: if it is still there, it is frozen, and is to be ended (kill -9 %[1]d)", m.PID, m.Host, now.Sub(m.Until).Round(time.Second))
		}
	}
	return ""
}

// Gauges is what is at hand right now; zero on a standby.
func (a *App) Gauges() machine.Gauges {
	d := a.life.Load()
	if d == nil {
		return machine.Gauges{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookMax)
	defer cancel()
	g, _ := d.Gauges(ctx) // an incarnation that ends right now has none
	return g
}

// DeadCount is how many dead letters there are.
func (a *App) DeadCount() uint64 { return a.dead.Load() }
