package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/stategate/stategate/egress"
)

// standstill is where a lane waits for an operator to decide from which output on it delivers.
type standstill struct {
	wake  chan struct{} // has a token when something is decided
	ended chan struct{} // closed with the relay's end

	mu      sync.Mutex
	halt    *haltError      // nil: the lane goes on
	at      egress.Standing // when it came to a stand
	decided *decided        // nil: nothing is, or it is carried out
}

// decided is a decision that is to be carried out.
type decided struct {
	egress.Decision
	next uint64
	done chan struct{} // closed when the cursor says so
}

func newStandstill() *standstill {
	return &standstill{wake: make(chan struct{}, 1), ended: make(chan struct{})}
}

// Halted says why the lane stands still (egress.Decider).
func (r *Relay) Halted() string {
	r.still.mu.Lock()
	defer r.still.mu.Unlock()
	if r.still.halt == nil {
		return ""
	}
	return r.still.halt.text
}

// Decide lets the lane go on (egress.Decider). Kafka being away, the decision is carried out when it is there again, as long as this
// claim lasts: then the lane's next owner finds a cursor that was written, or stands still and asks anew.
func (r *Relay) Decide(ctx context.Context, d egress.Decision) (next uint64, err error) {
	k, err := r.still.decide(d, r.queue.known())
	if err != nil {
		return 0, err
	}
	select {
	case <-k.done:
		return k.next, nil
	case <-r.still.ended:
		err = errors.New("the gateway has lost the lane, or stops")
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	select {
	case <-k.done: // meanwhile
		return k.next, nil
	default:
		return k.next, fmt.Errorf("deliver %v: not known yet whether the cursor is written: %w", d, err)
	}
}

// Check says why a decision would not be taken now (egress.Decider).
func (r *Relay) Check(d egress.Decision) error {
	r.still.mu.Lock()
	defer r.still.mu.Unlock()
	_, err := r.still.judge(d, r.queue.known())
	return err
}

// judge says where a decision lets the lane go on. The caller holds mu.
func (s *standstill) judge(d egress.Decision, known uint64) (next uint64, err error) {
	switch {
	case s.halt == nil:
		return 0, egress.ErrNotHalted
	case s.decided != nil && d != s.decided.Decision:
		return 0, fmt.Errorf("%w: deliver %v", egress.ErrDeciding, s.decided.Decision)
	case s.decided != nil:
		return s.decided.next, nil
	}
	at := s.at
	at.Known = max(at.Known, known)
	return at.Decide(d)
}

// decide notes a decision, or finds the same one.
func (s *standstill) decide(d egress.Decision, known uint64) (*decided, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := s.judge(d, known)
	if err != nil || s.decided != nil {
		return s.decided, err
	}
	s.decided = &decided{d, next, make(chan struct{})}
	s.wake <- struct{}{} // there is room: the one before is carried out
	return s.decided, nil
}

// order is the decision that is to be carried out, or nil.
func (s *standstill) order() *decided {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.decided
}

// stand waits until something is decided (true) or ctx ends.
func (r *Relay) stand(ctx context.Context, halt *haltError) bool {
	s := r.still
	s.mu.Lock()
	s.halt, s.at = halt, r.standing()
	s.mu.Unlock()
	r.trouble.begin(halt.key, halt.text, slog.LevelError)
	select {
	case <-s.wake:
		return true
	case <-ctx.Done():
		return false
	}
}

// obey writes the cursor where an operator has decided, in a session that has fenced the ones before, and leaves out what is below it.
// After any error it is written again by the next session: this is no outcome to be read, for what the cursor said before did not count.
func (r *Relay) obey(ctx context.Context, s *session, k *decided) error {
	if err := s.cursorTopic(ctx, r.cfg.CursorTopic, r.log); err != nil {
		return err
	}
	if err := r.owns(ctx); err != nil {
		return err
	}
	if err := r.commit(ctx, s, nil, k.next); err != nil {
		return fmt.Errorf("write the cursor that an operator has decided: %w", err)
	}
	r.reached("decided", s)
	if err := r.start(ctx); err != nil {
		return err
	}
	left := k.next - r.next
	r.queue.seek(k.next)
	r.advance(k.next)
	r.count(resultLeftOut, int(left))
	r.still.mu.Lock()
	halt := r.still.halt
	r.still.halt, r.still.decided = nil, nil
	r.still.mu.Unlock()
	r.log.Warn("an operator has decided what the lane delivers", "deliver", k.Decision.String(), "next", k.next, "left_out", left)
	r.trouble.end(halt.key, "the lane goes on")
	close(k.done)
	return nil
}

const resultLeftOut = "left_out"

var _ egress.Decider = (*Relay)(nil)
