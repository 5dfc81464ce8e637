package kafka

import (
	"context"
	"net"
	"sync"
	"time"
)

// wires are a session's connections. The client knows no context; cutting its wires is how its calls are ended.
type wires struct {
	ctx    context.Context
	cancel context.CancelFunc

	mu   sync.Mutex
	open map[net.Conn]struct{}
	dead bool
}

const dialMax = 10 * time.Second

func newWires() *wires {
	w := &wires{open: make(map[net.Conn]struct{})}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w
}

// Dial implements proxy.Dialer.
func (w *wires) Dial(network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialMax, KeepAlive: 30 * time.Second}
	c, err := d.DialContext(w.ctx, network, address)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		_ = c.Close()
		return nil, errCut
	}
	t := &wire{Conn: c, wires: w}
	w.open[t] = struct{}{}
	return t, nil
}

// cut closes all connections and lets no new one begin.
func (w *wires) cut() {
	w.cancel()
	w.mu.Lock()
	w.dead = true
	open := w.open
	w.open = make(map[net.Conn]struct{})
	w.mu.Unlock()
	for c := range open {
		_ = c.(*wire).Conn.Close()
	}
}

func (w *wires) isCut() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dead
}

// wire is one connection that is forgotten when it closes.
type wire struct {
	net.Conn
	wires *wires
}

func (c *wire) Close() error {
	c.wires.mu.Lock()
	delete(c.wires.open, c)
	c.wires.mu.Unlock()
	return c.Conn.Close()
}
