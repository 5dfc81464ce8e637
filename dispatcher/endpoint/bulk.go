package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/stategate/stategate/api"
)

// Bulk makes one attempt for many calls in one request, numbered from 1 to calls. It tells answers as they come, those that have come
// together at once, in this goroutine: what told is given is valid until it returns, and told owes the pool the answers' Room. While
// that of others leaves no room for a large answer, it is not read: the server waits. bulk is as of Call. Each call is told once at
// most; rest is what became of those that were not told, and nil when all were. sent is told once when the body is the caller's again:
// before the end where it can be, for the last answer may be long in coming.
//
// What is wrong in a response ends it, and harms none of the calls that were answered before. A rest that is Unreachable, Overloaded or a
// Timeout is what each call would have met alone, as far as that can be known; a NoBulk says that the endpoint takes no bulk calls; all
// that one of the calls may have done to the others is Unanswered. When the attempt was Canceled nothing is known.
func (c *Client) Bulk(ctx context.Context, body []byte, calls int, sent func(), told func(bulk int, answers []Answer)) (rest *Failure) {
	return c.BulkTraced(ctx, body, calls, nil, sent, told)
}

// BulkTraced is Bulk with a header that says in which trace the request is; nil: in none.
func (c *Client) BulkTraced(ctx context.Context, body []byte, calls int, in *api.Trace, sent func(), told func(bulk int, answers []Answer)) (rest *Failure) {
	a := c.begin(ctx, &c.bulk, body)
	a.in = in
	a.once = true // a call that kills its server must not kill another one by the same attempt
	b := bulk{attempt: a, sent: sent, told: told, answered: make([]bool, calls), left: calls}
	defer b.end()
	// A line on which nobody answers is a dead one, maybe. One call that hangs among others that were answered says nothing of it.
	defer func() { a.leave(rest != nil && rest.Kind == Timeout && b.left == calls) }()
	response, fail := a.response()
	if fail != nil {
		if fail.Kind == BadReply || fail.Kind == Unreachable && a.conn != nil {
			fail.Kind = Unanswered // a call that kills its server, or makes it say what is not HTTP, takes others with it
		}
		return fail
	}
	defer response.Body.Close()
	return b.read(response)
}

// bulk is the reading of a response to many calls.
type bulk struct {
	*attempt
	sent     func() // nil once it was told
	told     func(bulk int, answers []Answer)
	answered []bool
	left     int // calls without an answer
	strays   int // answers to no call that waits
	tooSlow  atomic.Bool
}

// end gives back all that the bulk was lent.
func (b *bulk) end() {
	b.attempt.end()
	if b.sent != nil {
		b.sent()
	}
}

// giveBack gives back the body when all of it was sent.
func (b *bulk) giveBack() {
	if b.sent != nil && b.returned() {
		b.sent()
		b.sent = nil
	}
}

// returned reports whether the request is written, and its bytes are not read again.
func (b *bulk) returned() bool {
	if b.exchange.conn != nil {
		return b.exchange.wrote(0)
	}
	return b.loan.endIfRead()
}

// read judges in the order in which an ordinary response is judged.
func (b *bulk) read(response *http.Response) *Failure {
	status := response.StatusCode
	if status < 200 || status > 299 {
		fail := b.badStatus(response)
		switch {
		case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable && fail.RetryAfter > 0: // of the endpoint itself
		case fail.Kind == Overloaded: // what a front says when one of the calls has killed its server, or takes too long
			fail.Kind = Unanswered
		case status >= 400 && status <= 499:
			fail.Kind = NoBulk
		default:
			fail.Kind = Unanswered
		}
		return fail
	}
	b.announced = b.client.announced(response.Header)
	if headerBytes(response.Header) > headerBytesMax {
		return b.failure(Unanswered, status, fmt.Sprintf("the response's headers are larger than the bound of %d bytes", headerBytesMax))
	}
	if problem := contentTypeProblem(response.Header, bulkContentType, b.client.spec.ExactContentType); problem != "" {
		fail := b.rejected(response, problem)
		fail.Kind = NoBulk
		return fail
	}
	if err := b.answers(response); b.left > 0 {
		return b.unanswered(err, status)
	}
	b.drain(response)
	return nil
}

// answers tells answers until all are there, or no more can be read.
func (b *bulk) answers(response *http.Response) error {
	source, watch := b.watch(response.Body)
	defer watch.pause()
	if len(response.Header["Content-Encoding"]) > 0 {
		raw := &hollow{source: source, left: hollowBytesMax}
		decoder, err := b.client.pool.decode(raw, response.Header)
		if err != nil {
			return err
		}
		defer decoder.close()
		source = filled{decoder, raw}
	}
	small := b.client.pool.buffers.Get().(*[]byte)
	defer b.client.pool.buffers.Put(small)
	stream := newAnswers(b.client, source, *small)
	stream.wait = func(bytes int64) bool {
		watch.pause() // it is not the server's silence
		defer watch.resume()
		return b.client.pool.replies.wait(b.parent, b.client.pool.ctx, bytes)
	}
	stream.pace.slow = b.giveUp(b.exchange.conn)
	defer stream.end()
	together := make([]Answer, 0, min(b.left, togetherFirst))
	for b.left > 0 {
		var err error
		together, err = stream.next(together[:0])
		b.giveBack()
		good, problem := b.sift(together)
		if len(good) > 0 {
			b.told(b.announced, good)
		}
		if err = errors.Join(problem, err); err != nil {
			return err
		}
	}
	return nil
}

// giveUp makes what ends the reading of a response that comes too slowly: conn is its connection where net/http has none.
func (b *bulk) giveUp(conn *conn) func() {
	return func() {
		b.tooSlow.Store(true)
		if conn != nil {
			conn.Close()
		} else {
			b.stop(nil)
		}
	}
}

// togetherFirst is for how many answers that come together there is room at first.
const togetherFirst = 16

// sift leaves the answers to calls that wait for one. A second answer is dropped; a number of no call says that the two sides do not
// mean the same.
func (b *bulk) sift(all []Answer) (good []Answer, err error) {
	good = all[:0]
	for i := range all {
		n := all[i].Number
		if n < 1 || n > len(b.answered) {
			b.release(all[i:])
			return good, fmt.Errorf("it answers call %d of %d", n, len(b.answered))
		}
		if b.answered[n-1] {
			if b.strays++; b.strays > len(b.answered) {
				b.release(all[i:])
				return good, errors.New("it answers the same calls again and again")
			}
			b.release(all[i : i+1])
			continue
		}
		b.answered[n-1] = true
		b.left--
		good = append(good, all[i])
	}
	return good, nil
}

// release gives back the room of answers that nobody is told.
func (b *bulk) release(dropped []Answer) {
	for i := range dropped {
		b.client.pool.Release(dropped[i].Room)
	}
}

// unanswered says what became of the calls that have no answer.
func (b *bulk) unanswered(err error, status int) *Failure {
	if errors.Is(err, errBusy) && errors.Is(b.parent.Err(), context.DeadlineExceeded) {
		return b.failure(Busy, status, "no memory for the answers within the attempt's time-out: others are as large")
	}
	if fail := b.stopped(); fail != nil {
		fail.Status = status
		return fail
	}
	switch {
	case b.tooSlow.Load():
		return b.failure(Unanswered, status, "a large answer came so slowly that it kept others out of memory")
	case errors.Is(err, errTooLarge):
		return b.failure(Unanswered, status, fmt.Sprintf("an answer is larger than the bound of %d bytes", b.client.spec.ReplyBytesMax))
	case errors.Is(err, io.EOF):
		return b.failure(Unanswered, status, fmt.Sprintf("the response ended with %d of %d calls unanswered", b.left, len(b.answered)))
	}
	return b.failure(Unanswered, status, fmt.Sprintf("read answers: %v", err))
}

// drain reads to the end, so that the connection can be used again, if that is near.
func (b *bulk) drain(response *http.Response) {
	defer b.hurry(drainWait)()
	_, _ = io.CopyN(io.Discard, response.Body, drainBytesMax)
}
