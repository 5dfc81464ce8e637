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
	roomTick       = 100 * time.Millisecond
	streamsUnknown = 100
	// leavingMin is how many lines may be leaving at least, however few PoolSize allows to take calls.
	leavingMin = 16
)

var errOnlyHTTP1 = errors.New("the endpoint does not offer HTTP/2")

// lines are the connections of a carrier that calls share. net/http would pool them too, but its pool puts more calls on a new
// connection than the endpoint takes, which are refused, and knows no age.
type lines struct {
	carrier   *carrier
	transport *http.Transport // dials, and knows what all connections have in common
	greetWait time.Duration   // greetWait, but in tests

	mu        sync.Mutex // guards all below, and the fields of lines
	all       []*line
	limit     int           // how many calls the endpoint takes on a connection at a time, as it said last; 0: not known yet
	changed   chan struct{} // closed when there may be room that was not there; nil while nobody waits
	expecting int           // calls that wait for the settings of a connection
}

// line is one shared connection. It takes calls until it leaves, that is: when it is old, when it is suspected of having fallen silent,
// and from the beginning where it is for one call alone. A line that leaves ends with its last call.
type line struct {
	alone  bool             // for one call; never changed
	client *http.ClientConn // nil while it is dialed
	conn   *conn
	err    error         // why it could not be dialed
	ready  chan struct{} // closed when it is dialed, or not
	since  time.Time     // when it was
	known  bool          // it has said how many calls it takes
	calls  int           // that are on it or wait for it
	mixed  bool          // there were several at a time since it had none
	silent bool          // a call on it timed out: nobody knows whether there is anybody on the other side
}

func newLines(k *carrier, t *http.Transport) *lines {
	return &lines{carrier: k, transport: t, greetWait: greetWait}
}

// take answers a line on which there is room for one more call, and dials one where there is none, or where the call wants to be alone.
// Its release must be told. The error is errOnlyHTTP1 where the endpoint could be reached and speaks HTTP/1.1 only.
func (s *lines) take(ctx context.Context, alone bool) (*line, error) {
	for {
		l, wait := s.choose(alone)
		if l == nil {
			err := wait.until(ctx)
			s.cameBack(wait)
			if err != nil {
				return nil, err
			}
			continue
		}
		select {
		case <-l.ready:
		case <-ctx.Done():
			s.release(l, false)
			return nil, ctx.Err()
		}
		if l.err != nil {
			return nil, l.err
		}
		return l, nil
	}
}

// waiting is for room that may come: somebody says so, or it is looked for again after a while, for net/http does not tell all.
type waiting struct {
	changed  <-chan struct{}
	again    time.Duration
	greeting bool // for the settings of a connection
}

func (s *lines) cameBack(w waiting) {
	if w.greeting {
		s.mu.Lock()
		s.expecting--
		s.mu.Unlock()
	}
}

func (w waiting) until(ctx context.Context) error {
	timer := time.NewTimer(w.again)
	defer timer.Stop()
	select {
	case <-w.changed:
	case <-timer.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// choose answers a line with the call counted on it. There is none when the settings of a connection are on their way, or when there are
// as many connections as there may be. A call that is to be alone always has a new one.
//
// A call has its connection to itself in so far as it counts against the limit here. net/http's own reservations are not used: it counts
// them as calls while the one whose turn it is waits for room, so that after a limit came that is below what is reserved all wait for
// each other.
func (s *lines) choose(alone bool) (*line, waiting) {
	s.mu.Lock()
	now := time.Now()
	old := s.clearLocked(now)
	var l, last *line
	if !alone {
		l, last = s.roomLocked(now)
	}
	var wait waiting
	switch {
	case l != nil:
	case !alone && s.expectLocked(now):
		s.expecting++
		wait = s.waitLocked(greetTick)
		wait.greeting = true
	case s.mayDialLocked(now, alone):
		l = &line{alone: alone, ready: make(chan struct{})}
		s.all = append(s.all, l)
		defer s.dial(l) // without the mutex
	case last != nil && s.leavingLocked(now) > s.leavingMax():
		l = last
	default:
		wait = s.waitLocked(roomTick)
	}
	if l != nil {
		l.mixed = l.calls > 0
		l.calls++
	}
	s.mu.Unlock()
	closeAll(old)
	return l, wait
}

func (s *lines) waitLocked(again time.Duration) waiting {
	if s.changed == nil {
		s.changed = make(chan struct{})
	}
	return waiting{changed: s.changed, again: again}
}

// expectLocked reports whether a call may find room on a connection of which the settings are on their way, beside those that hope for
// that already. What the endpoint took last time is no promise, so no call is put on a connection before; it says how many to dial.
func (s *lines) expectLocked(now time.Time) bool {
	room := 0
	for _, l := range s.all {
		switch {
		case l.known || l.leaves(now):
		case s.limit == 0:
			return true
		default:
			room += s.limit - 1
		}
	}
	return room > s.expecting
}

// roomLocked looks for a line that takes one more call. One that has not said how many it takes has that of who dialed it alone. The last
// resort is a line that is old and nothing worse, for when there are too many that leave.
func (s *lines) roomLocked(now time.Time) (room, last *line) {
	for _, l := range s.all {
		if s.hearLocked(l, now); !l.known || l.alone || l.silent {
			continue
		}
		if limit, inFlight := l.capacity(); max(l.calls, inFlight) >= limit {
			continue
		}
		if !l.isOld(now) {
			return l, nil
		}
		last = l
	}
	return nil, last
}

// mayDialLocked bounds the lines that take calls by PoolSize, and apart from them those that leave: calls that last must not keep others
// from a new connection. Only those that took calls and grew old can be more, so then there is a last resort.
func (s *lines) mayDialLocked(now time.Time, alone bool) bool {
	leaving := s.leavingLocked(now)
	if alone {
		return leaving < s.leavingMax()
	}
	return leaving <= s.leavingMax() && len(s.all)-leaving < s.carrier.key.poolSize
}

func (s *lines) leavingLocked(now time.Time) int {
	n := 0
	for _, l := range s.all {
		if l.leaves(now) {
			n++
		}
	}
	return n
}

func (s *lines) leavingMax() int { return max(s.carrier.key.poolSize, leavingMin) }

// hearLocked notes whether the settings of a line have come.
func (s *lines) hearLocked(l *line, now time.Time) {
	if l.known || l.client == nil {
		return
	}
	limit, _ := l.capacity()
	if (limit == streamsUnknown || limit == 0) && now.Sub(l.since) < s.greetWait {
		return
	}
	l.known = true
	s.limit = max(limit, 1)
	s.tellLocked()
}

// capacity is how many calls a line takes at a time, and how many it has: cancelled ones too, until the endpoint has acknowledged that.
// Calls start and end meanwhile, and the two are not to be had at once.
func (l *line) capacity() (limit, inFlight int) {
	inFlight = l.client.InFlight()
	for {
		available := l.client.Available()
		before := inFlight
		if inFlight = l.client.InFlight(); inFlight == before {
			return available + inFlight, inFlight
		}
	}
}

func (s *lines) tellLocked() {
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
}

// clearLocked takes out what is closed, and answers what leaves and has no call, to be closed without the mutex.
func (s *lines) clearLocked(now time.Time) (old []*line) {
	s.all = slices.DeleteFunc(s.all, func(l *line) bool {
		if l.client == nil {
			return false
		}
		if l.calls == 0 && l.leaves(now) {
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

func (l *line) leaves(now time.Time) bool { return l.alone || l.silent || l.isOld(now) }

// release ends a call on a line, and reports whether no other was on it in its time.
//
// A line on which a call timed out takes no more of them. With HTTP/1.1 a silent peer costs each connection one time-out; here it would
// cost all calls, until the kernel gives up. To ask whether somebody is there (a ping) would not do: a function with one thread does not
// answer while it works. Where too many leave already the line goes on: what makes so many calls late is not that one of them is dead.
func (s *lines) release(l *line, timedOut bool) (alone bool) {
	s.mu.Lock()
	now := time.Now()
	l.calls--
	alone = !l.mixed
	if timedOut && (l.calls == 0 || s.leavingLocked(now) < s.leavingMax()) {
		l.silent = true
	}
	old := s.clearLocked(now)
	s.tellLocked()
	s.mu.Unlock()
	closeAll(old)
	return alone
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
