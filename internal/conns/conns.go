// Package conns bounds the connections of a server. Those that are idle keep nobody out.
package conns

import (
	"crypto/tls"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// idleMin is how long a connection must have been idle before it is closed for another one: one that has just been answered is about to
// be used again where many ask at once.
const idleMin = 200 * time.Millisecond

// Bounded accepts no more connections than it has slots. Those that are idle keep nobody out: when there is no slot the one that has been
// idle for longest is closed, as soon as that has been a while. A client whose request is on its way then gets no answer, as from any
// server that closes what is idle.
type Bounded struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex // guards all below
	idle    []*counted // the one that has been so for longest first
	waiting bool       // for a slot
	later   bool       // makeRoom is called again by a timer
}

// Bound bounds what a listener accepts. The server needs State as its ConnState.
func Bound(listener net.Listener, atOnce int) *Bounded {
	return &Bounded{Listener: listener, slots: make(chan struct{}, atOnce), closed: make(chan struct{})}
}

// Accept waits for a slot, and then for a connection.
func (b *Bounded) Accept() (net.Conn, error) {
	select {
	case b.slots <- struct{}{}:
	default:
		if err := b.wait(); err != nil {
			return nil, err
		}
	}
	conn, err := b.Listener.Accept()
	if err != nil {
		<-b.slots
		return nil, err
	}
	return &counted{Conn: conn, free: sync.OnceFunc(func() { <-b.slots })}, nil
}

// wait takes a slot as soon as there is one.
func (b *Bounded) wait() error {
	b.mu.Lock()
	b.waiting = true
	b.mu.Unlock()
	b.makeRoom()
	select {
	case b.slots <- struct{}{}:
	case <-b.closed:
		return net.ErrClosed
	}
	b.mu.Lock()
	b.waiting = false
	b.mu.Unlock()
	return nil
}

// Crowded reports whether somebody waits for a slot. A server that says so in its answers ("Connection: close") makes room without
// breaking a connection on which the next request is on its way.
func (b *Bounded) Crowded() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiting
}

// makeRoom closes an idle connection if somebody waits for its slot, now or as soon as it has been idle for long enough.
func (b *Bounded) makeRoom() {
	b.mu.Lock()
	var spare *counted
	if b.waiting && len(b.idle) > 0 {
		switch more := idleMin - time.Since(b.idle[0].since); {
		case more <= 0:
			spare, b.idle, b.waiting = b.idle[0], b.idle[1:], false
		case !b.later:
			b.later = true
			time.AfterFunc(more, func() {
				b.mu.Lock()
				b.later = false
				b.mu.Unlock()
				b.makeRoom()
			})
		}
	}
	b.mu.Unlock()
	if spare != nil {
		spare.cut()
	}
}

// State is told by the server what a connection does.
func (b *Bounded) State(conn net.Conn, now http.ConnState) {
	if secured, is := conn.(*tls.Conn); is { // TLS over what is bounded; TLS below it is in the counted one
		conn = secured.NetConn()
	}
	c, ok := conn.(*counted)
	if !ok {
		return
	}
	b.mu.Lock()
	b.idle = slices.DeleteFunc(b.idle, func(have *counted) bool { return have == c })
	if now == http.StateIdle {
		c.since = time.Now()
		b.idle = append(b.idle, c)
	}
	first := len(b.idle) == 1
	b.mu.Unlock()
	if first {
		b.makeRoom()
	}
}

// Close ends Accept.
func (b *Bounded) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.Listener.Close()
}

// counted is a connection that gives its slot back.
type counted struct {
	net.Conn
	free  func()
	since time.Time // it is idle; guarded by the mu of its Bounded
}

func (c *counted) Close() error {
	defer c.free()
	return c.Conn.Close()
}

// cut closes at once: that of TLS would first write that it ends, and wait for seconds for a client that does not read.
func (c *counted) cut() {
	defer c.free()
	raw := c.Conn
	if secured, ok := raw.(*tls.Conn); ok {
		raw = secured.NetConn()
	}
	_ = raw.Close() // nobody uses it
}
