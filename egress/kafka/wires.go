package kafka

import (
	"context"
	"net"
	"sync"
)

// wires are a session's connections. The client knows no context; cutting its wires is how its calls are ended.
type wires struct {
	ctx    context.Context
	cancel context.CancelFunc
	dial   dialFunc

	mu   sync.Mutex
	open map[net.Conn]struct{}
	dead bool
}

// dialFunc opens a connection; raw is what is below its TLS.
type dialFunc func(ctx context.Context, network, address string) (conn, raw net.Conn, err error)

func newWires(dial dialFunc) *wires {
	w := &wires{dial: dial, open: make(map[net.Conn]struct{})}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w
}

// Dial implements proxy.Dialer. TLS is made here and not by the client: so its handshake has a bound, ends with the session, and says
// what was wrong.
func (w *wires) Dial(network, address string) (net.Conn, error) {
	c, raw, err := w.dial(w.ctx, network, address)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.dead {
		_ = raw.Close()
		return nil, errCut
	}
	t := &wire{Conn: c, raw: raw, wires: w}
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
		_ = c.(*wire).raw.Close()
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
	raw   net.Conn // closing it waits for nobody
	wires *wires
}

func (c *wire) Close() error {
	c.wires.mu.Lock()
	delete(c.wires.open, c)
	c.wires.mu.Unlock()
	return c.Conn.Close()
}
