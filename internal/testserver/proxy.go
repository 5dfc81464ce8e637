//go:build unix

package testserver

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Proxy stands between a server and its clients and does to their connections what networks do. A new one passes everything on.
type Proxy struct {
	listener net.Listener
	wait     sync.WaitGroup

	mu       sync.Mutex
	target   string
	up, down Road
	changed  chan struct{} // closed, and replaced, when a road changes
	links    map[*link]bool
	closed   bool
}

// Road is how one direction of all connections is, those that are open and those to come. The zero value is a good one.
type Road struct {
	Stalled        bool          // nothing gets through, and no end of a connection either; it goes on when the road is open again
	Delay          time.Duration // each piece of data takes so long
	BytesPerSecond int           // 0: as fast as it goes
}

// link is one client's connection and the one to the server that belongs to it.
type link struct {
	client, server net.Conn
	once           sync.Once
	cut            chan struct{}
}

const (
	pieceBytesMax = 32 << 10
	dialMax       = 5 * time.Second
)

// NewProxy listens on a port of its own for the server at an address, which need not be there yet.
func NewProxy(target string) (*Proxy, error) {
	for range 5 {
		port, err := freePort()
		if err != nil {
			return nil, fmt.Errorf("proxy of %s: %w", target, err)
		}
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue // somebody else was quicker
		}
		p := &Proxy{listener: l, target: target, changed: make(chan struct{}), links: map[*link]bool{}}
		p.wait.Add(1)
		go p.accept()
		return p, nil
	}
	return nil, fmt.Errorf("proxy of %s: %w", target, errPort)
}

// Addr is where clients connect.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set makes the roads: up to the server, down to the clients.
func (p *Proxy) Set(up, down Road) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up, p.down = up, down
	close(p.changed)
	p.changed = make(chan struct{})
}

// Cut resets all connections that are open, with what is on its way in them, and answers how many there were.
func (p *Proxy) Cut() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.reset()
	}
	return len(p.links)
}

// Close cuts everything and listens no more.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.listener.Close()
	p.Cut()
	p.wait.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// aim is for servers that find their port after the proxy was made.
func (p *Proxy) aim(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

func (p *Proxy) accept() {
	defer p.wait.Done()
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.wait.Add(1)
		go p.serve(client)
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer p.wait.Done()
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	server, err := net.DialTimeout("tcp", target, dialMax)
	if err != nil {
		abort(client)
		return
	}
	l := &link{client: client, server: server, cut: make(chan struct{})}
	p.mu.Lock()
	p.links[l] = true
	if p.closed {
		l.reset()
	}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pump(l, server, client, true) })
	both.Go(func() { p.pump(l, client, server, false) })
	both.Wait()
	l.reset()
	p.mu.Lock()
	delete(p.links, l)
	p.mu.Unlock()
}

// pump passes one direction on until its end, which it passes on too.
func (p *Proxy) pump(l *link, to, from net.Conn, up bool) {
	piece := make([]byte, pieceBytesMax)
	for {
		n, err := from.Read(piece)
		if !p.travel(l, up, n) {
			return
		}
		if n > 0 {
			if _, err := to.Write(piece[:n]); err != nil {
				l.reset()
				return
			}
		}
		if err != nil {
			if end, ok := to.(*net.TCPConn); !ok || end.CloseWrite() != nil {
				l.reset()
			}
			return
		}
	}
}

// travel takes as long as the road does. false: the connection was cut on the way.
func (p *Proxy) travel(l *link, up bool, bytes int) bool {
	for {
		p.mu.Lock()
		road, changed := p.down, p.changed
		if up {
			road = p.up
		}
		p.mu.Unlock()
		if road.Stalled {
			select {
			case <-changed:
				continue
			case <-l.cut:
				return false
			}
		}
		took := road.Delay
		if road.BytesPerSecond > 0 {
			took += time.Duration(bytes) * time.Second / time.Duration(road.BytesPerSecond)
		}
		if took == 0 {
			return true
		}
		arrived := time.NewTimer(took)
		defer arrived.Stop()
		select {
		case <-arrived.C:
			return true
		case <-l.cut:
			return false
		}
	}
}

// reset ends both connections at once.
func (l *link) reset() {
	l.once.Do(func() {
		close(l.cut)
		abort(l.client)
		abort(l.server)
	})
}

// abort closes a connection with a reset, so that the other end learns of it although its data has not all arrived.
func abort(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}
