package endpoint

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"time"
)

// greetWait is how long the settings of a new connection are awaited before more than one call is put on it. How many it takes at a
// time stands in them; until they come net/http believes in streamsUnknown, and each call too many would be refused.
const (
	greetWait      = 100 * time.Millisecond
	greetTick      = time.Millisecond
	streamsUnknown = 100
)

var errOnlyHTTP1 = errors.New("the endpoint does not offer HTTP/2")

// lines are the connections of a carrier that calls share. net/http would pool them too, but its pool puts more calls on a new
// connection than the endpoint takes, which are refused, and knows no age.
type lines struct {
	carrier   *carrier
	transport *http.Transport // dials, and knows what all connections have in common

	mu      sync.Mutex // guards all below, and the fields of lines
	all     []*line
	limit   int           // how many calls the endpoint takes on a connection at a time, as it said last; 0: not known yet
	changed chan struct{} // closed when there may be room that was not there; nil while nobody waits
}

// line is one shared connection.
type line struct {
	client *http.ClientConn // nil while it is dialed
	conn   *conn
	err    error         // why it could not be dialed
	ready  chan struct{} // closed when it is dialed, or not
	since  time.Time     // when it was
	known  bool          // it has said how many calls it takes
	calls  int           // that are on it or wait for it; each has a place reserved, or would wait for its turn
}

func newLines(k *carrier, t *http.Transport) *lines { return &lines{carrier: k, transport: t} }

// take answers a line on which there is room for one more call, and dials one where there is none. Its release must be told. The error
// is errOnlyHTTP1 where the endpoint could be reached and speaks HTTP/1.1 only.
func (s *lines) take(ctx context.Context) (*line, error) {
	for {
		l, wait := s.choose()
		if l == nil {
			if err := waitFor(ctx, wait); err != nil {
				return nil, err
			}
			continue
		}
		select {
		case <-l.ready:
		case <-ctx.Done():
			s.giveBack(l)
			return nil, ctx.Err()
		}
		if l.err != nil {
			return nil, l.err
		}
		return l, nil
	}
}

func waitFor(ctx context.Context, changed <-chan struct{}) error {
	timer := time.NewTimer(greetTick)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// choose answers a line with the call counted on it, and its place reserved if it is dialed. There is none when the settings of a
// connection are on their way; then there is something to wait for.
func (s *lines) choose() (*line, <-chan struct{}) {
	s.mu.Lock()
	now := time.Now()
	old := s.clearLocked(now)
	l := s.roomLocked(now)
	var wait chan struct{}
	switch {
	case l != nil:
	case s.limit == 0 && slices.ContainsFunc(s.all, func(l *line) bool { return !l.known && !l.isOld(now) }):
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		wait = s.changed
	case len(s.all) >= s.carrier.key.poolSize:
		l = slices.MinFunc(s.all, func(a, b *line) int { return a.calls - b.calls }) // to wait there for its turn
	default:
		l = &line{ready: make(chan struct{})}
		s.all = append(s.all, l)
		defer s.dial(l) // without the mutex
	}
	if l != nil {
		l.calls++
	}
	s.mu.Unlock()
	closeAll(old)
	return l, wait
}

// roomLocked looks for a line that takes one more call. Of a line that has not said what it takes the last word of its endpoint is
// believed; without one, it takes a single call.
func (s *lines) roomLocked(now time.Time) *line {
	for _, l := range s.all {
		if l.isOld(now) {
			continue
		}
		s.hearLocked(l, now)
		switch {
		case !l.known && l.calls >= max(s.limit, 1):
		case l.client == nil, l.client.Reserve() == nil:
			return l
		}
	}
	return nil
}

// hearLocked notes whether the settings of a line have come.
func (s *lines) hearLocked(l *line, now time.Time) {
	if l.known || l.client == nil {
		return
	}
	limit := l.client.Available() + l.client.InFlight()
	if (limit == streamsUnknown || limit == 0) && now.Sub(l.since) < greetWait {
		return
	}
	l.known = true
	s.limit = max(limit, 1)
	s.tellLocked()
}

func (s *lines) tellLocked() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// clearLocked takes out what is closed, and answers what is old and has no call, to be closed without the mutex.
func (s *lines) clearLocked(now time.Time) (old []*line) {
	s.all = slices.DeleteFunc(s.all, func(l *line) bool {
		if l.client == nil {
			return false
		}
		if l.calls == 0 && l.isOld(now) {
			old = append(old, l)
			return true
		}
		return l.client.Err() != nil
	})
	return old
}

func closeAll(old []*line) {
	for _, l := range old {
		l.client.Close()
	}
}

func (l *line) isOld(now time.Time) bool {
	return l.conn != nil && !l.conn.retireAt.IsZero() && now.After(l.conn.retireAt)
}

// giveBack is for a call that ends before it was sent.
func (s *lines) giveBack(l *line) {
	s.mu.Lock()
	client := l.client
	s.mu.Unlock()
	if client != nil {
		client.Release()
	}
	s.release(l)
}

// release ends a call on a line.
func (s *lines) release(l *line) {
	s.mu.Lock()
	l.calls--
	old := s.clearLocked(time.Now())
	s.tellLocked()
	s.mu.Unlock()
	closeAll(old)
}

func (s *lines) closeIdle() {
	var idle []*line
	s.mu.Lock()
	s.all = slices.DeleteFunc(s.all, func(l *line) bool {
		if l.client == nil || l.calls > 0 {
			return false
		}
		idle = append(idle, l)
		return true
	})
	s.mu.Unlock()
	closeAll(idle)
}

// dial dials for all who wait for the line, so no one's context ends it. The pool's does.
func (s *lines) dial(l *line) {
	if !s.carrier.pool.beginDial() {
		s.dialed(l, nil, nil, errPoolClosed)
		return
	}
	go func() {
		defer s.carrier.pool.dials.Done()
		client, c, err := s.connect()
		s.dialed(l, client, c, err)
	}()
}

func (s *lines) dialed(l *line, client *http.ClientConn, c *conn, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.client, l.conn, l.err, l.since = client, c, err, time.Now()
	if err != nil {
		s.all = slices.DeleteFunc(s.all, func(other *line) bool { return other == l })
	}
	for range l.calls {
		if err != nil || client.Reserve() != nil {
			break // if it takes fewer than the endpoint said last, the rest wait there
		}
	}
	close(l.ready)
	s.tellLocked()
}

func (s *lines) connect() (*http.ClientConn, *conn, error) {
	key := s.carrier.key
	timeout := 2 * dialMax
	if key.connect > 0 {
		timeout = 2 * key.connect // once for the connection, once for its TLS
	}
	var c *conn
	var negotiated string
	ctx, cancel := context.WithTimeout(context.WithValue(s.carrier.pool.ctx, dialKey{}, &c), timeout)
	defer cancel()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeDone: func(state tls.ConnectionState, _ error) { negotiated = state.NegotiatedProtocol },
	})
	client, err := s.transport.NewClientConn(ctx, key.scheme, hostPort(key))
	switch {
	case err != nil:
		return nil, nil, err
	case key.scheme == "https" && negotiated != "h2":
		client.Close()
		return nil, nil, errOnlyHTTP1
	}
	return client, c, nil
}

func hostPort(key carrierKey) string {
	if _, _, err := net.SplitHostPort(key.host); err == nil {
		return key.host
	}
	port := "80"
	if key.scheme == "https" {
		port = "443"
	}
	host := key.host
	if len(host) > 1 && host[0] == '[' {
		host = host[1 : len(host)-1]
	}
	return net.JoinHostPort(host, port)
}
