package endpoint

import (
	"bufio"
	"container/list"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// clientsMax bounds the clients that a pool remembers; the longest unused one is forgotten first.
	clientsMax = 4096
	// dialMax ends a dial that nobody waits for any more where the spec gives no Connect.
	dialMax = 2 * time.Minute
	// idleMax ends connections that carried nothing for so long, where PoolTTL does not do it sooner.
	idleMax = time.Minute
	// headerBytesMax bounds the headers of a reply.
	headerBytesMax = 64 << 10
	// sharedHeaderBytesMax is what net/http reads of them on a shared connection. When there are more it ends the connection, and with it
	// the calls of others, so the bound of a reply is not judged by it but here.
	sharedHeaderBytesMax = 1 << 20
	// copyBufferBytes is the piece in which a large request is written.
	copyBufferBytes = 32 << 10
)

var errPoolClosed = errors.New("endpoint pool closed")

// Pool shares connections among the clients of one host and the same settings. Its methods may be called at any time
// by any goroutine.
type Pool struct {
	ctx     context.Context // ends dials when the pool closes
	cancel  context.CancelCauseFunc
	dials   sync.WaitGroup
	buffers sync.Pool // *[]byte, see conn.ReadFrom
	readers sync.Pool // *bufio.Reader, see exchange
	gunzips sync.Pool // *gzip.Reader
	replies budget
	signer  *Signer // nil: requests are not signed

	mu       sync.Mutex // guards all below
	closed   bool
	clients  map[clientKey]*list.Element // of recent
	recent   *list.List                  // of *Client, the latest used first
	carriers map[carrierKey]*carrier
	conns    map[*conn]struct{}
}

// clientKey is a whole spec, compared by value.
type clientKey struct {
	spec Spec // its TLS is nil
	tls  TLS
}

// NewPool makes an empty pool. Close it.
func NewPool() *Pool {
	p := &Pool{
		clients:  make(map[clientKey]*list.Element),
		recent:   list.New(),
		carriers: make(map[carrierKey]*carrier),
		conns:    make(map[*conn]struct{}),
		replies:  budget{bytesMax: repliesBytesMax, tick: paceTick},
	}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	p.buffers.New = func() any { b := make([]byte, copyBufferBytes); return &b }
	p.readers.New = func() any { return bufio.NewReader(nil) }
	return p
}

// Client answers the client for a spec, the same one for the same spec while it is remembered. It costs a look-up
// after the first time. The client lives until the pool closes; its own Close does nothing.
func (p *Pool) Client(spec Spec) (*Client, error) {
	key := clientKey{spec: spec}
	if spec.TLS != nil {
		key.tls = *spec.TLS
	}
	key.spec.TLS = nil
	c, idle, err := p.clientOf(spec, key)
	if err != nil {
		return nil, fmt.Errorf("make endpoint client: %w", err)
	}
	if idle != nil {
		idle.closeIdle() // not under the mutex: closing a connection takes it out of the books
	}
	return c, nil
}

// clientOf also answers a carrier that no remembered client uses any more, if there is one.
func (p *Pool) clientOf(spec Spec, key clientKey) (c *Client, idle *carrier, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, errPoolClosed
	}
	if e := p.clients[key]; e != nil {
		p.recent.MoveToFront(e)
		return e.Value.(*Client), nil, nil
	}
	if c, err = p.makeLocked(spec, key); err != nil {
		return nil, nil, err
	}
	p.clients[key] = p.recent.PushFront(c)
	if p.recent.Len() > clientsMax {
		idle = p.forgetLocked(p.recent.Back())
	}
	return c, idle, nil
}

func (p *Pool) makeLocked(spec Spec, key clientKey) (*Client, error) {
	if err := spec.validate(); err != nil {
		return nil, err
	}
	spec.fillDefaults()
	where, err := parseLocation(spec.URL)
	if err != nil {
		return nil, err
	}
	ck := carrierKey{
		scheme: where.url.Scheme, host: where.url.Host, socket: where.socket,
		connect: spec.Connect, read: spec.Read, write: spec.Write, retireAge: spec.PoolTTL,
		poolSize: spec.PoolSize, http2: spec.HTTP2, proxy: spec.Proxy,
	}
	if ck.scheme == "https" {
		ck.tls = key.tls
	}
	if ck.socket != "" {
		ck.proxy = ""
	}
	if ck.proxy != "" && ck.scheme == "http" && ck.http2 == HTTP2Always {
		return nil, errors.New("HTTP/2 in the clear does not pass through a proxy")
	}
	k := p.carriers[ck]
	if k == nil {
		if k, err = newCarrier(p, ck); err != nil {
			return nil, err
		}
		p.carriers[ck] = k
	}
	k.clients++
	return newClient(p, k, spec, where, key), nil
}

// forgetLocked answers the client's carrier if it was the last one to use it. Who still holds the client can go on.
func (p *Pool) forgetLocked(e *list.Element) *carrier {
	c := p.recent.Remove(e).(*Client)
	delete(p.clients, c.key)
	c.carrier.clients--
	if c.carrier.clients > 0 {
		return nil
	}
	delete(p.carriers, c.carrier.key)
	return c.carrier
}

// beginDial is under the mutex so that no dial begins while Close waits for them.
func (p *Pool) beginDial() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.dials.Add(1)
	return true
}

func (p *Pool) remember(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Pool) forget(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// Close ends every connection, also those in use: their calls fail as Canceled. It waits for dials to end.
func (p *Pool) Close() {
	p.cancel(errPoolClosed) // first, so that whatever fails from here on is known to be our doing
	p.mu.Lock()
	p.closed = true
	var conns []*conn
	for c := range p.conns {
		conns = append(conns, c)
	}
	var carriers []*carrier
	for _, k := range p.carriers {
		carriers = append(carriers, k)
	}
	p.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
	p.dials.Wait()
	for _, k := range carriers {
		k.closeIdle()
	}
}
