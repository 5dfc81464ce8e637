package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/IBM/sarama"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/egress"
)

// What one transaction carries at most: one output, whatever its size, or these.
const (
	batchOutputs = 5000
	batchBytes   = 4 << 20
)

// errRefused ends a session whose refused outputs are marked by now; the next one goes on without them, at once.
var errRefused = errors.New("outputs were refused")

// fill waits for outputs and takes a batch. An idle lane's cursor is written again before Kafka forgets it.
func (r *Relay) fill(ctx context.Context, s *session) error {
	clear(r.room) // what was delivered is not kept in memory by it
	r.room = r.room[:0]
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		items, next, behind := r.queue.take(r.room, batchOutputs, batchBytes)
		if len(items) > 0 {
			r.room, r.batch = items, items
			return nil
		}
		if behind {
			if err := r.readBack(ctx, next); err != nil {
				return err
			}
			continue
		}
		if err := r.rest(ctx, s); err != nil {
			return err
		}
	}
}

// rest waits for something to take, keeps the cursor alive, and looks whether missing topics are there by now.
func (r *Relay) rest(ctx context.Context, s *session) error {
	var stale <-chan time.Time
	if r.cfg.Semantic == ExactlyOnce {
		t := time.NewTimer(max(r.cfg.keepAlive-time.Since(r.cursorAt), 0))
		defer t.Stop()
		stale = t.C
	}
	missing := r.topics.gone()
	var again <-chan time.Time
	if len(missing) > 0 {
		t := time.NewTimer(r.topics.waits.askIdle)
		defer t.Stop()
		again = t.C
	}
	select {
	case <-r.queue.wake:
	case <-ctx.Done():
	case <-again:
		found, err := s.lookup(ctx, missing)
		if err != nil {
			return err
		}
		return r.topics.note(found, time.Now())
	case <-stale:
		if err := r.commit(ctx, s, nil, r.next); err != nil {
			return fmt.Errorf("keep the cursor alive: %w", err)
		}
		r.reached("kept alive", s)
	}
	return nil
}

// readBack fetches outputs from the store that memory did not take.
func (r *Relay) readBack(ctx context.Context, next uint64) error {
	err := r.insist(ctx, "read outputs", func() error {
		packs, err := r.engine.Outputs(ctx, r.lane, next, batchBytes)
		if err == nil && !r.queue.readBack(packs) {
			err = fmt.Errorf("%w: output %d of lane %s/%d is committed but not there", errGap, next, r.lane.Egress, r.lane.Slot)
			r.trouble.begin(troubleOutbox, err.Error(), slog.LevelError)
		}
		return err
	})
	if err == nil {
		r.trouble.end(troubleOutbox, "the outbox is whole again")
	}
	return err
}

var errGap = errors.New("outbox has a gap")

// deliver brings the batch, or the part of it that needs not wait for a missing topic, to its end.
func (r *Relay) deliver(ctx context.Context, s *session) error {
	n, err := r.ready(ctx, s)
	if err != nil {
		return err
	}
	part := r.batch[:r.limits.part(n)]
	if err := r.setAside(ctx, part); err != nil {
		return err
	}
	next := part[len(part)-1].number + 1
	begun := time.Now()
	if r.cfg.Semantic == ExactlyOnce {
		err = r.commit(ctx, s, part, next)
	} else {
		err = r.produce(ctx, s, part)
		next = r.settled(part)
	}
	took := time.Since(begun)
	if err != nil && r.cfg.Semantic == ExactlyOnce {
		return r.tooSlow(err, len(part), took)
	}
	sent := 0
	for i := range part {
		if part[i].sends() && part[i].number < next && !part[i].lost {
			sent++
		}
	}
	r.topics.seen(part, time.Now())
	r.traced(part, next, begun)
	r.advance(next)
	r.count("ok", sent)
	if err == nil && (r.cfg.Semantic != ExactlyOnce || took < r.cfg.timeout()/growMargin) {
		r.limits.grow()
	}
	return err
}

// growMargin is how many times a transaction must fit into its time-out before the next one may be twice as large.
const growMargin = 4

// tooSlow looks whether a transaction failed because Kafka had ended it: then what follows is smaller, else it would never fit.
func (r *Relay) tooSlow(err error, part int, took time.Duration) error {
	if took < r.cfg.timeout() || !isFenced(err) && !errors.Is(err, sarama.ErrInvalidTxnState) {
		return err
	}
	r.limits.halve(part)
	return &slowError{err, part, r.cfg.timeout()}
}

// slowError says what a transaction's end by its time-out looks like to the session: as if another one had begun.
type slowError struct {
	err     error
	outputs int
	timeout time.Duration
}

func (e *slowError) Error() string {
	return fmt.Sprintf("a transaction of %d outputs took longer than its time-out of %v, so Kafka has ended it: smaller ones follow", e.outputs, e.timeout)
}
func (e *slowError) Unwrap() error { return e.err }

// settled is the number up to which a part's outputs need nothing more: acknowledged, set aside, or lost by an egress that may lose.
func (r *Relay) settled(part []item) uint64 {
	for i := range part {
		it := &part[i]
		if !it.aside && (it.reason != "" || !it.acked && !it.lost) {
			return it.number
		}
	}
	return part[len(part)-1].number + 1
}

// ready says how many outputs at the head of the batch can be sent or set aside now: at least one.
func (r *Relay) ready(ctx context.Context, s *session) (int, error) {
	for i := range r.batch {
		r.batch[i].judge(r.topics, r.set.recordBytes)
		r.trace(&r.batch[i])
	}
	for {
		if ask := r.topics.unsure(r.batch, time.Now()); len(ask) > 0 {
			found, err := s.lookup(ctx, ask)
			if err != nil {
				return 0, err
			}
			if err := r.topics.note(found, time.Now()); err != nil {
				return 0, err
			}
		}
		n := 0
		for ; n < len(r.batch); n++ {
			it := &r.batch[n]
			if it.sends() && !r.topics.judge(it, time.Now()) {
				break
			}
		}
		if n > 0 {
			return n, nil
		}
		r.pause(ctx, r.topics.waits.askEvery)
		if err := ctx.Err(); err != nil {
			return 0, err
		}
	}
}

// setAside makes the dead letters of refused outputs durable. Only then may the cursor pass them.
func (r *Relay) setAside(ctx context.Context, part []item) error {
	var dead []api.DeadLetter
	for i := range part {
		if it := &part[i]; it.reason != "" && !it.aside {
			dead = append(dead, it.dead(r.cfg.ID))
		}
	}
	if len(dead) == 0 {
		return nil
	}
	if err := r.insist(ctx, "set outputs aside", func() error { return r.engine.Refuse(ctx, r.lane, dead) }); err != nil {
		return err
	}
	for i := range part {
		if it := &part[i]; it.reason != "" && !it.aside {
			it.aside = true
			r.tracedAside(it)
		}
	}
	r.count("refused", len(dead))
	r.log.Warn("outputs are set aside as dead letters", "count", len(dead), "first", dead[0].Offset, "reason", dead[0].Reason, "detail", dead[0].Detail)
	return nil
}

// commit sends outputs and moves the cursor, in one transaction. After any error its outcome is open: only the cursor tells.
func (r *Relay) commit(ctx context.Context, s *session, part []item, next uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := r.produce(ctx, s, part)
	if err == nil {
		r.reached("sent", s)
		err = ctx.Err()
	}
	if err != nil {
		s.abort(ctx)
		return err
	}
	err = s.do(ctx, func() error {
		if err := s.producer.moveCursor(r.cfg.name(r.lane), r.cfg.CursorTopic, next, r.cfg.Claim); err != nil {
			return err
		}
		return s.producer.end(true)
	})
	if err != nil {
		return err
	}
	r.reached("committed", s)
	r.cursorAt = time.Now()
	return nil
}

// failed finds out whether outputs are at fault for failed batches: then they are marked, or what follows is smaller to find them.
func (r *Relay) failed(batches []*batch, part int) error {
	refused := false
	var others []*batch
	for _, b := range batches {
		if atFault(b.err) || r.cfg.Semantic == None && errors.Is(b.err, sarama.ErrInvalidTimestamp) { // better set aside than lost
			refused = true
			r.blame(b, part)
			continue
		}
		others = append(others, b)
	}
	if r.cfg.Semantic == None {
		r.lose(others)
	}
	if refused {
		return errRefused
	}
	first := others[0]
	if isFenced(first.err) {
		return &fencedError{"send to topic " + first.topic, first.err}
	}
	return fmt.Errorf("send to %w", &topicError{first.topic, first.err})
}

// blame refuses the output that was alone in a batch which Kafka does not take. Of several it cannot be told which one is at fault.
func (r *Relay) blame(b *batch, part int) {
	large := isTooLarge(b.err)
	if it := b.items[0]; len(b.items) == 1 && large && it.record.trace != nil {
		it.record.trace = nil // without the header it may fit
		return
	}
	if len(b.items) == 1 {
		reason := reasonBroker
		if large {
			reason = reasonLarge
		}
		it := b.items[0]
		it.refuse(reason, fmt.Sprintf("record of %d bytes for topic %s: %v", it.record.size(), b.topic, b.err))
		return
	}
	if large {
		r.limits.shrink(b.topic, b.bytes)
	} else {
		r.limits.halve(part)
	}
	r.log.Info("a batch was refused: smaller ones follow", "topic", b.topic, "outputs", len(b.items), "bytes", b.bytes, "cause", b.err)
}

// lose gives up outputs that Kafka did not take, as the semantic none says.
func (r *Relay) lose(batches []*batch) {
	if len(batches) == 0 {
		return
	}
	n := 0
	for _, b := range batches {
		n += len(b.items)
		for _, it := range b.items {
			it.lost = true
		}
	}
	r.count(resultLost, n)
	r.log.Error("outputs are lost: their delivery semantic is none", "count", n, "topic", batches[0].topic, "cause", batches[0].err)
}

const resultLost = "lost"

// atFault reports whether Kafka refuses the record itself, for good. Its time is not its own: the gateway gives it, another one each
// time that it is sent in a new session.
func atFault(err error) bool {
	return isTooLarge(err) || errors.Is(err, sarama.ErrInvalidRecord) || errors.Is(err, sarama.ErrInvalidTopic)
}

func isTooLarge(err error) bool {
	return errors.Is(err, sarama.ErrMessageSizeTooLarge) || errors.Is(err, sarama.ErrMessageSetSizeTooLarge)
}

var _ egress.Relay = (*Relay)(nil)
