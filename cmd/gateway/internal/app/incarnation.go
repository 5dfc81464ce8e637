package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/statestore"
)

// relay delivers one egress's outputs.
type relay = egress.Relay

// incarnation is one life of the member's memory with all that works for it.
type incarnation struct {
	app        *App
	dispatcher *dispatcher.Dispatcher
	relays     map[string]relay // by egress; not changed once it runs
	slots      map[string]int   // the lane that each of them delivers; not changed once it runs
}

// deliver hands over what a commit has released. It runs on the dispatcher's loop and never blocks.
func (l *incarnation) deliver(p statestore.OutputPack) {
	if r := l.relays[p.Lane.Egress]; r != nil {
		r.Offer(p)
	}
}

func (l *incarnation) makeRelays(claim *statestore.Claim) error {
	former := map[string]statestore.Lane{} // lanes of egresses that keep no outbox any more
	for _, lane := range claim.Lanes {
		s := l.app.egresses[lane.Egress]
		if s == nil || !s.outbox {
			former[lane.Egress] = lane
			continue
		}
		r, err := s.open(lane, statestore.Lane{}, l.dispatcher, claim.Token)
		if err != nil {
			return err
		}
		l.relays[lane.Egress], l.slots[lane.Egress] = r, lane.Slot
	}
	for id, s := range l.app.egresses {
		if l.relays[id] != nil {
			continue
		}
		lane := statestore.Lane{LaneID: statestore.LaneID{Egress: id, Slot: egress.NoOutbox}, Next: 1}
		r, err := s.open(lane, former[id], l.dispatcher, claim.Token)
		if err != nil {
			return err
		}
		l.relays[id], l.slots[id] = r, lane.Slot
	}
	return nil
}

// errEnded ends the parts of an incarnation in order.
var errEnded = errors.New("the incarnation has ended")

// run works until ctx ends, then drains; or until a part cannot go on. It returns when every part has ended.
func (l *incarnation) run(ctx context.Context) error {
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(errEnded)
	core, sources, sinks := &group{end: end}, &group{end: end}, &group{end: end}
	sourceCtx, endSources := context.WithCancel(life)
	defer endSources()
	sinkCtx, endSinks := context.WithCancel(life)
	defer endSinks()

	core.run(func() error { return l.dispatcher.Run(life) })
	for _, r := range l.relays {
		sinks.run(func() error { return r.Run(sinkCtx) })
	}
	for _, in := range l.app.ingresses {
		sources.run(func() error { return in.run(sourceCtx, door{l.dispatcher, &l.app.cfg.Hooks}) })
	}

	select {
	case <-life.Done():
	case <-ctx.Done():
		l.drain(life, func() { endSources(); sources.wait.Wait() })
	}
	endSources()
	endSinks()
	sources.wait.Wait()
	sinks.wait.Wait()
	end(errEnded)
	core.wait.Wait()
	if cause := context.Cause(life); !errors.Is(cause, errEnded) {
		return cause
	}
	return nil
}

// drain ends what has begun, within a bound: sources, then calls and commits, then deliveries. What it runs out of time for is
// neither lost nor doubled: it is durable, or comes again. Each step leaves time for those behind it, so that one slow call does
// not take away the last commit.
func (l *incarnation) drain(life context.Context, stopSources func()) {
	a := l.app
	a.draining.Store(true)
	began := time.Now()
	within := func(part time.Duration) (context.Context, context.CancelFunc) {
		return context.WithDeadline(life, began.Add(a.cfg.DrainMax*part/100))
	}
	wait := func(part time.Duration, consequence string, f func(context.Context) error) {
		ctx, cancel := within(part)
		defer cancel()
		if err := f(ctx); err != nil && life.Err() == nil {
			a.log.Warn("stopping: "+consequence, "waited", time.Since(began).Round(time.Millisecond), "error", err)
		}
	}
	a.log.Info("stopping: sources first, then calls, then deliveries", "at_most", a.cfg.DrainMax)
	stopSources()
	wait(60, "not every call has ended in time", l.dispatcher.Drain)
	wait(90, "not everything is delivered; it is kept and delivered after the next start", l.delivered)
	wait(100, "the last commit has not ended in time", l.dispatcher.Sync)
	a.log.Info("stopped", "took", time.Since(began).Round(time.Millisecond))
}

// deliveredPoll is how often a stop looks at the outboxes.
const deliveredPoll = 10 * time.Millisecond

// awayMax is how long a stop waits for egresses that have stated that they deliver nothing: whoever waits to take over need not wait for them.
const awayMax = time.Second

// delivered waits until the outboxes are empty, or nothing is left but what nobody takes.
func (l *incarnation) delivered(ctx context.Context) error {
	tick := time.NewTicker(deliveredPoll)
	defer tick.Stop()
	began := time.Now()
	var waits, left error
	for {
		g, err := l.dispatcher.Gauges(ctx)
		if err != nil {
			return errors.Join(waits, left, err)
		}
		conditions := l.app.troubles.all()
		away := func(id string) bool {
			s := l.app.egresses[id]
			return time.Since(began) >= awayMax && s != nil && s.outbox && standsStill(of(conditions, "egress", id))
		}
		if waits, left = undelivered(g.OutboxRecords, l.app.asked, away); waits == nil {
			return left
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(waits, left)
		}
	}
}

// standsStill reports whether nothing leaves an egress of which this is stated. With what is stated of one topic, stream or shard the others go on.
func standsStill(conditions []report.Condition) bool {
	return slices.ContainsFunc(conditions, func(c report.Condition) bool {
		for _, partial := range []string{": topic missing", ": stream missing", ": throttled"} {
			if strings.Contains(c.Key, partial) {
				return false
			}
		}
		return true
	})
}

// undelivered says of what is in the outboxes what is worth waiting for, and what is not, for its egress is away. What is fetched by others
// is neither.
func undelivered(outputs map[string]int64, fetched map[string]bool, away func(id string) bool) (waits, left error) {
	for _, id := range slices.Sorted(maps.Keys(outputs)) {
		n := outputs[id]
		switch {
		case n == 0 || fetched[id]:
		case away(id):
			left = errors.Join(left, fmt.Errorf("egress %s, which is away: %d in its outbox", id, n))
		default:
			waits = errors.Join(waits, fmt.Errorf("egress %s: %d in its outbox", id, n))
		}
	}
	return waits, left
}
