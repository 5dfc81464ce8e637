package endpoint

import (
	"context"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// direct is the connections of a carrier in the clear that one call has at a time. net/http would pool them too, with two goroutines for
// each that a call is handed to and back: half of what a call costs.
type direct struct {
	pool     *Pool
	dial     func(context.Context, string, string) (net.Conn, error)
	address  string
	idleMax  time.Duration // that a connection is kept without a call
	poolSize int           // how many are

	mu      sync.Mutex  // guards all below
	idle    []*conn     // the last used one last
	waiting []*wanting  // the longest first
	sweep   *time.Timer // runs while one is idle; nil before the first
	armed   bool        // it does
}

// wanting is a call that waits for a connection: for the one that is dialed for it, or one that another call leaves sooner.
type wanting struct {
	given chan given // has room for the one thing that is put into it
}

type given struct {
	conn   *conn
	reused bool
	err    error
}

func newDirect(k *carrier) *direct {
	return &direct{pool: k.pool, dial: k.dialer(false), address: hostPort(k.key), idleMax: k.key.idleMax(), poolSize: k.key.poolSize}
}

// take answers a connection that is the caller's until it puts it back or closes it.
func (d *direct) take(ctx context.Context) (c *conn, reused bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	for {
		c := d.pop()
		if c == nil {
			g := d.wait(ctx)
			if g.err != nil || !g.reused {
				return g.conn, false, g.err
			}
			c = g.conn
		}
		if c.fit(time.Now()) {
			return c, true, nil
		}
		c.Close()
	}
}

func (d *direct) wait(ctx context.Context) given {
	w := d.want()
	if w == nil {
		return given{err: errPoolClosed}
	}
	select {
	case g := <-w.given:
		return g
	case <-ctx.Done():
		d.wantNoMore(w)
		return given{err: ctx.Err()}
	}
}

func (d *direct) pop() *conn {
	d.mu.Lock()
	defer d.mu.Unlock()
	last := len(d.idle) - 1
	if last < 0 {
		return nil
	}
	c := d.idle[last]
	d.idle[last] = nil
	d.idle = d.idle[:last]
	return c
}

// fit reports whether a connection that has waited can carry another call. What came meanwhile is its end, or bytes that nobody has asked
// for and that would pass for the next answer.
func (c *conn) fit(now time.Time) bool {
	if !c.retireAt.IsZero() && now.After(c.retireAt) {
		return false
	}
	return c.probe.silent()
}

// put takes back a connection that can carry another call.
func (d *direct) put(c *conn) {
	d.mu.Lock()
	w := d.nextLocked()
	keep := w == nil && len(d.idle) < d.poolSize
	if keep {
		c.idleSince = time.Now()
		d.idle = append(d.idle, c)
		d.armLocked(d.idleMax)
	}
	d.mu.Unlock()
	switch {
	case w != nil:
		w.given <- given{conn: c, reused: true}
	case !keep:
		c.Close()
	}
}

func (d *direct) armLocked(wait time.Duration) {
	switch {
	case d.armed:
		return
	case d.sweep == nil:
		d.sweep = time.AfterFunc(wait, d.sweepIdle)
	default:
		d.sweep.Reset(wait)
	}
	d.armed = true
}

// nextLocked answers the call that has waited longest, and takes it from those that wait.
func (d *direct) nextLocked() *wanting {
	if len(d.waiting) == 0 {
		return nil
	}
	w := d.waiting[0]
	d.waiting = slices.Delete(d.waiting, 0, 1)
	return w
}

// want dials for a call that waits; nil when the pool is closed. The dial goes on without the call: the next one may be as short of time.
func (d *direct) want() *wanting {
	if !d.pool.beginDial() {
		return nil
	}
	w := &wanting{given: make(chan given, 1)}
	d.mu.Lock()
	d.waiting = append(d.waiting, w)
	d.mu.Unlock()
	go func() {
		defer d.pool.dials.Done()
		raw, err := d.dial(d.pool.ctx, "tcp", d.address)
		if err != nil {
			if d.remove(w) {
				w.given <- given{err: err}
			}
			return
		}
		c := raw.(*conn)
		if s, ok := c.Conn.(syscall.Conn); ok {
			if raw, err := s.SyscallConn(); err == nil {
				c.probe.begin(raw)
			}
		}
		if d.remove(w) {
			w.given <- given{conn: c}
			return
		}
		d.put(c)
	}()
	return w
}

// remove reports whether a call still waited.
func (d *direct) remove(w *wanting) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.Index(d.waiting, w)
	if i < 0 {
		return false
	}
	d.waiting = slices.Delete(d.waiting, i, i+1)
	return true
}

// wantNoMore passes on what came too late.
func (d *direct) wantNoMore(w *wanting) {
	if d.remove(w) {
		return
	}
	if g := <-w.given; g.conn != nil {
		d.put(g.conn)
	}
}

// sweepIdle closes what has waited for too long.
func (d *direct) sweepIdle() {
	d.mu.Lock()
	now := time.Now()
	n := 0
	for n < len(d.idle) && now.Sub(d.idle[n].idleSince) >= d.idleMax {
		n++
	}
	old := slices.Clone(d.idle[:n])
	d.idle = slices.Delete(d.idle, 0, n)
	if d.armed = false; len(d.idle) > 0 {
		d.armLocked(d.idleMax - now.Sub(d.idle[0].idleSince))
	}
	d.mu.Unlock()
	for _, c := range old {
		c.Close()
	}
}

func (d *direct) closeIdle() {
	d.mu.Lock()
	idle := d.idle
	d.idle = nil
	d.mu.Unlock()
	for _, c := range idle {
		c.Close()
	}
}
