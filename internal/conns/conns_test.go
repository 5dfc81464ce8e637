package conns

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 90 * time.Second

func wait[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited %v for %s", patience, what)
		panic("never")
	}
}

// TestConnectionsAreBounded: beyond the bound a connection waits until another one is closed.
func TestConnectionsAreBounded(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := Bound(inner, 2)
	accepted, ended := make(chan net.Conn), make(chan error, 1)
	go func() {
		for {
			conn, err := b.Accept()
			if err != nil {
				ended <- err
				return
			}
			accepted <- conn
		}
	}()
	for range 3 {
		conn, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	first, second := wait(t, "the first", accepted), wait(t, "the second", accepted)
	select {
	case <-accepted:
		t.Fatal("a third connection is accepted")
	case b.slots <- struct{}{}:
		t.Fatal("there is a slot")
	default:
	}
	for range 2 { // closing twice frees one slot
		_ = first.Close()
	}
	third := wait(t, "the third", accepted)
	if len(b.slots) != 2 {
		t.Errorf("%d slots are used", len(b.slots))
	}
	_ = b.Close()
	_ = b.Close()
	if err := wait(t, "the end", ended); err == nil {
		t.Error("accepts after its end")
	}
	_, _ = second.Close(), third.Close()
}

// given is a listener whose connections are given.
type given struct {
	net.Listener
	conns chan net.Conn
}

func (g *given) Accept() (net.Conn, error) {
	conn, ok := <-g.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return conn, nil
}

// TestSecuredIsCut: to close an idle connection of TLS nothing is written to its client, who may not read.
func TestSecuredIsCut(t *testing.T) {
	web := httptest.NewTLSServer(http.NotFoundHandler()) // has a certificate
	defer web.Close()
	ours, theirs := net.Pipe() // what is written waits until it is read
	defer theirs.Close()
	secured := tls.Server(ours, &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12, MaxVersion: tls.VersionTLS12})
	shaken := make(chan error, 1)
	go func() { shaken <- secured.Handshake() }()
	if err := tls.Client(theirs, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}).Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := wait(t, "the handshake", shaken); err != nil {
		t.Fatal(err)
	}
	g := &given{conns: make(chan net.Conn, 2)}
	b := Bound(g, 1)
	g.conns <- secured
	first, err := b.Accept()
	if err != nil {
		t.Fatal(err)
	}
	b.State(first, http.StateIdle)
	next, other := net.Pipe()
	defer other.Close()
	g.conns <- next
	if err := theirs.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	accepted := make(chan error, 1)
	go func() { _, err := b.Accept(); accepted <- err }()
	if n, err := theirs.Read(make([]byte, 100)); n > 0 || !errors.Is(err, io.EOF) {
		t.Errorf("the client reads %d bytes, %v: want the end alone", n, err)
	}
	if err := wait(t, "the next connection", accepted); err != nil {
		t.Error(err)
	}
	_, _ = first.Close(), next.Close()
}
