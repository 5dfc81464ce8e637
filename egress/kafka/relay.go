package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/IBM/sarama"

	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/internal/kafkaproperty"
	"github.com/stategate/stategate/statestore"
)

// Relay delivers one lane. It implements egress.Relay.
type Relay struct {
	cfg    Config
	set    settings
	lane   statestore.LaneID
	low    uint64 // number of the first output that the store had at the claim
	engine egress.Engine
	log    *slog.Logger
	queue  *queue
	still  *standstill

	// Owned by Run.
	former   *former // nil: nothing of it can be open
	started  bool
	resumed  bool   // the cursor was found good once
	claimed  uint64 // number behind the last output that was committed at the claim
	next     uint64 // all below are delivered or set aside
	batch    []item // taken from the queue and not delivered, from next on
	room     []item // all that were taken with it; used again for those that come
	topics   *topics
	limits   *limits
	trouble  *trouble
	silence  *silence
	cursorAt time.Time // when the cursor was last written

	// Tests replace these.
	formerMax   time.Duration
	fetchCursor func(ctx context.Context, s *session) (egress.Cursor, error)
	reached     func(point string, s *session)
	about       func(request string)
	pause       func(ctx context.Context, d time.Duration)
}

// New makes a relay for the lane as it was claimed. It does not connect.
func New(cfg Config, lane statestore.Lane, engine egress.Engine) (*Relay, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("egress %s: %w", cfg.ID, err)
	}
	set, complaints := translate(cfg)
	if err := kafkaproperty.Errors(complaints); err != nil {
		return nil, fmt.Errorf("egress %s: %w", cfg.ID, err)
	}
	log := cfg.Log.With("egress", cfg.ID, "lane", lane.Slot)
	r := &Relay{
		cfg: cfg, set: set, lane: lane.LaneID, low: max(lane.Low, 1), engine: engine, log: log,
		started: lane.Started, next: max(lane.Low, 1),
		limits: newLimits(set.recordBytes), still: newStandstill(), pause: pause, formerMax: formerMax,
	}
	r.former = formerOf(&cfg, &lane)
	bound := cfg.MemoryBytes
	if lane.Slot == egress.NoOutbox {
		bound = unbounded
		r.low, r.next = max(lane.Next, 1), max(lane.Next, 1)
	}
	r.claimed = max(lane.Next, r.next)
	r.queue = newQueue(r.next, r.claimed, bound)
	r.trouble = newTrouble(cfg.ID, cfg.Hooks, log)
	r.topics = newTopics(r.trouble)
	r.silence = &silence{after: silenceAfter, trouble: r.trouble, queue: r.queue}
	r.fetchCursor = r.readCursor
	r.reached, r.about = func(string, *session) {}, func(string) {}
	return r, nil
}

// Offer hands over outputs that have just been committed. It never blocks.
func (r *Relay) Offer(pack statestore.OutputPack) { r.queue.offer(pack, time.Now()) }

// Run delivers until ctx ends (nil) or the lane is lost (statestore.ErrFenced). It ends within some
// stopMax of ctx's end, and begins nothing after it: a transaction that is not complete by then is aborted.
func (r *Relay) Run(ctx context.Context) error {
	if r.cfg.Semantic == ExactlyOnce {
		r.log.Info("egress starts", "transactionalID", r.cfg.name(r.lane), "transactionTimeout", r.cfg.timeout(), "from", r.next)
	} else {
		r.log.Info("egress starts", "semantic", r.cfg.Semantic, "from", r.next)
	}
	defer close(r.still.ended)
	defer r.trouble.endAll()
	defer r.silence.watch()()
	defer r.reportPending(ctx)()
	for wait := time.Duration(0); ; wait = min(max(2*wait, reopenFirst), reopenMax) {
		delivered, err := r.life(ctx)
		var halt *haltError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, statestore.ErrFenced):
			r.log.Info("lane is lost to another member")
			return statestore.ErrFenced
		case errors.As(err, &halt):
			if !r.stand(ctx, halt) {
				return nil
			}
			wait = 0
			continue
		}
		known := errors.Is(err, errRefused) || errors.Is(err, errVanished)
		if delivered || known {
			wait = 0
		}
		if !known {
			r.trouble.begin(troubleKafka, fmt.Sprintf("Kafka does not take outputs, they are kept and tried again: %v", r.ofLane(err)), slog.LevelWarn)
		}
		if wait > 0 {
			r.pause(ctx, wait/2+rand.N(wait/2))
		}
	}
}

// life is one session: it opens it, delivers until an error, and closes it. delivered says whether anything came through.
func (r *Relay) life(ctx context.Context) (delivered bool, err error) {
	if err := r.owns(ctx); err != nil {
		return false, err
	}
	s := newSession(r.cfg, r.set, r.lane, r.log)
	s.acked, s.about = &r.silence.acked, r.about
	defer s.close()
	if err := s.open(ctx); err != nil {
		return false, err
	}
	r.endFormer(ctx)
	r.reached("open", s)
	if r.cfg.Semantic == ExactlyOnce {
		place := r.resume
		if k := r.still.order(); k != nil {
			place = func(ctx context.Context, s *session) error { return r.obey(ctx, s, k) }
		}
		if err := place(ctx, s); err != nil {
			return false, err
		}
	}
	for {
		if len(r.batch) == 0 {
			if r.queue.idle() {
				r.trouble.end(troubleKafka, "Kafka takes outputs again")
			}
			if err := r.fill(ctx, s); err != nil {
				return delivered, err
			}
		}
		begun := time.Now()
		if err := r.deliver(ctx, s); err != nil {
			return delivered, err
		}
		if r.cfg.Semantic == ExactlyOnce && len(r.batch) == 0 {
			r.gather(ctx, begun)
		}
		delivered = true
		r.reached("delivered", s)
		r.trouble.end(troubleKafka, "Kafka takes outputs again")
	}
}

// owns asks the store until it answers.
func (r *Relay) owns(ctx context.Context) error {
	return r.insist(ctx, "ask for ownership of the lane", func() error { return r.engine.Owns(ctx) })
}

// insist calls f until it succeeds, ctx ends or the lane is lost.
func (r *Relay) insist(ctx context.Context, action string, f func() error) error {
	r.silence.asking.Add(1)
	defer r.silence.asking.Add(-1)
	for wait := askFirst; ; wait = min(2*wait, askMax) {
		err := f()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil || errors.Is(err, statestore.ErrFenced) {
			if err == nil {
				r.trouble.end(troubleStore, "the store answers again")
			}
			return err
		}
		r.trouble.begin(troubleStore, fmt.Sprintf("%s: %v", action, err), slog.LevelWarn)
		r.pause(ctx, wait)
	}
}

// reportPending tells the hook once a second what is not delivered. The answer ends it.
func (r *Relay) reportPending(ctx context.Context) (stop func()) {
	if r.cfg.Hooks.Pending == nil {
		return func() {}
	}
	done, quit := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(pendingEvery)
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

// advance notes that all outputs below are delivered or set aside.
func (r *Relay) advance(below uint64) {
	if below <= r.next {
		return
	}
	r.silence.acked.Add(below - r.next)
	r.next = below
	for len(r.batch) > 0 && r.batch[0].number < below {
		r.batch = r.batch[1:]
	}
	r.queue.delivered(below)
	r.engine.Delivered(r.lane, below)
}

// count tells the hook.
func (r *Relay) count(result string, n int) {
	if n > 0 && r.cfg.Hooks.Deliveries != nil {
		r.cfg.Hooks.Deliveries(r.cfg.ID, result, n)
	}
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Bounds of time. Waits double from First to Max.
const (
	reopenFirst  = 20 * time.Millisecond // between two sessions
	reopenMax    = time.Second
	askFirst     = 5 * time.Millisecond // between two questions to the store or for the cursor
	askMax       = time.Second
	pendingEvery = time.Second
)

// isFenced reports whether Kafka says that another session of this lane began. Brokers say it in two ways.
func isFenced(err error) bool {
	return errors.Is(err, sarama.ErrProducerFenced) || errors.Is(err, sarama.ErrInvalidProducerEpoch)
}

// fencedError says that another session of this lane began. The client has no text for one of Kafka's two codes.
type fencedError struct {
	action string
	err    error
}

func (e *fencedError) Error() string { return e.action + ": another session of this lane began" }
func (e *fencedError) Unwrap() error { return e.err }

// haltError stops the lane until an operator has decided.
type haltError struct{ key, text string }

func (e *haltError) Error() string { return e.text }
