package endpoint

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// TestSendingIsNotSilence: the time for the head of an answer begins when the request is sent, however long an endpoint takes for taking it.
// That for a piece of the body begins with the one before.
func TestSendingIsNotSilence(t *testing.T) {
	const read, pieces, pieceBytes = time.Second, 10, 16 << 10
	const taking = read - read/3 // a piece, so that it is not in time with the bound
	const sent = pieces * taking
	const progress, good = "HTTP/1.1 102 Processing\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 4\r\n\r\ngood"
	for name, tc := range map[string]struct {
		before, after string        // the request is taken
		late          time.Duration // what is said after it was
		took          time.Duration
		status        int // of a Timeout with this text
		fails         string
	}{
		"at once":              {"", good, 0, sent, 0, ""},
		"in time":              {"", good, read - 1, sent + read - 1, 0, ""},
		"too late":             {"", good, read + 1, sent + read, 0, "no reply in time: none within 1s"},
		"progress":             {progress, good, read - 1, sent + read - 1, 0, ""},
		"progress, no more":    {progress, good, read + 1, sent + read, 0, "no reply in time: none within 1s"},
		"head begun":           {good[:17], good[17:], read - 1, sent + read - 1, 0, ""},
		"head begun, no more":  {good[:17], good[17:], read + 1, sent + read, 0, "no reply in time: none within 1s"},
		"head before, no more": {good[:len(good)-4], good[len(good)-4:], 0, read, 200, "no piece of the reply within 1s"},
		"all before":           {good, "", 0, writtenWait, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := client(t, "http://f/", func(s *Spec) { s.Read, s.HTTP2 = read, HTTP2Never })
				ours, theirs := net.Pipe()
				c.carrier.direct.dial = func(context.Context, string, string) (net.Conn, error) {
					return &conn{Conn: ours, gone: func() {}, buffers: &c.pool.buffers}, nil
				}
				answered := make(chan struct{})
				go func() {
					defer close(answered)
					defer theirs.Close()
					request, err := http.ReadRequest(bufio.NewReader(theirs))
					if err != nil {
						t.Error(err)
						return
					}
					_, err = io.WriteString(theirs, tc.before)
					for range pieces {
						time.Sleep(taking)
						if err == nil {
							_, err = io.CopyN(io.Discard, request.Body, pieceBytes)
						}
					}
					time.Sleep(tc.late)
					_, _ = io.WriteString(theirs, tc.after)
				}()
				begin := time.Now()
				reply, _, fail := c.Call(within(t, time.Hour), make([]byte, pieces*pieceBytes))
				if took := time.Since(begin); took != tc.took {
					t.Errorf("took %s, want %s", took, tc.took)
				}
				<-answered
				if tc.fails != "" {
					wantFailure(t, reply, fail, Timeout, tc.status, tc.fails)
				} else if fail != nil || string(reply) != "good" {
					t.Errorf("got %q, %v", reply, fail)
				}
			})
		})
	}
}

// hungUp is a connection that was ended by the other side, which is seen when it is used.
type hungUp struct{ net.Conn }

func (hungUp) Write([]byte) (int, error) { return 0, syscall.EPIPE }
func (hungUp) Read([]byte) (int, error)  { return 0, syscall.ECONNRESET }

// TestDeadConnectionsTakeNothing: on however many idle connections the other side hung up unseen, a request of which nothing was taken is sent
// on the next one, also what is sent once only.
func TestDeadConnectionsTakeNothing(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.Header.Get("Content-Type") == bulkContentType {
			startBulk(w)
			w.Write(replied(1, "a"))
			return
		}
		good(w, nil)
	})
	d := c.carrier.direct
	for _, size := range []int{1, togetherBytesMax + 1} {
		var dead []*conn
		for range 3 {
			if _, _, fail := c.Call(within(t, 5*time.Second), make([]byte, size)); fail != nil {
				t.Fatal(fail.Text)
			}
			dead = append(dead, d.pop())
		}
		bury := func() {
			for _, k := range dead {
				again := &conn{Conn: hungUp{k.Conn}, gone: k.gone, buffers: k.buffers}
				again.sent.Store(k.sent.Load())
				d.put(again)
			}
		}
		bury()
		if _, _, fail := c.Call(within(t, 5*time.Second), make([]byte, size)); fail != nil {
			t.Errorf("call of %d bytes: %s", size, fail.Text)
		}
		d.closeIdle()
		bury()
		if rest := c.Bulk(within(t, 5*time.Second), make([]byte, size), 1, func() {}, func(int, []Answer) {}); rest != nil {
			t.Errorf("bulk of %d bytes: %s", size, rest.Text)
		}
		d.closeIdle()
	}
}
