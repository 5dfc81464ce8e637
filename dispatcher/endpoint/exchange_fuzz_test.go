package endpoint

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// scripted is a connection that says what it was told to, in pieces, and hangs up.
type scripted struct {
	net.Conn
	say    []byte
	piece  int
	closed bool
}

func (s *scripted) Read(p []byte) (int, error) {
	if s.closed {
		return 0, net.ErrClosed
	}
	if len(s.say) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.say[:min(len(s.say), s.piece)])
	s.say = s.say[n:]
	return n, nil
}

func (s *scripted) Write(p []byte) (int, error)       { return len(p), nil }
func (s *scripted) Close() error                      { s.closed = true; return nil }
func (s *scripted) SetReadDeadline(t time.Time) error { return nil }

// FuzzExchange: whatever an endpoint says, a call has a reply within its bound or a failure with a text for people; the reply is what the
// standard library reads, and the connection is kept only where that has read all that was said, and no more was to come.
func FuzzExchange(f *testing.F) {
	const most = 1 << 10
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
	for _, say := range []string{
		"", "220 smtp ready\r\n", ok, ok + "\r\nrest", ok + "Content-Length: 5\r\n\r\nhello", ok + "Content-Length: 5\r\n\r\nhello!", ok + "Content-Length: 5\r\n\r\nhell",
		ok + "Content-Length: 5\r\nConnection: close\r\n\r\nhello", ok + "Content-Length: 0\r\n\r\n", ok + "Content-Length: 5, 5\r\n\r\nhello",
		ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n" + ok,
		"HTTP/1.0 200 OK\r\nContent-Length: 1\r\nContent-Type: application/octet-stream\r\n\r\nx", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nX: y\r\n\r\n" + ok + "Content-Length: 1\r\n\r\nx",
		"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 304 No\r\nContent-Length: 9\r\n\r\n",
		"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno", "HTTP/1.1 429 No\r\nRetry-After: 9\r\n\r\nno", string(settingsFrame),
		"HTTP/1.1 200 OK\nContent-Type: application/octet-stream\nContent-Length: 9\n\nab\r\n\r\nxyz", ok + "\r\n" + ok + "\r\n",
		ok + "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nhell", ok + "X: " + strings.Repeat("y", 70_000),
	} {
		f.Add([]byte(say), 1000)
	}
	f.Fuzz(func(t *testing.T, say []byte, piece int) {
		c := client(t, "http://f/", func(s *Spec) { s.ReplyBytesMax, s.HTTP2 = most, HTTP2Never })
		d := c.carrier.direct
		dials := 0
		d.dial = func(context.Context, string, string) (net.Conn, error) {
			dials++
			script := &scripted{say: bytes.Clone(say), piece: min(max(piece, 1), 5000)}
			return &conn{Conn: script, gone: func() {}, buffers: &c.pool.buffers}, nil
		}
		reply, _, fail := c.Call(t.Context(), []byte("x"))
		if (reply == nil) != (fail != nil) || len(reply) > most || dials != 1 {
			t.Fatalf("got %x, %+v by %d connections", reply, fail, dials)
		}
		if fail != nil && (fail.Text == "" || fail.Kind == Timeout || fail.Kind == Canceled || fail.Kind.String() == "unknown") {
			t.Fatalf("got %+v", fail)
		}
		response, body, left := standard(say)
		if fail == nil && (response == nil || response.StatusCode/100 != 2 || response.Header["Content-Encoding"] == nil && !bytes.Equal(reply, body)) {
			t.Fatalf("got %q, the standard library %q", reply, body)
		}
		if len(d.idle) > 0 && (response == nil || response.Close || response.StatusCode < 200 || left > 0) {
			t.Fatalf("the connection is kept with %d bytes left of %q", left, say)
		}
		if fail == nil && !response.Close && left == 0 && len(d.idle) == 0 {
			t.Fatalf("the connection is not kept after %q", say)
		}
	})
}

// standard is what the standard library reads, and how much it leaves; the response is nil where that is no whole answer.
func standard(say []byte) (response *http.Response, body []byte, left int) {
	all := bytes.NewReader(say)
	reader := bufio.NewReader(all)
	for {
		response, err := http.ReadResponse(reader, &http.Request{Method: http.MethodPost})
		if err != nil {
			return nil, nil, 0
		}
		if response.StatusCode < 200 && response.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		if response.StatusCode != http.StatusSwitchingProtocols {
			if body, err = io.ReadAll(response.Body); err != nil {
				return nil, nil, 0
			}
		}
		return response, body, all.Len() + reader.Buffered()
	}
}
