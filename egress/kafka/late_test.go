package kafka

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// late keeps one request on its way: its connection breaks for the client, and what the client had written on it arrives when the test
// says so, as it can from a network that stood still.
type late struct {
	mu    sync.Mutex
	key   int // of the request to keep; -1: of none
	keeps net.Conn
	held  []byte
}

func (l *late) next(key kmsg.Key) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.key = int(key)
}

// dial lets a session's connections go through it.
func (l *late) dial(dial dialFunc) dialFunc {
	return func(ctx context.Context, network, address string) (conn, raw net.Conn, err error) {
		if conn, raw, err = dial(ctx, network, address); err != nil {
			return nil, nil, err
		}
		return &lateConn{Conn: conn, of: l}, raw, nil
	}
}

// arrive brings what was kept to the broker, and returns its answer; nil where nothing was kept.
func (l *late) arrive(t *testing.T) []byte {
	t.Helper()
	l.mu.Lock()
	conn, held := l.keeps, l.held
	l.keeps = nil
	l.mu.Unlock()
	if conn == nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Error(err)
	}
	if _, err := conn.Write(held); err != nil {
		t.Error(err)
	}
	size := make([]byte, 4)
	if _, err := io.ReadFull(conn, size); err != nil {
		t.Error("the broker does not answer what came late:", err)
	}
	answer := make([]byte, binary.BigEndian.Uint32(size))
	if _, err := io.ReadFull(conn, answer); err != nil {
		t.Error(err)
	}
	return answer[4:] // behind its number
}

// lateConn writes a request at once, as the client does.
type lateConn struct {
	net.Conn
	of     *late
	broken atomic.Bool
}

func (c *lateConn) Write(b []byte) (int, error) {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	if len(b) < 6 || c.of.key != int(binary.BigEndian.Uint16(b[4:])) {
		return c.Conn.Write(b)
	}
	c.of.key, c.of.keeps, c.of.held = -1, c.Conn, append([]byte(nil), b...)
	c.broken.Store(true)
	return len(b), nil
}

func (c *lateConn) Read(b []byte) (int, error) {
	if c.broken.Load() {
		return 0, io.EOF
	}
	return c.Conn.Read(b)
}

// Close leaves a broken one to what arrives late.
func (c *lateConn) Close() error {
	if c.broken.Load() {
		return nil
	}
	return c.Conn.Close()
}

// lateRequests: the answer to a request of a transaction does not come, and the request itself arrives in the middle of the next one. It
// must not commit half of it, nor set the cursor back, nor add a record.
func lateRequests(t *testing.T, b *broker) {
	for key, at := range map[kmsg.Key]string{
		kmsg.AddPartitionsToTxn: "send", kmsg.Produce: "send", kmsg.AddOffsetsToTxn: "send", kmsg.TxnOffsetCommit: "commit transaction", kmsg.EndTxn: "send",
	} {
		t.Run(key.Name(), func(t *testing.T) {
			b := b.apart(t, key.Name())
			cfg := b.cfg
			cfg.StoreID += "-" + key.Name()
			cfg.Properties = map[string]string{"max.request.size": "1500"} // a batch holds one of the outputs below
			o := newOutbox("shop/out")
			o.holdTrims = true
			kept := &late{key: -1}
			rounds := 0
			var answer []byte
			var next atomic.Bool
			l := begin(t, o, cfg, func(r *Relay) {
				r.set.dial = kept.dial(r.set.dial)
				r.about = func(request string) {
					if !next.Load() || request != at {
						return
					}
					if rounds++; rounds == 2 || at != "send" && answer == nil {
						answer = kept.arrive(t)
					}
				}
			})
			pad := strings.Repeat("x", 1000)
			l.emit(kafkaOutput(b.topic("out"), "key-0", "1"))
			o.waitDelivered(t, 2)
			kept.next(key)
			l.emit(kafkaOutput(b.topic("out"), "key-0", "2"))
			o.waitDelivered(t, 3)
			next.Store(true)
			l.emit(kafkaOutput(b.topic("out"), "key-0", "3"+pad), kafkaOutput(b.topic("out"), "key-0", "4"+pad))
			o.waitDelivered(t, 5)
			// The store has not heard of what was delivered: only the cursor says it.
			l.kill()
			if err := l.end(t); err != nil {
				t.Fatal(err)
			}
			if answer == nil {
				t.Fatal("nothing came late")
			}
			// Whether records can still follow a half that is committed depends on when its markers are written.
			end := kmsg.NewPtrEndTxnResponse()
			end.Version = transactionVersion
			if key == kmsg.EndTxn && (end.ReadFrom(answer[1:]) != nil || end.ErrorCode == 0) {
				t.Errorf("the broker has committed what was under way: %x", answer)
			}
			successor := begin(t, o, cfg)
			successor.emit(kafkaOutput(b.topic("out"), "key-0", "5"))
			o.waitDelivered(t, 6)
			got := committed(t, cfg.Brokers, b.topic("out"))
			for i, value := range got["key-0"] {
				got["key-0"][i] = value[:1]
			}
			if diff := cmp.Diff(numbers(1, 5), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// recordsAfterTheEnd: a relay ends while some of its records are on their way, and they arrive when it is gone, before its successor or
// after. Behind an abort they would be in no transaction, until one of the successor's commits them.
func recordsAfterTheEnd(t *testing.T, b *broker) {
	for _, when := range []string{"before", "after"} {
		t.Run(when, func(t *testing.T) {
			b := b.apart(t, when)
			cfg := b.cfg
			cfg.StoreID += "-" + when
			o := newOutbox("shop/out")
			kept := &late{key: -1}
			var last atomic.Bool
			var l *life
			l = begin(t, o, cfg, func(r *Relay) {
				r.set.dial = kept.dial(r.set.dial)
				r.about = func(request string) {
					if request == "send" && last.Load() {
						kept.next(kmsg.Produce)
						l.stop()
					}
				}
			})
			l.emit(kafkaOutput(b.topic("out"), "key-0", "1"))
			o.waitDelivered(t, 2)
			last.Store(true)
			l.emit(kafkaOutput(b.topic("out"), "key-0", "2"))
			if err := <-l.done; err != nil {
				t.Fatal(err)
			}
			if when == "before" && kept.arrive(t) == nil {
				t.Fatal("nothing came late")
			}
			successor := begin(t, o, cfg)
			o.waitDelivered(t, 3)
			if when == "after" && kept.arrive(t) == nil {
				t.Fatal("nothing came late")
			}
			successor.emit(kafkaOutput(b.topic("out"), "key-0", "3"))
			o.waitDelivered(t, 4)
			if diff := cmp.Diff(numbers(1, 3), committed(t, cfg.Brokers, b.topic("out"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
