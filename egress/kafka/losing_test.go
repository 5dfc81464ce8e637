package kafka

import (
	"encoding/binary"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// losing loses the answers to some requests: they are carried out, and the connection breaks before their answer is on it, or
// hangs.
type losing struct {
	net.Listener
	mu   sync.Mutex
	lose map[kmsg.Key]int // how many answers
	hang chan struct{}    // until it is closed; nil: connections break
	open []net.Conn
}

// loses is a broker whose answers can be lost.
func loses(t *testing.T) (*losing, *kfake.Cluster, Config) {
	t.Helper()
	l := &losing{lose: map[kmsg.Key]int{}}
	c, cfg := fake(t, kfake.ListenFn(func(network, address string) (_ net.Listener, err error) {
		l.Listener, err = net.Listen(network, address)
		return l, err
	}))
	return l, c, cfg
}

func (l *losing) next(key kmsg.Key, answers int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lose[key] = answers
}

// left is how many answers are not lost yet.
func (l *losing) left(key kmsg.Key) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lose[key]
}

func (l *losing) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = append(l.open, c)
	return &losingConn{Conn: c, from: l}, nil
}

// end closes all connections that were made, as a broker does with those that rest.
func (l *losing) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.open {
		_ = c.Close()
	}
	l.open = nil
}

// losingConn sees what kfake reads: the size of a request, then the request, one at a time.
type losingConn struct {
	net.Conn
	from *losing
	key  atomic.Int32
	head []byte
	left int // bytes of the request that were not read
}

func (c *losingConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	for rest := b[:n]; len(rest) > 0; {
		if c.left > 0 {
			skip := min(c.left, len(rest))
			c.left, rest = c.left-skip, rest[skip:]
			continue
		}
		c.head, rest = append(c.head, rest[0]), rest[1:]
		if len(c.head) == 6 {
			c.key.Store(int32(binary.BigEndian.Uint16(c.head[4:])))
			c.left, c.head = int(binary.BigEndian.Uint32(c.head))-2, c.head[:0]
		}
	}
	return n, err
}

func (c *losingConn) Write(b []byte) (int, error) {
	key := kmsg.Key(c.key.Load())
	c.from.mu.Lock()
	lose := c.from.lose[key] > 0
	if lose {
		c.from.lose[key]--
	}
	c.from.mu.Unlock()
	switch {
	case lose && c.from.hang != nil:
		<-c.from.hang
	case lose:
		_ = c.Conn.Close()
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}
