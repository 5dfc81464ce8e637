package dispatcher

import (
	"context"
	"time"

	"github.com/stategate/stategate/dispatcher/machine"
)

// looks are those that many ask for.
type looks struct {
	stuck    shared[[]machine.Stuck]
	overview shared[machine.Overview]
	gauges   shared[machine.Gauges]
	reasons  shared[[]machine.Reason]
}

func newLooks() looks {
	return looks{newShared[[]machine.Stuck](), newShared[machine.Overview](), newShared[machine.Gauges](), newShared[[]machine.Reason]()}
}

// shared is what a look has seen, for all who ask alike: there is one such look at a time, and what it sees serves everybody who has asked
// before it began. However many ask, two looks are what that takes of the loop.
type shared[T any] struct {
	turn  chan struct{} // holds a token while somebody looks; whoever holds it may use what follows
	seen  T
	began time.Time
	until time.Time // it is good for those, too, who ask before
}

func newShared[T any]() shared[T] { return shared[T]{turn: make(chan struct{}, 1)} }

// Of the loop a look over very many addresses may take a fiftieth: what it has seen is kept for as long as that takes, but not for ever.
const (
	keptTimes = 50
	keptMost  = 10 * time.Second
)

// get is what has been seen, or else what take sees now, which says what it has cost where it is to be kept. A look that has begun ends,
// also when whoever asked has gone: others would have to begin it again. What is answered belongs to all.
func (s *shared[T]) get(ctx context.Context, d *Dispatcher, take func(ctx context.Context) (seen T, cost time.Duration, err error)) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	asked := time.Now()
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return none, ctx.Err()
	case <-d.ctx.Done():
		return none, context.Cause(d.ctx)
	}
	if s.began.After(asked) || asked.Before(s.until) {
		defer func() { <-s.turn }()
		return s.seen, nil
	}
	type answer struct {
		seen T
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		defer func() { <-s.turn }()
		began := time.Now()
		seen, cost, err := take(context.WithoutCancel(ctx))
		if err == nil {
			if s.seen, s.began, s.until = seen, began, began; cost > 0 {
				s.until = time.Now().Add(min(keptTimes*cost, keptMost))
			}
		}
		answered <- answer{seen, err}
	}()
	select {
	case a := <-answered:
		return a.seen, a.err
	case <-ctx.Done():
		return none, ctx.Err()
	}
}
