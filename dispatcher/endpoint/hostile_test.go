package endpoint

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestUnreachable(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		reply, _, fail := client(t, "http://"+listener.Addr().String()).Call(within(t, 5*time.Second), []byte("x"))
		wantFailure(t, reply, fail, Unreachable, 0, "connection refused")
	})
	t.Run("name", func(t *testing.T) {
		reply, _, fail := client(t, "http://no-such-host.invalid/").Call(within(t, 10*time.Second), []byte("x"))
		wantFailure(t, reply, fail, Unreachable, 0, "lookup no-such-host.invalid")
	})
	t.Run("closed before a status", func(t *testing.T) {
		c := client(t, speak(t, func(c net.Conn) { readBody(c, 1) }))
		reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
		wantFailure(t, reply, fail, Unreachable, 0, "EOF")
	})
	t.Run("reset before a status", func(t *testing.T) {
		c := client(t, speak(t, func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }))
		reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
		wantFailure(t, reply, fail, Unreachable, 0, "no reply")
	})
	t.Run("closed within the headers", func(t *testing.T) {
		c := client(t, speak(t, func(c net.Conn) { readBody(c, 1); io.WriteString(c, "HTTP/1.1 200 OK\r\n") }))
		reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
		wantFailure(t, reply, fail, Unreachable, 0, "unexpected EOF")
	})
	t.Run("handshake bound", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, says nothing
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		c := client(t, "https://"+listener.Addr().String(), func(s *Spec) { s.Connect = 50 * time.Millisecond })
		reply, _, fail := c.Call(within(t, 10*time.Second), []byte("x"))
		wantFailure(t, reply, fail, Unreachable, 0, "TLS handshake timeout")
		reply, _, fail = c.Call(within(t, 5*time.Millisecond), []byte("x"))
		wantFailure(t, reply, fail, Timeout, 0, "no connection within the attempt's time-out")
	})
}

func TestRawReplies(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
	for name, tc := range map[string]struct {
		say  string
		kind Kind // 0: a reply
		text string
	}{
		"not HTTP":             {"220 smtp ready\r\n", BadReply, "malformed HTTP"},
		"bad status":           {"HTTP/1.1 2x0 OK\r\n\r\n", BadReply, "malformed HTTP"},
		"endless headers":      {ok + "X: " + strings.Repeat("y", headerBytesMax+9000), BadReply, "headers exceeded"},
		"bad length":           {ok + "Content-Length: -5\r\n\r\n", BadReply, "bad Content-Length"},
		"two lengths":          {ok + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", BadReply, "Content-Length"},
		"truncated":            {ok + "Content-Length: 100\r\n\r\nhello", BadReply, "cut short"},
		"truncated chunks":     {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhel", BadReply, "cut short"},
		"broken chunks":        {ok + "Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", BadReply, "invalid byte in chunk length"},
		"HTTP/1.0 till close":  {"HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\n\r\nhello", 0, "hello"},
		"chunked":              {ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 0, "hello"},
		"continue first":       {"HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 5\r\n\r\nhello", 0, "hello"},
		"endless progress":     {strings.Repeat("HTTP/1.1 102 Processing\r\n\r\n", 9000), BadReply, "headers exceeded"},
		"chunked, trailer":     {ok + "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n", 0, "hello"},
		"endless trailer":      {ok + "Transfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5\r\nhello\r\n0\r\nX: " + strings.Repeat("y", 1<<20), BadReply, "long trailer"},
		"chunked 500":          {"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", Status, "status 500 Internal Server Error: hello"},
		"truncated 500":        {"HTTP/1.1 500 No\r\nContent-Length: 100\r\n\r\nhello", Status, "status 500 Internal Server Error: hello"},
		"switching":            {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", Status, "status 101"},
		"no content":           {"HTTP/1.1 204 No Content\r\n\r\n", BadReply, "no content type"},
		"unknown encoding":     {ok + "Content-Encoding: br\r\nContent-Length: 5\r\n\r\nhello", BadReply, `content encoding "br"`},
		"gzip that is not":     {ok + "Content-Encoding: gzip\r\nContent-Length: 15\r\n\r\nhello and hello", BadReply, "read reply: gzip: invalid header"},
		"gzip of nothing":      {ok + "Content-Encoding: gzip\r\nContent-Length: 0\r\n\r\n", 0, ""},
		"gzip of nothing more": {ok + "Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 0, ""},
		"identity":             {ok + "Content-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", 0, "hello"},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, speak(t, func(c net.Conn) { readBody(c, 1); io.WriteString(c, tc.say) }))
			reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
			if tc.kind == 0 {
				if fail != nil || string(reply) != tc.text {
					t.Errorf("got %q, %v; want %q", reply, fail, tc.text)
				}
				return
			}
			if fail == nil {
				t.Fatalf("got a reply %q, want %s", reply, tc.kind)
			}
			wantFailure(t, reply, fail, tc.kind, fail.Status, tc.text)
		})
	}
}

func TestResetWithinTheReply(t *testing.T) {
	sent := make(chan struct{})
	c := client(t, speak(t, func(c net.Conn) {
		readBody(c, 1)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 100\r\n\r\nhello")
		<-sent
		c.(*net.TCPConn).SetLinger(0)
	}))
	go func() { <-time.After(30 * time.Millisecond); close(sent) }()
	reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
	wantFailure(t, reply, fail, Unreachable, 200, "reset")
}

func TestReplyBound(t *testing.T) {
	chunk := make([]byte, 1<<20)
	for name, handler := range map[string]http.HandlerFunc{
		"100 MB announced": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "104857600")
			w.Header().Set("Content-Type", contentType)
			for range 100 {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		},
		"endless": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			for {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, handler)
			before := allocated()
			reply, _, fail := c.Call(within(t, 20*time.Second), []byte("x"))
			wantFailure(t, reply, fail, BadReply, 200, "larger than the bound of 33554432 bytes")
			if used := allocated() - before; used > 10*replyBytesMaxDefault {
				t.Errorf("the call allocated %d MiB", used>>20)
			}
		})
	}
	for _, size := range []int{0, 1, 511, 512, 999, 1000, 1001} {
		for _, chunked := range []bool{false, true} {
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if chunked {
					w.Header().Set("Content-Type", contentType)
					w.(http.Flusher).Flush()
				}
				good(w, chunk[:size])
			}, func(s *Spec) { s.ReplyBytesMax = 1000 })
			reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
			if ok := size <= 1000; ok != (fail == nil) || ok && len(reply) != size {
				t.Errorf("%d bytes, chunked %v: got %d bytes, %v", size, chunked, len(reply), fail)
			}
		}
	}
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

func TestSlowLorisEndsAtTheDeadline(t *testing.T) {
	drip := func(c net.Conn, start, drop string) {
		readBody(c, 1)
		io.WriteString(c, start)
		for {
			if _, err := io.WriteString(c, drop); err != nil {
				return
			}
			<-time.After(5 * time.Millisecond)
		}
	}
	for name, tc := range map[string]struct {
		start  string
		status int
	}{
		"headers": {"HTTP/1.1 200 OK\r\nX: ", 0},
		"body":    {"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n", 200},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, speak(t, func(c net.Conn) { drip(c, tc.start, "x") }))
			start := time.Now()
			reply, _, fail := c.Call(within(t, 100*time.Millisecond), []byte("x"))
			wantFailure(t, reply, fail, Timeout, tc.status, "time-out")
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
	t.Run("error body", func(t *testing.T) {
		c := client(t, speak(t, func(c net.Conn) { drip(c, "HTTP/1.1 503 Busy\r\nRetry-After: 3\r\n\r\n", "x") }))
		start := time.Now()
		reply, _, fail := c.Call(within(t, time.Minute), []byte("x"))
		wantFailure(t, reply, fail, Overloaded, 503, "status 503 Service Unavailable: xx")
		if took := time.Since(start); took > 20*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

func pack(t testing.TB, make func(io.Writer) io.WriteCloser, data []byte) []byte {
	var b bytes.Buffer
	w := make(&b)
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestCompressedReplies(t *testing.T) {
	gz := func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }
	zl := func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }
	raw := func(w io.Writer) io.WriteCloser { f, _ := flate.NewWriter(w, 6); return f }
	data := bytes.Repeat([]byte("effects "), 1000)
	bomb := pack(t, gz, make([]byte, 64<<20))
	nothing := bytes.Repeat(pack(t, gz, nil), 200_000) // members that decode to nothing
	for name, tc := range map[string]struct {
		encoding string
		body     []byte
		text     string // of the failure; "": decodes to data
	}{
		"gzip":             {"gzip", pack(t, gz, data), ""},
		"x-gzip":           {"X-GZIP", pack(t, gz, data), ""},
		"two members":      {"gzip", append(pack(t, gz, data[:800]), pack(t, gz, data[800:])...), ""},
		"deflate as zlib":  {"deflate", pack(t, zl, data), ""},
		"deflate bare":     {"deflate", pack(t, raw, data), ""},
		"bomb":             {"gzip", bomb, "larger than the bound"},
		"endless nothing":  {"gzip", nothing, "larger than the bound"},
		"cut":              {"gzip", pack(t, gz, data)[:30], "cut short"},
		"bad checksum":     {"gzip", append(pack(t, gz, data)[:len(pack(t, gz, data))-8], 1, 2, 3, 4, 5, 6, 7, 8), "invalid checksum"},
		"garbage behind":   {"gzip", append(pack(t, gz, data), "garbage that is long enough"...), "invalid header"},
		"deflate and more": {"deflate", append(pack(t, zl, data), "garbage"...), "bytes behind"},
		"bare and more":    {"deflate", append(pack(t, raw, data), "garbage"...), "bytes behind"},
		"deflate, garbage": {"deflate", []byte("\xff\xff\xff\xff\xff"), "read reply"},
		"twice":            {"gzip, gzip", pack(t, gz, data), "content encoding"},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", tc.encoding)
				good(w, tc.body)
			}, func(s *Spec) { s.ReplyBytesMax = 1 << 20 })
			for range 2 { // the second time with a reader used before
				before := allocated()
				reply, _, fail := c.Call(within(t, 10*time.Second), []byte("x"))
				if used := allocated() - before; used > 16<<20 {
					t.Errorf("the call allocated %d MiB", used>>20)
				}
				if tc.text != "" {
					wantFailure(t, reply, fail, BadReply, 200, tc.text)
				} else if fail != nil || !bytes.Equal(reply, data) {
					t.Errorf("got %d bytes, %v", len(reply), fail)
				}
			}
		})
	}
}

func TestCompressedErrorText(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(500)
		w.Write(pack(t, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }, []byte("squeezed")))
	})
	reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
	wantFailure(t, reply, fail, Status, 500, "Internal Server Error: squeezed")
}

// A server refuses by size, does not read on, and resets the connection: the answer must be seen.
func TestRudeRefusalOfALargeRequest(t *testing.T) {
	for range 20 {
		c := client(t, speak(t, func(c net.Conn) {
			readBody(c, 1)
			io.WriteString(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
		}))
		reply, _, fail := c.Call(within(t, 10*time.Second), make([]byte, 16<<20))
		wantFailure(t, reply, fail, TooLarge, 413, "big")
	}
}

func TestHangUpWithinALargeRequest(t *testing.T) {
	c := client(t, speak(t, func(c net.Conn) { readBody(c, 1) }))
	reply, _, fail := c.Call(within(t, 10*time.Second), make([]byte, 16<<20))
	wantFailure(t, reply, fail, Unreachable, 0, "no reply")
}

func TestWriteBound(t *testing.T) {
	done := make(chan struct{})
	c := client(t, speak(t, func(c net.Conn) { <-done }), func(s *Spec) { s.Write = 100 * time.Millisecond })
	defer close(done)
	reply, _, fail := c.Call(within(t, 20*time.Second), make([]byte, 64<<20))
	wantFailure(t, reply, fail, Timeout, 0, "no reply in time")
}

// A pooled connection that the function closed is replaced without a failure; a function that hangs up on every call
// gets the call twice, not once per pooled connection.
func TestStaleConnections(t *testing.T) {
	var calls atomic.Int32
	var hangUp atomic.Bool
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if hangUp.Load() {
			calls.Add(1)
			panic(http.ErrAbortHandler)
		}
		<-time.After(50 * time.Millisecond) // hold it, so that each call takes its own connection
		good(w, nil)
	})
	done := make(chan *Failure, 10)
	for range cap(done) {
		go func() { _, _, fail := c.Call(within(t, 5*time.Second), []byte("x")); done <- fail }()
	}
	for range cap(done) {
		if fail := <-done; fail != nil {
			t.Fatal(fail.Text)
		}
	}
	hangUp.Store(true)
	reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
	wantFailure(t, reply, fail, Unreachable, 0, "connection closed before a reply")
	if got := calls.Load(); got != 2 {
		t.Errorf("the function was called %d times, want 2", got)
	}
}

func TestStaleConnectionIsReplaced(t *testing.T) {
	var served atomic.Int32
	url := speak(t, func(c net.Conn) {
		for {
			readBody(c, 1)
			if served.Add(1) == 2 {
				return // the second call finds its connection closing
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 2\r\n\r\nok")
			if !readHead(c) {
				return
			}
		}
	})
	c := client(t, url)
	for range 3 {
		reply, _, fail := c.Call(within(t, 5*time.Second), []byte("x"))
		if fail != nil || string(reply) != "ok" {
			t.Fatalf("got %q, %v", reply, fail)
		}
	}
}

func TestPoolCloseEndsCalls(t *testing.T) {
	arrived := make(chan struct{})
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		close(arrived)
		<-r.Context().Done()
	})
	go func() { <-arrived; c.Close() }()
	reply, _, fail := c.Call(context.Background(), []byte("x"))
	wantFailure(t, reply, fail, Canceled, 0, "pool closed")
	reply, _, fail = c.Call(context.Background(), []byte("x"))
	wantFailure(t, reply, fail, Canceled, 0, "pool closed")
}
