package kinesis

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/statestore"
)

// Relay delivers one lane. It implements egress.Relay.
type Relay struct {
	cfg    Config
	lane   statestore.LaneID
	engine egress.Engine
	log    *slog.Logger
	queue  *queue

	// Owned by Run.
	client  client
	next    uint64 // all below are delivered or set aside
	window  []*item
	movedAt time.Time // when the window last let go of something, or was last empty
	bytes   int       // of what is in the window and not done
	streams map[string]*stream
	later   []later // refused for now: their turn comes again
	flying  int     // calls on their way
	landed  chan *put
	doubt   bool // a call failed as a whole: does the lane still belong to us?
	asked   time.Time
	trouble *trouble
}

// later is an output that waits before it is tried again.
type later struct {
	at time.Time
	it *item
}

// windowBytesMax bounds the window beside its number of outputs: a larger output goes alone.
const windowBytesMax = 16 << 20

// New makes a relay for the lane as it was claimed. It does not connect.
func New(cfg Config, lane statestore.Lane, engine egress.Engine) (*Relay, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	log := cfg.Log.With("egress", cfg.ID, "lane", lane.Slot)
	low := max(lane.Low, 1)
	return &Relay{
		cfg: cfg, lane: lane.LaneID, engine: engine, log: log, queue: newQueue(low, max(lane.Next, low), cfg.MemoryBytes),
		next: low, streams: map[string]*stream{}, landed: make(chan *put, cfg.calls), trouble: newTrouble(cfg.ID, cfg.Hooks, log),
	}, nil
}

// Offer hands over outputs that have just been committed. It never blocks.
func (r *Relay) Offer(pack statestore.OutputPack) { r.queue.offer(pack, time.Now()) }

// Run delivers until ctx ends (nil) or the lane is lost (statestore.ErrFenced). It begins nothing after ctx's end.
func (r *Relay) Run(ctx context.Context) error {
	r.log.Info("egress starts", "semantic", "at-least-once", "from", r.next)
	defer r.trouble.endAll()
	defer r.reportPending(ctx)()
	err := r.work(ctx)
	switch {
	case ctx.Err() != nil:
		return nil
	case errors.Is(err, statestore.ErrFenced):
		r.log.Info("lane is lost to another member")
		return statestore.ErrFenced
	}
	return err
}

// work owns the window. Calls run beside it, and it waits for all of them.
func (r *Relay) work(ctx context.Context) error {
	if err := r.connect(ctx); err != nil {
		return err
	}
	calls, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer r.land(cut)
	if err := r.owns(ctx); err != nil {
		return err
	}
	for {
		if err := r.fill(ctx); err != nil {
			return err
		}
		refused, wait := r.launch(calls, time.Now())
		if err := r.setAside(ctx, refused); err != nil {
			return err
		}
		if len(refused) > 0 {
			continue // there is room for others
		}
		if err := r.await(ctx, wait); err != nil {
			return err
		}
	}
}

// await returns when there is something to do.
func (r *Relay) await(ctx context.Context, wait time.Duration) error {
	wake := r.queue.wake
	if r.full() {
		wake = nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
	case <-timer.C:
	case p := <-r.landed:
		r.flying--
		if err := r.setAside(ctx, r.settle(p, time.Now())); err != nil {
			return err
		}
	}
	if r.doubt && time.Since(r.asked) > time.Second {
		return r.owns(ctx)
	}
	return nil
}

// land waits for the calls on their way, for a while, and then ends them. What they have delivered counts.
func (r *Relay) land(cut func()) {
	grace := time.AfterFunc(r.cfg.pace.stop, cut)
	defer grace.Stop()
	for ; r.flying > 0; r.flying-- {
		r.settle(<-r.landed, time.Now())
	}
}

// connect finds region and credentials, for as long as it takes.
func (r *Relay) connect(ctx context.Context) error {
	for wait := r.cfg.pace.retry; ; wait = min(2*wait, r.cfg.pace.retryMax) {
		var err error
		if r.client, err = r.cfg.dial(ctx); err == nil {
			r.trouble.end(troubleKinesis, "Kinesis can be asked now")
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r.trouble.begin(troubleKinesis, fmt.Sprintf("Kinesis cannot be asked, outputs are kept: %v", err), slog.LevelWarn)
		pause(ctx, wait)
	}
}

// owns asks the store until it answers.
func (r *Relay) owns(ctx context.Context) error {
	r.doubt, r.asked = false, time.Now()
	return r.insist(ctx, "ask for ownership of the lane", func() error { return r.engine.Owns(ctx) })
}

// insist calls f until it succeeds, ctx ends or the lane is lost.
func (r *Relay) insist(ctx context.Context, action string, f func() error) error {
	for wait := askFirst; ; wait = min(2*wait, askMax) {
		err := f()
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			r.trouble.end(troubleStore, "the store answers again")
			return nil
		case errors.Is(err, statestore.ErrFenced):
			return err
		}
		r.trouble.begin(troubleStore, fmt.Sprintf("%s: %v", action, err), slog.LevelWarn)
		pause(ctx, wait)
	}
}

// Bounds of waiting between two questions to the store.
const (
	askFirst = 5 * time.Millisecond
	askMax   = time.Second
)

func (r *Relay) full() bool { return len(r.window) >= r.cfg.Outstanding || r.bytes >= windowBytesMax }

// fill takes what there is room for.
func (r *Relay) fill(ctx context.Context) error {
	for !r.full() {
		items, next, behind := r.queue.take(r.cfg.Outstanding-len(r.window), windowBytesMax-r.bytes)
		if behind {
			if err := r.readBack(ctx, next); err != nil {
				return err
			}
			continue
		}
		if len(items) == 0 {
			return ctx.Err()
		}
		if len(r.window) == 0 {
			r.movedAt = time.Now()
		}
		var refused []*item
		for _, it := range items {
			r.window = append(r.window, it)
			r.bytes += it.output.Size()
			if it.aside {
				r.done(it)
				continue
			}
			if it.judge(); it.reason != "" {
				refused = append(refused, it)
				continue
			}
			r.stream(it.place.stream).queue(it)
		}
		if err := r.setAside(ctx, refused); err != nil {
			return err
		}
		r.advance()
	}
	return ctx.Err()
}

// readBack fetches outputs from the store that memory did not take.
func (r *Relay) readBack(ctx context.Context, next uint64) error {
	err := r.insist(ctx, "read outputs", func() error {
		packs, err := r.engine.Outputs(ctx, r.lane, next, callBytesMax)
		if err == nil && !r.queue.readBack(packs) {
			err = fmt.Errorf("output %d of lane %s/%d is committed but not there", next, r.lane.Egress, r.lane.Slot)
			r.trouble.begin(troubleOutbox, err.Error(), slog.LevelError)
		}
		return err
	})
	if err == nil {
		r.trouble.end(troubleOutbox, "the outbox is whole again")
	}
	return err
}

// setAside makes the dead letters of refused outputs durable. Only then are they passed.
func (r *Relay) setAside(ctx context.Context, refused []*item) error {
	if len(refused) == 0 {
		return nil
	}
	dead := make([]api.DeadLetter, len(refused))
	for i, it := range refused {
		dead[i] = it.dead(r.cfg.ID)
	}
	if err := r.insist(ctx, "set outputs aside", func() error { return r.engine.Refuse(ctx, r.lane, dead) }); err != nil {
		return err
	}
	for _, it := range refused {
		r.traced(it, time.Now())
		r.done(it)
	}
	r.count("refused", len(dead))
	r.log.Warn("outputs are set aside as dead letters", "count", len(dead), "first", dead[0].Offset, "reason", dead[0].Reason, "detail", dead[0].Detail)
	r.advance()
	return nil
}

// done ends an output; what waits for its turn may go now.
func (r *Relay) done(it *item) {
	it.done = true
	r.bytes -= it.output.Size()
	if s := r.streams[it.place.stream]; s != nil {
		s.leave(it)
	}
}

// advance passes what is done at the front of the window.
func (r *Relay) advance() {
	n := 0
	for n < len(r.window) && r.window[n].done {
		n++
	}
	if n == 0 {
		return
	}
	r.next = r.window[n-1].number + 1
	clear(r.window[:n])
	r.window, r.movedAt = r.window[n:], time.Now()
	r.queue.delivered(r.next, time.Now())
	r.engine.Delivered(r.lane, r.next)
}

// count tells the hook.
func (r *Relay) count(result string, n int) {
	if n > 0 && r.cfg.Hooks.Deliveries != nil {
		r.cfg.Hooks.Deliveries(r.cfg.ID, result, n)
	}
}

// reportPending tells the hook now and then what is not delivered. The answer ends it.
func (r *Relay) reportPending(ctx context.Context) (stop func()) {
	if r.cfg.Hooks.Pending == nil {
		return func() {}
	}
	done, quit := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(r.cfg.pace.pending)
		defer tick.Stop()
		for {
			outputs, oldest := r.queue.pending(time.Now())
			r.cfg.Hooks.Pending(r.cfg.ID, outputs, oldest.Seconds())
			select {
			case <-tick.C:
			case <-quit:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

// pause waits.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// backoff doubles with the tries, and is spread.
func (p *pace) backoff(tries int) time.Duration {
	d := min(p.retryMax, p.retry<<min(max(tries-1, 0), 16))
	return d/2 + rand.N(d/2+1)
}

var _ egress.Relay = (*Relay)(nil)
