package admin

import (
	"context"
	"fmt"
	"sync"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/statestore"
)

// fakeMender notes what it is asked for, and answers what a test says.
type fakeMender struct {
	outcome func(what string) error // nil: all is done
	batch   dispatcher.Batch
	paused  report.PauseDone
	version string
	next    uint64
	last    uint64
	lastErr error

	mu    sync.Mutex
	asked []string // guarded by mu
	by    string   // of the last one; guarded by mu
}

func (f *fakeMender) note(by, format string, args ...any) error {
	what := fmt.Sprintf(format, args...)
	f.mu.Lock()
	f.asked, f.by = append(f.asked, what), by
	f.mu.Unlock()
	if f.outcome == nil {
		return nil
	}
	return f.outcome(what)
}

func (f *fakeMender) Retry(_ context.Context, a api.Address, by string) error {
	return f.note(by, "retry %v", a)
}

func (f *fakeMender) Skip(_ context.Context, a api.Address, message uint64, by string) error {
	return f.note(by, "skip %v %d", a, message)
}

func (f *fakeMender) Pause(_ context.Context, p statestore.Pause) (report.PauseDone, error) {
	return f.paused, f.note(p.By, "pause %d %v %q ended %v", p.Kind, p.Address, p.Ingress, p.Ended)
}

func (f *fakeMender) ReplayOne(_ context.Context, number uint64, to *api.Address, by string) error {
	if to == nil {
		return f.note(by, "replay %d", number)
	}
	return f.note(by, "replay %d to %v", number, *to)
}

func (f *fakeMender) DiscardOne(_ context.Context, number uint64, by string) error {
	return f.note(by, "discard %d", number)
}

func (f *fakeMender) LastDeadLetter(context.Context) (uint64, error) { return f.last, f.lastErr }

func (f *fakeMender) Replay(_ context.Context, s dispatcher.Selection, by string) (dispatcher.Batch, error) {
	return f.batch, f.note(by, "replay %+v", s)
}

func (f *fakeMender) Discard(_ context.Context, s dispatcher.Selection, by string) (dispatcher.Batch, error) {
	return f.batch, f.note(by, "discard %+v", s)
}

func (f *fakeMender) EditState(_ context.Context, a api.Address, e dispatcher.Edit, by string) (string, error) {
	when := "whatever is there"
	if e.If != nil {
		when = fmt.Sprintf("if %q", *e.If)
	}
	if e.Delete {
		return "", f.note(by, "delete %v %q %s", a, e.State, when)
	}
	return f.version, f.note(by, "set %v %q to %s %q %s", a, e.State, e.Value.TypeName, e.Value.Value, when)
}

func (f *fakeMender) ForgetIngress(_ context.Context, id, by string) error {
	return f.note(by, "forget ingress %q", id)
}

func (f *fakeMender) Noted(_ context.Context, what, on, detail, by string) error {
	return f.note(by, "noted %s on %s: %s", what, on, detail)
}

func (f *fakeMender) ForgetEgress(_ context.Context, id, by string) error {
	return f.note(by, "forget egress %q", id)
}

func (f *fakeMender) Decide(_ context.Context, egress string, slot int, d report.Decision, by string) (uint64, error) {
	return f.next, f.note(by, "decide %q %d %+v", egress, slot, d)
}
