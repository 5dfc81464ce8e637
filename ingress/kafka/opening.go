package kafka

import (
	"context"
	"sync"

	"github.com/stategate/stategate/ingress"
	"github.com/stategate/stategate/statestore"
)

// opening is the start of the partitions of a topic that were found together. Each takes part once, with what came of its first
// attempt; their positions become durable in one commit, so that a crash leaves all of them or none.
type opening struct {
	engine  ingress.Engine
	settled chan struct{} // closed when all have taken part and their positions are durable, or err says why not

	mu     sync.Mutex
	left   int                   // guarded by mu
	starts []statestore.Progress // guarded by mu
	err    error                 // written before settled is closed
}

func newOpening(engine ingress.Engine, n int) *opening {
	return &opening{engine: engine, left: n, settled: make(chan struct{})}
}

// join takes part with a start position and returns when that is durable; with nil it does not wait for the others.
func (o *opening) join(ctx context.Context, start *statestore.Progress) error {
	o.mu.Lock()
	if start != nil {
		o.starts = append(o.starts, *start)
	}
	o.left--
	last := o.left == 0
	o.mu.Unlock()
	if last {
		o.err = o.commit(ctx)
		close(o.settled)
	}
	if start == nil {
		return nil
	}
	select {
	case <-o.settled:
		return o.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (o *opening) commit(ctx context.Context) error {
	if err := ctx.Err(); err != nil || len(o.starts) == 0 {
		return err // at the end of a run some have not come to an answer: none begins
	}
	return o.engine.Start(ctx, o.starts)
}
