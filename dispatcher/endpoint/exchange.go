package endpoint

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"time"
)

const (
	// togetherBytesMax: a request whose body is no larger goes out in one write, before its answer is read. The kernels on both sides take
	// so much, whether it is read or not; more may have to wait for an endpoint that in turn waits until its answer is read.
	togetherBytesMax = 16 << 10
	// pieceBytesMax is what a larger one has in each write, so that the time is bounded in which nothing of it is taken.
	pieceBytesMax = 64 << 10
	// writtenWait is how long it is awaited that the writing of a request ends whose answer has come.
	writtenWait = 50 * time.Millisecond
)

var errHead = fmt.Errorf("the reply's headers exceeded %d bytes", headerBytesMax)

// exchange is a request and its answer on a connection that no other call has meanwhile. The calling goroutine writes and reads, so that
// nothing is handed over. It is the answer's body, too.
//
// Its fields are the calling goroutine's but where marked.
type exchange struct {
	home    *direct
	conn    *conn // nil while there is none
	intake  intake
	reader  *bufio.Reader // of intake
	body    io.Reader     // of the answer
	whole   bool          // which was read to its end
	last    bool          // the connection is not to be used again
	unwatch func() bool   // ends the watch for the end of the call; false: that has ended the connection

	writing *writing // of a large request; nil when it was written before the reading began
}

// writing is that of a large request, in a goroutine of its own.
type writing struct {
	over chan struct{} // closed when it is

	// The writing goroutine's until it is over.
	end     time.Time
	problem error
}

// intake reads a connection within the bounds of an answer.
type intake struct {
	conn   *conn
	behind *writing      // that goes on meanwhile, or nil
	unread int64         // bytes that may still come before the head is there
	wait   time.Duration // for a piece; 0: no bound
	until  time.Time     // for all pieces; zero: no bound
	silent bool          // the piece did not come in time
	waited bool          // and that was wait, not a bound of ours
}

func (in *intake) Read(p []byte) (int, error) {
	if in.unread <= 0 {
		return 0, errHead
	}
	if in.silent { // net/textproto looks for a piece and does not mind when there is none
		return 0, os.ErrDeadlineExceeded
	}
	var since time.Time
	if in.wait > 0 || !in.until.IsZero() {
		since = time.Now()
	}
	for {
		if !since.IsZero() {
			if err := in.bound(since); err != nil {
				return 0, err
			}
		}
		n, err := in.conn.Read(p[:min(int64(len(p)), in.unread)])
		in.unread -= int64(n)
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		if since = in.sentAfter(since); n > 0 || since.IsZero() {
			in.silent, in.waited = true, in.until.IsZero() && !in.conn.deaf.Load()
			return n, os.ErrDeadlineExceeded // without the addresses, one of which is another one each time
		}
	}
}

// sentAfter answers since when a head is awaited that has not come in the time that began then: an endpoint is not silent while it takes
// the request. Zero: it was.
func (in *intake) sentAfter(then time.Time) time.Time {
	if in.behind == nil || in.wait == 0 || in.unread == math.MaxInt64 || in.conn.deaf.Load() {
		return time.Time{}
	}
	select {
	case <-in.behind.over:
		if in.behind.end.After(then) {
			return in.behind.end
		}
		return time.Time{}
	default:
		return time.Now()
	}
}

// bound sets the time until which the next piece is awaited, which is awaited since then.
func (in *intake) bound(then time.Time) error {
	at := in.until
	if in.wait > 0 {
		if end := then.Add(in.wait); at.IsZero() || end.Before(at) {
			at = end
		}
	}
	if err := in.conn.SetReadDeadline(at); err != nil {
		return err
	}
	if in.conn.deaf.Load() { // by the writing goroutine, which may have bounded the time before
		return in.conn.SetReadDeadline(then.Add(min(lastWordsWait, at.Sub(then))))
	}
	return nil
}

// sendDirect sends the call on a connection of its own, in this goroutine. A connection that was dead already is replaced, as net/http
// does it: the endpoint had closed it, maybe just now.
func (a *attempt) sendDirect() (*http.Response, error) {
	if err := a.base.head.err; err != nil {
		return nil, err
	}
	for {
		a.conn = nil
		c, reused, err := a.client.carrier.direct.take(a.parent)
		if err != nil {
			return nil, err
		}
		a.conn = c
		a.firstByte.Store(false)
		response, err := a.exchange.ask(a, c)
		if err == nil {
			return response, nil
		}
		a.exchange.abandon()
		if !reused || a.firstByte.Load() || a.parent.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, err
		}
		if err := a.mayRepeat(); err != nil {
			return nil, err
		}
	}
}

// ask writes the request and reads the head of its answer.
func (x *exchange) ask(a *attempt, c *conn) (*http.Response, error) {
	k := a.client.carrier
	x.home, x.conn, x.whole, x.last, x.body, x.writing = k.direct, c, false, false, nil, nil
	c.sent.Store(0)
	x.intake = intake{conn: c, unread: headerBytesMax, wait: k.key.read}
	x.reader = k.pool.readers.Get().(*bufio.Reader)
	x.reader.Reset(&x.intake)
	x.unwatch = context.AfterFunc(a.parent, func() { c.Close() })
	if err := x.write(a); err != nil {
		return nil, err
	}
	response, err := x.head(a)
	if err != nil {
		c.Close()
		if w := x.writing; w != nil {
			if <-w.over; w.problem != nil && !errors.Is(w.problem, net.ErrClosed) {
				err = w.problem // it ended the reading
			}
		}
		return nil, err
	}
	return response, nil
}

// write sends the request, a large one in a goroutine of its own.
func (x *exchange) write(a *attempt) error {
	pool := a.client.pool
	body := a.loan.data // nobody ends the loan before this exchange ends
	buffer := pool.buffers.Get().(*[]byte)
	together := a.appendHead((*buffer)[:0], body)
	if len(body) <= togetherBytesMax {
		_, err := x.conn.Write(append(together, body...))
		pool.buffers.Put(buffer)
		return err
	}
	w := &writing{over: make(chan struct{})}
	x.writing, x.intake.behind = w, w
	go func() {
		defer close(w.over)
		defer pool.buffers.Put(buffer)
		_, err := x.conn.Write(together)
		for len(body) > 0 && err == nil {
			piece := body[:min(len(body), pieceBytesMax)]
			body = body[len(piece):]
			_, err = x.conn.Write(piece)
		}
		w.end, w.problem = time.Now(), err
		if err != nil {
			x.conn.Close() // nobody may wait for an answer to a part of a request
		}
	}()
	return nil
}

// head reads the answer's head. Others may come before it, which tell of nothing but progress; all share one bound.
func (x *exchange) head(a *attempt) (*http.Response, error) {
	if _, err := x.reader.Peek(1); err != nil {
		return nil, err
	}
	a.firstByte.Store(true)
	for {
		response, err := http.ReadResponse(x.reader, &a.base.request)
		if err != nil && x.intake.unread == 0 {
			return nil, errHead // whatever it looks like where it is cut
		}
		if err != nil {
			return nil, err
		}
		if response.StatusCode < 200 && response.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		x.intake.unread = math.MaxInt64
		x.last = response.Close || response.StatusCode < 200
		x.whole = response.Body == http.NoBody
		x.body = response.Body
		response.Body = x
		return response, nil
	}
}

// Read reads the answer's body.
func (x *exchange) Read(p []byte) (int, error) {
	n, err := x.body.Read(p)
	if err == io.EOF {
		x.whole = true
	}
	return n, err
}

// Close ends the exchange. Its connection carries others when both sides have said all, and nothing more.
func (x *exchange) Close() error {
	if x.conn == nil {
		return nil
	}
	good := x.whole && !x.last && x.reader.Buffered() == 0 && x.wrote(writtenWait) && !x.conn.deaf.Load()
	if !x.unwatch() || !good {
		x.abandon()
		return nil
	}
	c := x.conn
	if x.intake.wait == 0 && !x.intake.until.IsZero() {
		c.SetReadDeadline(time.Time{}) // nobody else will
	}
	x.giveBack()
	x.home.put(c)
	return nil
}

// abandon ends the exchange with its connection.
func (x *exchange) abandon() {
	x.unwatch()
	x.conn.Close()
	if x.writing != nil {
		<-x.writing.over
	}
	x.giveBack()
}

// hurry bounds what is left of the exchange.
func (x *exchange) hurry(wait time.Duration) { x.intake.until = time.Now().Add(wait) }

// fellSilent reports whether the endpoint did in the middle of its answer.
func (x *exchange) fellSilent() bool { return x.body != nil && x.intake.waited }

func (x *exchange) giveBack() {
	x.reader.Reset(nil)
	x.home.pool.readers.Put(x.reader)
	x.conn, x.reader, x.intake.conn = nil, nil, nil
}

// wrote reports whether all of the request is written, or will be in that time.
func (x *exchange) wrote(wait time.Duration) bool {
	w := x.writing
	if w == nil {
		return true
	}
	select {
	case <-w.over:
		return w.problem == nil
	default:
	}
	if wait == 0 {
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-w.over:
		return w.problem == nil
	case <-timer.C:
		return false
	}
}
