package app

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/nearest"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/statestore"
)

// What operators change. It is done by the member that works, and noted in the same commit; the log tells of it, too.

// works is the incarnation that can change something, or whom to ask.
func (a *App) works(ctx context.Context) (*incarnation, error) {
	l := a.working.Load()
	if l == nil {
		return nil, a.waits(ctx)
	}
	return l, nil
}

// acts lets an incarnation do something that an operator wants.
func (a *App) acts(ctx context.Context, what, on, by string, do func(d *dispatcher.Dispatcher) error) error {
	l, err := a.works(ctx)
	if err != nil {
		return err
	}
	if err := do(l.dispatcher); err != nil {
		return err
	}
	a.log.Info("an operator acts", "what", what, "on", logged(on), "by", by)
	return nil
}

// logged cuts what an id may make as long as itself.
func logged(on string) string {
	const bytesMax = 300
	if len(on) <= bytesMax {
		return on
	}
	return strings.ToValidUTF8(on[:bytesMax], "") + "..."
}

// Retry calls an address now that waits for its next attempt.
func (a *App) Retry(ctx context.Context, address api.Address, by string) error {
	return a.acts(ctx, "retry", address.String(), by, func(d *dispatcher.Dispatcher) error { return d.Retry(ctx, address, by) })
}

// Skip makes the message at the front of an address a dead letter.
func (a *App) Skip(ctx context.Context, address api.Address, message uint64, by string) error {
	return a.acts(ctx, "skip", address.String(), by, func(d *dispatcher.Dispatcher) error { return d.Skip(ctx, address, message, by) })
}

// Pause pauses an address, a function or an ingress, or ends that.
func (a *App) Pause(ctx context.Context, p statestore.Pause) (done report.PauseDone, err error) {
	what, on := "pause", pauseOn(p)
	switch {
	case p.Kind == statestore.PauseIngress && !p.Ended && !slices.Contains(a.ingressIDs(), p.Ingress):
		return done, fmt.Errorf("%w: the module declares no ingress %s", dispatcher.ErrNothing, p.Ingress)
	case p.Kind == statestore.PauseFunction && !p.Ended && strings.HasSuffix(on, "*"):
		return done, &dispatcher.Objection{Detail: on + " stands for many functions, and is none", Remedy: "pause them one by one: gateway functions lists those that have been called"}
	case p.Ended:
		what = "resume"
	}
	l, err := a.works(ctx)
	if err == nil && p.Kind == statestore.PauseFunction && !p.Ended {
		done.Unheard = a.unheard(ctx, l.dispatcher, p.Address.Type)
	}
	if err == nil {
		done.Changed, err = l.dispatcher.Pause(ctx, p)
	}
	switch {
	case err != nil:
	case done.Changed:
		a.log.Info("an operator acts", "what", what, "on", logged(on), "by", p.By)
	case p.Ended:
		if inForce, err := l.dispatcher.Paused(ctx); err == nil { // else nothing is proposed
			done.Near = nearPause(p, inForce)
		}
	}
	return done, err
}

// unheard reports whether nothing is known of a function but that its name fits a pattern, as a mistyped name does. That it cannot be told
// now is no reason not to pause.
func (a *App) unheard(ctx context.Context, d *dispatcher.Dispatcher, t api.FunctionType) bool {
	if e, declared := a.cfg.Module.Endpoint(t); !declared || !e.Functions.All {
		return false
	}
	known, err := d.Functions(ctx)
	return err == nil && !slices.ContainsFunc(known, func(f machine.FunctionState) bool { return f.Name == t })
}

// pauseOn is what a pause is of.
func pauseOn(p statestore.Pause) string {
	switch p.Kind {
	case statestore.PauseAddress:
		return p.Address.String()
	case statestore.PauseFunction:
		return p.Address.Type.String()
	}
	return p.Ingress
}

// nearPause is the one among those in force that was probably meant by one that is not; nil: none is alike.
func nearPause(p statestore.Pause, inForce []statestore.Pause) *statestore.Pause {
	const bytesMax = 256 // longer ids are no words that somebody types
	found := map[string]*statestore.Pause{}
	var known []string
	for i := range inForce {
		if on := pauseOn(inForce[i]); inForce[i].Kind == p.Kind && len(on) <= bytesMax {
			found[on], known = &inForce[i], append(known, on)
		}
	}
	return found[nearest.Word(pauseOn(p), known)]
}

// ReplayOne lets a dead letter take effect after all. to is where a record goes that has no address.
func (a *App) ReplayOne(ctx context.Context, number uint64, to *api.Address, by string) error {
	err := a.acts(ctx, "replay", fmt.Sprintf("dead letter %d", number), by, func(d *dispatcher.Dispatcher) error { return d.ReplayOne(ctx, number, to, by) })
	return a.gone(1, err)
}

// DiscardOne removes a dead letter for good.
func (a *App) DiscardOne(ctx context.Context, number uint64, by string) error {
	err := a.acts(ctx, "discard", fmt.Sprintf("dead letter %d", number), by, func(d *dispatcher.Dispatcher) error { return d.DiscardOne(ctx, number, by) })
	return a.gone(1, err)
}

// Replay lets a batch of dead letters take effect after all.
func (a *App) Replay(ctx context.Context, s dispatcher.Selection, by string) (b dispatcher.Batch, err error) {
	err = a.acts(ctx, "replay", s.String(), by, func(d *dispatcher.Dispatcher) (err error) { b, err = d.Replay(ctx, s, by); return err })
	return b, a.gone(b.Done, err)
}

// Discard removes a batch of dead letters for good.
func (a *App) Discard(ctx context.Context, s dispatcher.Selection, by string) (b dispatcher.Batch, err error) {
	err = a.acts(ctx, "discard", s.String(), by, func(d *dispatcher.Dispatcher) (err error) { b, err = d.Discard(ctx, s, by); return err })
	return b, a.gone(b.Done, err)
}

// LastDeadLetter is the highest number of a dead letter that there is now; 0: there are none. The store answers what is above a number, so it
// is asked in ever longer steps, and then in ever shorter ones.
func (a *App) LastDeadLetter(ctx context.Context) (last uint64, err error) {
	above := func(n uint64) (uint64, error) {
		found, err := a.cfg.Store.DeadLetters(ctx, n, 1)
		if err != nil || len(found) == 0 {
			return 0, err
		}
		return found[0].Number, nil
	}
	none := uint64(0) // nothing is above
	for step := uint64(1); ; step *= 2 {
		none = min(last+step-1, math.MaxInt64) // stores know no higher ones
		found, err := above(none)
		if err != nil {
			return 0, err
		}
		if found == 0 {
			break
		}
		if last = found; last == math.MaxInt64 {
			return last, nil
		}
	}
	for last < none {
		middle := last + (none-last)/2
		found, err := above(middle)
		if err != nil {
			return 0, err
		}
		if found == 0 {
			none = middle
		} else {
			last = found
		}
	}
	return last, nil
}

// gone counts dead letters that are not there any more.
func (a *App) gone(letters int, err error) error {
	if err == nil {
		a.dead.Add(-uint64(letters))
	}
	return err
}

// EditState changes one state of an address.
func (a *App) EditState(ctx context.Context, address api.Address, e dispatcher.Edit, by string) (version string, err error) {
	err = a.acts(ctx, "edit", address.String()+" "+e.State, by, func(d *dispatcher.Dispatcher) (err error) {
		version, err = d.EditState(ctx, address, e, by)
		return err
	})
	return version, err
}

// ForgetIngress forgets how far an ingress was read that the module does not declare.
func (a *App) ForgetIngress(ctx context.Context, id, by string) error {
	return a.acts(ctx, "forget", "ingress "+id, by, func(d *dispatcher.Dispatcher) error { return d.ForgetIngress(ctx, id, by) })
}

// ForgetEgress drops what waits for an egress that the module does not declare.
func (a *App) ForgetEgress(ctx context.Context, id, by string) error {
	err := a.acts(ctx, "forget", "egress "+id, by, func(d *dispatcher.Dispatcher) error { return d.ForgetEgress(ctx, id, by) })
	if err == nil {
		a.troubles.end("egress " + id + strangerKey)
	}
	return err
}

// Noted puts into the audit what an operator has done that needs nothing of the engine.
func (a *App) Noted(ctx context.Context, what, on, detail, by string) error {
	l, err := a.works(ctx)
	if err != nil {
		return err
	}
	return l.dispatcher.Act(ctx, by, what, on, detail)
}

// Decide lets a lane go on that stands still, and says from which output on. The cursor is kept by where the outputs go, not by the store: that
// it was decided is noted before, and what came of it in the log.
func (a *App) Decide(ctx context.Context, id string, slot int, decision report.Decision, by string) (next uint64, err error) {
	d := egress.Decision{Deliver: egress.DeliverFrom, From: decision.From}
	switch {
	case decision.Stored:
		d = egress.Decision{Deliver: egress.DeliverStored}
	case decision.New:
		d = egress.Decision{Deliver: egress.DeliverNew}
	}
	l, err := a.works(ctx)
	if err != nil {
		return 0, err
	}
	lane, err := l.decider(id, slot)
	if err == nil {
		err = objectionTo(id, slot, lane.Check(d))
	}
	if err != nil {
		return 0, err
	}
	on := fmt.Sprintf("egress %s, lane %d", id, slot)
	if err := l.dispatcher.Act(ctx, by, "decide", on, "deliver "+d.String()); err != nil {
		return 0, err
	}
	next, err = lane.Decide(ctx, d)
	if err = objectionTo(id, slot, err); err != nil {
		return 0, err
	}
	a.log.Info("an operator acts", "what", "decide", "on", on, "by", by, "next", next)
	return next, nil
}

// decider is the relay of a lane that stands still.
func (l *incarnation) decider(id string, slot int) (egress.Decider, error) {
	r := l.relays[id]
	if r == nil {
		return nil, fmt.Errorf("%w: the module declares no egress %s", dispatcher.ErrNothing, id)
	}
	if l.slots[id] != slot {
		return nil, fmt.Errorf("%w: egress %s has no lane %d", dispatcher.ErrNothing, id, slot)
	}
	lane, ok := r.(egress.Decider)
	if !ok {
		return nil, objectionTo(id, slot, egress.ErrNotHalted)
	}
	return lane, nil
}

// objectionTo says why a lane is not let go on.
func objectionTo(id string, slot int, err error) error {
	var none *egress.NoOutput
	no := &dispatcher.Objection{Detail: fmt.Sprintf("lane %d of egress %s does not go on there", slot, id)}
	switch {
	case errors.Is(err, egress.ErrNotHalted):
		no.Detail, no.Remedy = fmt.Sprintf("lane %d of egress %s does not stand still: there is nothing to decide", slot, id), "look at it: gateway egresses "+id
	case errors.Is(err, egress.ErrDeciding):
		no.Detail, no.Remedy = err.Error(), "wait until that is carried out; /readyz says what it waits for"
	case errors.As(err, &none):
		no.Detail, no.Remedy = none.Error(), fmt.Sprintf("decide for stored, new, or a number from %d to %d", none.Next, none.Most)
	default:
		return err
	}
	return no
}
