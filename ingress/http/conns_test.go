package http

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
)

// kept is a connection that stays open.
type kept struct {
	net.Conn
	in *bufio.Reader
}

func keep(t *testing.T, conn net.Conn, err error) *kept {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &kept{conn, bufio.NewReader(conn)}
}

func (k *kept) ask(t *testing.T, status int) *nethttp.Response {
	t.Helper()
	if _, err := io.WriteString(k, "POST /v1/send/shop/cart/a HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := nethttp.ReadResponse(k.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != status {
		t.Fatalf("answered %d, want %d", resp.StatusCode, status)
	}
	return resp
}

// TestIdleKeepsNobodyOut: connections that are idle are closed for new ones, with TLS and without.
func TestIdleKeepsNobodyOut(t *testing.T) {
	web := httptest.NewTLSServer(nethttp.NotFoundHandler()) // has a certificate
	defer web.Close()
	cfg := testConfig()
	cfg.ConnsMax = 2
	address, _ := open(t, serving(t, cfg, &asker{}))
	for range 5 {
		conn, err := net.Dial("tcp", address)
		keep(t, conn, err).ask(t, 202)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	secured := serving(t, cfg, &asker{})
	go func() {
		ended <- secured.Run(ctx, tls.NewListener(listener, &tls.Config{Certificates: web.TLS.Certificates}))
	}()
	for range 5 {
		conn, err := tls.Dial("tcp", listener.Addr().String(), &tls.Config{InsecureSkipVerify: true})
		keep(t, conn, err).ask(t, 202)
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// holding answers when it may.
type holding struct {
	asker
	hold chan struct{}
}

func (h *holding) Send(context.Context, api.Message) error {
	<-h.hold
	return nil
}

// TestAnswersMakeRoom: when others wait for a connection the next answer says that it closes its own. One that was kept would be closed
// with the next request on its way, and whoever sent that could not know what became of it.
func TestAnswersMakeRoom(t *testing.T) {
	cfg := testConfig()
	cfg.ConnsMax = 2
	hold := make(chan struct{})
	server := serving(t, cfg, &holding{hold: hold})
	address, _ := open(t, server)
	var all []*kept
	for range 3 { // the third waits for a slot
		conn, err := net.Dial("tcp", address)
		k := keep(t, conn, err)
		if _, err := io.WriteString(k, "POST /v1/send/shop/cart/a HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		all = append(all, k)
	}
	for !server.bounded.Load().Crowded() {
		runtime.Gosched()
	}
	for range 2 {
		hold <- struct{}{}
	}
	closed := 0
	for _, k := range all[:2] {
		resp, err := nethttp.ReadResponse(k.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Close {
			closed++
		}
	}
	close(hold)
	if resp, err := nethttp.ReadResponse(all[2].in, nil); err != nil || resp.StatusCode != 202 {
		t.Errorf("the third: %v, %v", resp, err)
	}
	if closed == 0 {
		t.Error("both connections are kept: one is closed while its client sends")
	}
}

// TestStrangersKeepNothing: whoever has no token is answered, and has no connection any more.
func TestStrangersKeepNothing(t *testing.T) {
	cfg := testConfig()
	cfg.Allow = bearer("secret")
	address, _ := open(t, serving(t, cfg, &asker{}))
	conn, err := net.Dial("tcp", address)
	k := keep(t, conn, err)
	if resp := k.ask(t, 401); !resp.Close {
		t.Error("the connection is kept")
	}
	if _, err := k.in.ReadByte(); err != io.EOF {
		t.Errorf("after the answer: %v, want the end", err)
	}
}
