package stategate

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long a crew waits before it grows, and before it sends what has gathered.
const patience = time.Millisecond

// growth is how many times larger a crew gets when a patience has ended and calls wait that would not begin within patienceMax more of
// them, at the pace of the last one.
const (
	growth      = 4
	patienceMax = 2
)

// crew runs the calls of one bulk, side by side. A goroutine for each call costs more than a fast call itself, and so does a write for
// each answer. So few workers begin, and take one call after the other; while that is too slow there are more workers every millisecond,
// until each call has one, if need be. No call waits longer than a few of these for others. And answers gather for up to a millisecond,
// unless they are the last, or nothing was sent for that long.
//
// Only the goroutine of the handler writes the response. It leaves when the last worker has.
type crew struct {
	ctx     context.Context
	handler *Handler
	calls   []bulkCall
	begun   atomic.Int64  // calls that a worker has taken; beyond len(calls) there are none
	wake    chan struct{} // the workers are done; or, when the writer is eager, there is an answer

	mu      sync.Mutex
	answers []byte // finished and not yet taken by the writer; guarded by mu
	workers int    // that have not left; guarded by mu
	eager   bool   // the writer waits for any answer; guarded by mu
}

func newCrew(ctx context.Context, h *Handler, calls []bulkCall) *crew {
	return &crew{ctx: ctx, handler: h, calls: calls, wake: make(chan struct{}, 1)}
}

// run answers all calls, or ends when the gateway has gone and all calls that have begun have returned.
func (c *crew) run(w http.ResponseWriter) {
	out := stream{w: w, flusher: http.NewResponseController(w)}
	if len(c.calls) == 0 {
		out.end(nil)
		return
	}
	space := answerSpace.Get().(*[2][]byte) // one for what was answered, one for what is being written
	c.answers = space[0][:0]
	spare := space[1][:0]
	size := min(max(1, int(c.handler.crewSize.Load())), len(c.calls))
	c.hire(size)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	quick, grown, ticking, before := true, false, true, len(c.calls)
	for {
		ticked := false
		if ticking {
			select {
			case <-c.wake:
			case <-timer.C:
				quick, ticked = false, true
			}
		} else {
			<-c.wake
		}
		waiting := c.waiting()
		answers, done := c.take(spare, waiting == 0)
		if done {
			out.end(answers)
			*space = [2][]byte{answers, c.answers}
			break
		}
		if ticked && waiting > patienceMax*(before-waiting) {
			more := min(size*(growth-1), waiting, len(c.calls)-size)
			c.hire(more)
			size, grown = size+more, true
		}
		out.send(answers)
		if ticking = waiting > 0 || len(answers) > 0; ticking {
			timer.Reset(patience)
		}
		spare, before = answers[:0], waiting
	}
	c.remember(size, quick, grown)
	if cap(space[0])+cap(space[1]) <= bodyBytesAhead {
		answerSpace.Put(space)
	}
}

// answerSpace is the space of answers that were written, to be used again.
var answerSpace = sync.Pool{New: func() any { return new([2][]byte) }}

// remember lets the next bulk begin with as many workers as this one needed: functions that wait for others are called side by side at
// once, fast ones by one worker. A crew that did not have to grow was too large, perhaps by far.
func (c *crew) remember(size int, quick, grown bool) {
	had := c.handler.crewSize.Load()
	want := had
	switch {
	case grown:
		want = max(had, int64(size))
	case quick:
		want = had / 2
	case had > 0:
		want = had - had/16 - 1
	}
	if want != had {
		c.handler.crewSize.Store(want)
	}
}

// waiting is how many calls have not begun, and are to.
func (c *crew) waiting() int {
	if c.ctx.Err() != nil {
		return 0
	}
	return max(0, len(c.calls)-int(c.begun.Load()))
}

// take takes what was answered. done says that all workers have left, so that this was the last of it.
func (c *crew) take(spare []byte, eager bool) (answers []byte, done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	answers, c.answers = c.answers, spare
	c.eager = eager && len(answers) == 0
	return answers, c.workers == 0
}

func (c *crew) hire(n int) {
	c.mu.Lock()
	c.workers += n
	c.mu.Unlock()
	for range n {
		go c.work()
	}
}

// work takes calls until none is left. Whatever a call does to its goroutine is that call's failure.
func (c *crew) work() {
	var current *bulkCall
	defer func() {
		if current == nil {
			return
		}
		err := errEnded
		if p := recover(); p != nil {
			err = fmt.Errorf("call: %w", &PanicError{Value: p, Stack: debug.Stack()})
		}
		c.fail(current, err)
		go c.work()
	}()
	var answer, reply []byte
	for c.ctx.Err() == nil {
		i := c.begun.Add(1) - 1
		if i >= int64(len(c.calls)) {
			break
		}
		current = &c.calls[i]
		answer, reply = c.handler.appendAnswer(c.ctx, answer[:0], *current, reply[:0])
		current = nil
		if c.waiting() == 0 {
			c.add(answer, true)
			return
		}
		c.add(answer, false)
	}
	c.add(nil, true)
}

// fail answers a call that has not come back.
func (c *crew) fail(call *bulkCall, err error) {
	defer func() {
		_ = recover() // a logger that panics is why the call has not come back
		c.add(appendFailure(nil, call.number, http.StatusInternalServerError, err), false)
	}()
	c.handler.log(c.ctx, http.StatusInternalServerError, err)
}

// add adds an answer, which may be the last thing that a worker does: then it leaves in the same step, so that the last answer of all is
// known for it.
func (c *crew) add(answer []byte, leaves bool) {
	c.mu.Lock()
	c.answers = append(c.answers, answer...)
	wake := c.eager && len(answer) > 0
	if wake {
		c.eager = false
	}
	if leaves {
		c.workers--
		wake = wake || c.workers == 0
	}
	c.mu.Unlock()
	if wake {
		c.wakeUp()
	}
}

func (c *crew) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default: // it has not yet seen the last time
	}
}

// stream writes the body of a response in parts, or at once where the server has no way to send parts of it.
type stream struct {
	w       http.ResponseWriter
	flusher *http.ResponseController
	begun   bool
	whole   bool   // parts cannot be sent: all is written at the end
	held    []byte // of a whole
}

func (s *stream) send(part []byte) {
	if s.whole || len(part) == 0 {
		s.held = append(s.held, part...)
		return
	}
	s.begun = true
	_, _ = s.w.Write(part) // a caller that went away calls again
	s.whole = errors.Is(s.flusher.Flush(), http.ErrNotSupported)
}

func (s *stream) end(part []byte) {
	if len(s.held) > 0 {
		part = append(s.held, part...)
	}
	if !s.begun {
		s.w.Header().Set("Content-Length", strconv.Itoa(len(part)))
	}
	_, _ = s.w.Write(part)
}
