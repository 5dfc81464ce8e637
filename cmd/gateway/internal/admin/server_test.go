package admin

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// TestServeEndsGracefully: a request that is being answered when the stop comes is answered, and nothing is left behind.
func TestServeEndsGracefully(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	l := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	entered, leave := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(ctx, l, nil, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-leave
			_, _ = io.WriteString(w, "whole")
		}))
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-entered
	stop()
	for { // until the listener is closed
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			break
		}
		c.Close()
	}
	close(leave)
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(response.Body); err != nil || string(body) != "whole" {
		t.Errorf("got %q, %v", body, err)
	}
	response.Body.Close()
	if err := <-ended; err != nil {
		t.Errorf("got %v", err)
	}
}

func TestServeFails(t *testing.T) {
	l := listen(t)
	l.Close()
	if err := Serve(t.Context(), l, nil, http.NotFoundHandler()); !errors.Is(err, net.ErrClosed) || !strings.Contains(err.Error(), "admin") {
		t.Errorf("got %v", err)
	}
}

// TestServeRefuses what is too large before any handler sees it.
func TestServeRefuses(t *testing.T) {
	l := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, l, nil, handlerOf(&fake{turning: true})) }()
	for request, want := range map[string]int{
		"GET /" + strings.Repeat("x", 2*headerBytesMax) + " HTTP/1.1\r\nHost: x\r\n\r\n": 431,
		"GET / HTTP/1.1\r\n\r\n":                                            400,
		"nonsense\r\n\r\n":                                                  400,
		"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n":                          200,
		"GET /healthz HTTP/1.0\r\n\r\n":                                     200,
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n": 405,
	} {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(conn, request) }() // a server that refuses does not read all
		response, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || response.StatusCode != want {
			t.Errorf("%.60q: got %+v, %v, want %d", request, response, err, want)
		}
		conn.Close()
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("got %v", err)
	}
}

// TestIdleConnectionsKeepNobodyOut: there is a bound on connections, with TLS and without, and those that only idle make room.
func TestIdleConnectionsKeepNobodyOut(t *testing.T) {
	inTLS := httptest.NewUnstartedServer(nil)
	inTLS.StartTLS() // for its certificate
	defer inTLS.Close()
	for name, secure := range map[string]*tls.Config{"in the clear": nil, "TLS": {Certificates: inTLS.TLS.Certificates}} {
		l := listen(t)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- Serve(ctx, l, secure, handlerOf(&fake{turning: true})) }()
		ask := func() net.Conn {
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			if secure != nil {
				conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
			}
			_ = conn.SetDeadline(time.Now().Add(time.Minute)) // else the test would hang where it fails
			_, _ = io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
			response, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || response.StatusCode != http.StatusOK {
				t.Fatalf("%s: got %+v, %v", name, response, err)
			}
			return conn
		}
		first := ask()
		gone := make(chan error, 1)
		go func() {
			_, err := io.Copy(io.Discard, first)
			gone <- err
		}()
		for range connsMax {
			defer ask().Close()
		}
		// The server may have counted another one as idle before the first, whatever was answered first: so there are more, and it is among
		// the oldest then.
		for left := connsMax; left > 0 && len(gone) == 0; left-- {
			defer ask().Close()
		}
		if err := <-gone; errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: one that has been idle for long is still there", name)
		}
		first.Close()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
