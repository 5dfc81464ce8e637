//go:build unix

package testserver

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// echoed is a server that says everything again, behind a proxy.
func echoed(t *testing.T) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
		}
	}()
	p, err := NewProxy(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func dialed(t *testing.T, p *Proxy) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.(*net.TCPConn)
}

func tell(t *testing.T, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// hear answers what comes within a while.
func hear(c net.Conn, text string, within time.Duration) error {
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(c, got); err != nil {
		return err
	}
	if string(got) != text {
		return errors.New("got " + string(got))
	}
	return nil
}

func TestProxy(t *testing.T) {
	p := echoed(t)
	c := dialed(t, p)
	tell(t, c, "first")
	if err := hear(c, "first", patience); err != nil {
		t.Fatal(err)
	}
	for name, roads := range map[string][2]Road{"up": {{Stalled: true}, {}}, "down": {{}, {Stalled: true}}} {
		p.Set(roads[0], roads[1])
		tell(t, c, name)
		if err := hear(c, name, 50*time.Millisecond); !isTimeout(err) {
			t.Errorf("stalled %s: got %v, want a time-out", name, err)
		}
		p.Set(Road{}, Road{})
		if err := hear(c, name, patience); err != nil {
			t.Errorf("open again %s: %v", name, err)
		}
	}

	p.Set(Road{Delay: 30 * time.Millisecond}, Road{BytesPerSecond: 1000})
	began := time.Now()
	tell(t, c, strings.Repeat("x", 50)) // 50 ms on its way back
	if err := hear(c, strings.Repeat("x", 50), patience); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 80*time.Millisecond {
		t.Errorf("took %v, want 30 ms there and 50 ms back at least", took)
	}

	p.Set(Road{}, Road{Stalled: true}) // what is on its way when the connection is cut does not arrive
	tell(t, c, "lost")
	if n := p.Cut(); n != 1 {
		t.Errorf("cut %d connections, want 1", n)
	}
	p.Set(Road{}, Road{})
	if err := hear(c, "lost", patience); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after the cut: got %v, want a reset", err)
	}

	c = dialed(t, p) // the end of one direction is passed on, and the other goes on
	tell(t, c, "last")
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != "last" || err != nil {
		t.Errorf("got %q, %v; want what was said and the end", got, err)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

func TestProxyWithoutServer(t *testing.T) {
	p, err := NewProxy("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", p.Addr()); err == nil { // it may also be reset before Dial is done with it
		if err := hear(c, "x", patience); err == nil || isTimeout(err) {
			t.Errorf("got %v, want the end of the connection", err)
		}
		_ = c.Close()
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", p.Addr()); err == nil {
		_ = c.Close()
		t.Error("it listens although it is closed")
	}
}

// Who comes by a proxy stays on it: while it is stalled nothing gets through, although the broker has other addresses.
func TestKafkaThroughProxies(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
	defer cancel()
	k := PrivateKafka(t, KafkaConfig{Proxies: 2})
	if err := createTopic(ctx, client(t, k), "in"); err != nil {
		t.Fatal(err)
	}
	var clients []*kgo.Client
	for n := range 2 {
		clients = append(clients, client(t, k, kgo.SeedBrokers(k.Proxy(n).Addr())))
		if err := clients[n].ProduceSync(ctx, &kgo.Record{Topic: "in", Value: []byte("before")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	k.Proxy(0).Set(Road{Stalled: true}, Road{Stalled: true})
	late := make(chan error, 1)
	clients[0].Produce(ctx, &kgo.Record{Topic: "in", Value: []byte("late")}, func(_ *kgo.Record, err error) { late <- err })
	if err := clients[1].ProduceSync(ctx, &kgo.Record{Topic: "in", Value: []byte("quick")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-late:
		t.Fatalf("it came through the stalled proxy: %v", err)
	default:
	}
	k.Proxy(0).Set(Road{}, Road{})
	if err := <-late; err != nil {
		t.Fatal(err)
	}
	if got, want := read(ctx, t, k, "in", 4), []string{"before", "before", "quick", "late"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if err := k.Restart(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := clients[0].ProduceSync(ctx, &kgo.Record{Topic: "in", Value: []byte("after")}).FirstErr(); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

func TestPostgresSession(t *testing.T) {
	p := Postgres(t)
	s, err := p.Session()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	rows, err := s.Query(`SELECT n, nullif(n, 2), 'é' FROM generate_series(1, 2) n; SELECT 'more'`)
	if want := [][]string{{"1", "1", "é"}, {"2", "", "é"}, {"more"}}; err != nil || !slices.EqualFunc(rows, want, slices.Equal) {
		t.Errorf("got %q, %v; want %q", rows, err, want)
	}
	if _, err := s.Query(`SELECT 1/0`); err == nil || !strings.Contains(err.Error(), "22012") {
		t.Errorf("got %v, want a division by zero", err)
	}
	if rows, err := s.Query(`SELECT 1`); err != nil || len(rows) != 1 {
		t.Errorf("after an error: got %q, %v", rows, err)
	}
	if _, err := s.Query(`SELECT pg_terminate_backend(pg_backend_pid())`); err == nil {
		t.Error("got no error although the session has ended")
	}
}
