package endpoint

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// lastWordsWait is how long a reply is awaited on a connection that no longer takes the request.
const lastWordsWait = 2 * time.Second

var errRetired = errors.New("connection retired")

// conn is a pooled connection that knows its age and how much of the current request it has carried.
type conn struct {
	net.Conn
	retireAt time.Time     // zero: never
	write    time.Duration // bound of one write, 0: none
	buffers  *sync.Pool    // *[]byte, for large bodies
	gone     func()        // takes it out of the pool's books, once

	probe     probe     // of a direct one
	idleSince time.Time // of a direct one; guarded by direct.mu

	shared   bool        // calls come and go on it side by side
	surprise *surprise   // nil where the protocol is settled
	foreign  atomic.Bool // the peer speaks the other protocol

	sent    atomic.Int64 // bytes of the current request
	deaf    atomic.Bool  // the peer stopped reading in the middle of a request: fit to read a reply, not to be used again
	retired atomic.Bool
	closing sync.Once
	ended   error // set by closing
}

// Read notes it when the peer speaks another protocol than it was taken for.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if c.surprise != nil && n > 0 && c.surprise.hear(p[:n]) {
		c.foreign.Store(true)
	}
	return n, err
}

// begin marks the start of a request on a connection that only one has at a time. A connection that is too old, or broken, is closed instead: with nothing
// written on it, net/http takes the next one.
func (c *conn) begin(now time.Time, reused bool) {
	c.sent.Store(0)
	if reused && (c.deaf.Load() || !c.retireAt.IsZero() && now.After(c.retireAt)) {
		c.retired.Store(true)
		c.Close()
	}
}

// Write pretends success when the peer hangs up in the middle of a request. A server that refuses a request by its
// size answers 413 and closes without reading to the end; the failed write must not hide its answer, which is read
// next. If there is none, the read tells the same trouble.
func (c *conn) Write(p []byte) (int, error) {
	if c.retired.Load() {
		return 0, errRetired
	}
	if c.deaf.Load() {
		return len(p), nil
	}
	if c.write > 0 {
		if err := c.Conn.SetWriteDeadline(time.Now().Add(c.write)); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Write(p)
	sent := c.sent.Add(int64(n))
	// What others have on a shared connection must not wait for the last words to one. But a server that knows no HTTP/2 says so and
	// hangs up at the first frame.
	waits := !c.shared || c.surprise != nil && !c.surprise.done.Load()
	if err == nil || sent == 0 || !waits || errors.Is(err, net.ErrClosed) || errors.Is(err, os.ErrDeadlineExceeded) {
		return n, err
	}
	c.deaf.Store(true) // first: who sets another deadline looks
	if c.Conn.SetReadDeadline(time.Now().Add(lastWordsWait)) != nil {
		return n, err
	}
	return len(p), nil
}

// ReadFrom spares large bodies a fresh copying buffer per request.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	buffer := c.buffers.Get().(*[]byte)
	defer c.buffers.Put(buffer)
	var total int64
	for {
		n, err := r.Read(*buffer)
		if n > 0 {
			written, err := c.Write((*buffer)[:n])
			total += int64(written)
			if err != nil {
				return total, err
			}
		}
		if err == io.EOF {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func (c *conn) Close() error {
	c.closing.Do(func() {
		c.ended = c.Conn.Close()
		c.gone()
	})
	return c.ended
}
