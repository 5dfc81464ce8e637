package endpoint

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// TestBulkStreams: an answer is told while the others are still worked on, in the order in which they come.
func TestBulkStreams(t *testing.T) {
	heard := make(chan int)
	handler := func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err != nil || string(body) != "request" || r.Header.Get("Content-Type") != bulkContentType || r.ContentLength != 7 {
			t.Errorf("got %q, %v, %v", body, err, r.Header)
		}
		startBulk(w)
		w.Write(replied(3, "three"))
		w.Write(refusal(1, 503, "later", 1500))
		w.(http.Flusher).Flush()
		if got := <-heard + <-heard; got != 4 {
			t.Errorf("told of %d, want of 1 and 3", got)
		}
		w.Write(replied(2, ""))
		w.Write(replied(4, "four"))
	}
	bothVersions(t, handler, func(t *testing.T, c *Client) {
		g := gather(t)
		rest := c.Bulk(within(t, 10*time.Second), []byte("request"), 4, g.sent, func(bulk int, answers []Answer) {
			g.told(bulk, answers)
			for _, a := range answers {
				if a.Number%2 == 1 {
					heard <- a.Number
				}
			}
		})
		wantRest(t, rest, 0, "")
		g.want("2:", "3:three", "4:four")
		if f := g.fails[1]; f == nil || f.Kind != Overloaded || f.Status != 503 || f.RetryAfter != 1500*time.Millisecond || f.Text != "status 503 Service Unavailable: later" {
			t.Errorf("call 1: got %+v", f)
		}
		if g.bulk != 256 {
			t.Errorf("announced %d, want 256", g.bulk)
		}
	})
}

// TestBulkOfThousand: a server that answers all at once and flushes nothing is told in few pieces, and its connection is used again.
func TestBulkOfThousand(t *testing.T) {
	var want []string
	var body []byte
	for i := range 1000 {
		reply := strings.Repeat("r", i%300)
		want = append(want, fmt.Sprintf("%d:%s", i+1, reply))
		body = append(body, replied(i+1, reply)...)
	}
	var addresses set
	handler := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		addresses.add(r.RemoteAddr)
		startBulk(w)
		w.Write(body)
	}
	bothVersions(t, handler, func(t *testing.T, c *Client) {
		addresses.clear()
		for range 3 {
			g := gather(t)
			wantRest(t, c.Bulk(within(t, 10*time.Second), make([]byte, 100_000), 1000, g.sent, g.told), 0, "")
			g.want(want...)
			if g.pieces > 200 {
				t.Errorf("told in %d pieces", g.pieces)
			}
		}
		if n := addresses.different(); n != 1 {
			t.Errorf("%d connections, want 1", n)
		}
	})
}

// TestBulkThatGoesWrong: whatever comes, the answers before it stand, and the calls that have none are left, with what that means.
func TestBulkThatGoesWrong(t *testing.T) {
	const limit = 1000
	one := string(replied(1, "one"))
	long := string(replied(2, strings.Repeat("x", limit+1)))
	longest := string(replied(2, strings.Repeat("x", limit)))
	length := func(n uint64) string { return string(protowire.AppendVarint([]byte{1<<3 | 2}, n)) }
	for name, tc := range map[string]struct {
		say     string // behind the headers
		replies string // beside the first
		left    Kind
		text    string
	}{
		"nothing more":             {one, "", Unanswered, "the response ended with 2 of 3 calls unanswered"},
		"cut in an answer":         {one + longest[:500], "", Unanswered, "unexpected EOF"},
		"cut in a length":          {one + length(1 << 30)[:2], "", Unanswered, "unexpected EOF"},
		"cut in a tag":             {one + "\x8a", "", Unanswered, "unexpected EOF"},
		"the bound of a reply":     {one + longest + string(replied(3, "")), "2:" + strings.Repeat("x", limit) + " 3:", 0, ""},
		"beyond the bound":         {one + long + string(replied(3, "")), "", Unanswered, "larger than the bound of 1000 bytes"},
		"a length beyond all":      {one + length(1<<62), "", Unanswered, "larger than the bound"},
		"a length of 11 bytes":     {one + "\x0a" + strings.Repeat("\xff", 11), "", Unanswered, "no stream of answers"},
		"a group":                  {one + "\x0b\x0c", "", Unanswered, "no stream of answers"},
		"garbage":                  {one + "<html>", "", Unanswered, "no stream of answers"},
		"field 0":                  {one + "\x02\x00", "", Unanswered, "no stream of answers"},
		"garbage in an answer":     {one + "\x0a\x03\x08\x02\xff" + string(replied(3, "")), "", Unanswered, "no stream of answers"},
		"garbage in a failure":     {one + "\x0a\x05\x08\x02\x1a\x01\xff" + string(replied(3, "")), "", Unanswered, "no stream of answers"},
		"number 0":                 {one + string(replied(0, "x")) + string(replied(2, "")), "", Unanswered, "it answers call 0 of 3"},
		"a number of no call":      {one + string(replied(4, "x")) + string(replied(2, "")), "", Unanswered, "it answers call 4 of 3"},
		"the highest number":       {one + string(replied(1<<32-1, "x")), "", Unanswered, "it answers call 4294967295 of 3"},
		"an answer twice":          {one + string(replied(1, "again")) + string(replied(2, "two")) + string(replied(3, "")), "2:two 3:", 0, ""},
		"an answer, and a failure": {one + string(refusal(1, 500, "", 0)) + string(replied(2, "two")) + string(replied(3, "")), "2:two 3:", 0, ""},
		"an answer without end":    {strings.Repeat(one, 1000), "", Unanswered, "again and again"},
		"more behind the last":     {one + string(replied(2, "")) + string(replied(3, "")) + "garbage" + one, "2: 3:", 0, ""},
		"fields of later versions": {one + "\x10\x07\x1d1234\x2112345678\x2a\x03abc" + string(replied(2, "")) + string(replied(3, "")), "2: 3:", 0, ""},
		"fields without end":       {one + strings.Repeat("\x2a\x03abc", 250_000) + string(replied(2, "")), "", Unanswered, "no answers"},
		"two in one, and parts":    {one + "\x0a\x0f\x08\x03\x12\x02ab\x1a\x00\x12\x01c\x12\x02de" + string(replied(2, "")), "2: 3:cde", 0, ""},
		"neither":                  {one + "\x0a\x02\x08\x02" + string(replied(3, "")), "2: 3:", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, speak(t, func(c net.Conn) {
				readBody(c, 1)
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\nConnection: close\r\n\r\n%s", bulkContentType, tc.say)
			}), func(s *Spec) { s.ReplyBytesMax = limit })
			g := gather(t)
			wantRest(t, c.Bulk(within(t, 10*time.Second), []byte("x"), 3, g.sent, g.told), tc.left, tc.text)
			g.want(append([]string{"1:one"}, strings.Fields(tc.replies)...)...)
			if c.pool.replies.used != 0 {
				t.Errorf("%d bytes are still counted", c.pool.replies.used)
			}
		})
	}
}

// TestBulkRefused: what a response means that is none to a bulk.
func TestBulkRefused(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n"
	for name, tc := range map[string]struct {
		say  string
		kind Kind
		text string
	}{
		"400":                   {"HTTP/1.1 400 No\r\nContent-Length: 3\r\n\r\nwhy", NoBulk, "status 400 Bad Request: why"},
		"404":                   {"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", NoBulk, "status 404"},
		"413":                   {"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n", NoBulk, "status 413"},
		"415":                   {"HTTP/1.1 415 No\r\nContent-Length: 0\r\n\r\n", NoBulk, "status 415"},
		"429":                   {"HTTP/1.1 429 No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", Overloaded, "status 429"},
		"503":                   {"HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", Overloaded, "status 503"},
		"502":                   {"HTTP/1.1 502 No\r\nContent-Length: 0\r\n\r\n", Unanswered, "status 502"},
		"503 of a front":        {"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", Unanswered, "status 503"},
		"504":                   {"HTTP/1.1 504 No\r\nContent-Length: 0\r\n\r\n", Unanswered, "status 504"},
		"429 of a front":        {"HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n", Overloaded, "status 429"},
		"500":                   {"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\noops", Unanswered, "status 500 Internal Server Error: oops"},
		"302":                   {"HTTP/1.1 302 No\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", Unanswered, "status 302"},
		"an ordinary reply":     {ok + "Content-Type: application/octet-stream\r\n\r\nhi", NoBulk, `content type "application/octet-stream" (must be application/vnd.stategate.bulk.v1)`},
		"a page":                {ok + "Content-Type: text/html\r\n\r\nhi", NoBulk, `content type "text/html"`},
		"no type":               {ok + "\r\nhi", NoBulk, "no content type"},
		"an encoding not known": {ok + "Content-Type: " + bulkContentType + "\r\nContent-Encoding: br\r\n\r\nhi", Unanswered, `"br"`},
		"nothing":               {"HTTP/1.1 200 OK\r\nContent-Type: " + bulkContentType + "\r\nContent-Length: 0\r\n\r\n", Unanswered, "3 of 3 calls unanswered"},
		"not HTTP":              {"220 smtp\r\n\r\n", Unanswered, "not HTTP"},
		"closed":                {"", Unanswered, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			c := client(t, speak(t, func(c net.Conn) { readBody(c, 1); io.WriteString(c, tc.say) }))
			g := gather(t)
			rest := c.Bulk(within(t, 10*time.Second), []byte("x"), 3, g.sent, g.told)
			wantRest(t, rest, tc.kind, tc.text)
			if want := strings.Contains(tc.say, "Retry-After"); g.pieces != 0 || rest != nil && (rest.RetryAfter == 7*time.Second) != want {
				t.Errorf("%d pieces, %+v", g.pieces, rest)
			}
		})
	}
	t.Run("no connection", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listener.Close()
		wantRest(t, client(t, "http://"+listener.Addr().String()).Bulk(within(t, 10*time.Second), []byte("x"), 3, nil, gather(t).told), Unreachable, "refused")
	})
	t.Run("large headers", func(t *testing.T) {
		c := serve2(t, "http", 0, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", strings.Repeat("y", headerBytesMax))
			startBulk(w)
			w.Write(replied(1, ""))
		}).client(t)
		wantRest(t, c.Bulk(within(t, 10*time.Second), []byte("x"), 1, nil, gather(t).told), Unanswered, "headers are larger")
	})
}

// TestBulkInTime: one call that hangs leaves the others their answers, and is late by the attempt's time or by the function's silence.
func TestBulkInTime(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		startBulk(w)
		w.Write(replied(2, "two"))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
	bothVersions(t, handler, func(t *testing.T, c *Client) {
		g := gather(t)
		wantRest(t, c.Bulk(within(t, 100*time.Millisecond), []byte("x"), 3, g.sent, g.told), Timeout, "within the attempt's time-out")
		g.want("2:two")
		g = gather(t)
		ctx, cancel := context.WithCancel(t.Context())
		wantRest(t, c.Bulk(ctx, []byte("x"), 3, g.sent, func(bulk int, answers []Answer) { g.told(bulk, answers); cancel() }), Canceled, "")
		g.want("2:two")
	})
	bothVersions(t, handler, func(t *testing.T, c *Client) {
		g := gather(t)
		wantRest(t, c.Bulk(within(t, 10*time.Second), []byte("x"), 3, g.sent, g.told), Timeout, "no piece of the reply within 50ms")
		g.want("2:two")
	}, func(s *Spec) { s.Read = 50 * time.Millisecond })
}

// TestBulkThatHangsKeepsItsLine: among calls that were answered one that hangs says nothing of the connection.
func TestBulkThatHangsKeepsItsLine(t *testing.T) {
	s := serve2(t, "http", 0, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		startBulk(w)
		w.Write(replied(1, ""))
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	c := s.client(t)
	for range 3 {
		wantRest(t, c.Bulk(within(t, 50*time.Millisecond), []byte("x"), 2, nil, gather(t).told), Timeout, "")
	}
	if n := s.opened.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestBulkOnBrokenConnections: a call that kills its server takes the others of its bulk with it once, and is not sent again and again.
func TestBulkOnBrokenConnections(t *testing.T) {
	var seen atomic.Int32
	handler := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		if r.URL.Path == "/warm" {
			good(w, nil)
			return
		}
		seen.Add(1)
		startBulk(w)
		if r.URL.Path == "/midway" {
			w.Write(replied(2, "two"))
			w.(http.Flusher).Flush()
		}
		panic(http.ErrAbortHandler)
	}
	for _, path := range []string{"/midway", "/before"} {
		t.Run(path, func(t *testing.T) {
			for _, version := range []HTTP2{HTTP2Never, HTTP2Always} {
				url := serve2(t, "http", 0, handler).url
				if version == HTTP2Never {
					url = strings.TrimSuffix(serve(t, handler).base.request.URL.String(), "/")
				}
				p := pool(t)
				at := func(path string) *Client {
					c, err := p.Client(Spec{URL: url + path, HTTP2: version})
					if err != nil {
						t.Fatal(err)
					}
					return c
				}
				if _, _, fail := at("/warm").Call(within(t, 10*time.Second), []byte("x")); fail != nil {
					t.Fatal(fail)
				}
				seen.Store(0)
				g := gather(t)
				wantRest(t, at(path).Bulk(within(t, 10*time.Second), []byte("x"), 3, g.sent, g.told), Unanswered, "")
				if n := seen.Load(); n != 1 {
					t.Errorf("it was sent %d times", n)
				}
				if path == "/midway" {
					g.want("2:two")
				}
			}
		})
	}
}

// TestBulkCompressed: answers are told as they come, compressed or not.
func TestBulkCompressed(t *testing.T) {
	heard := make(chan struct{})
	bothVersions(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Encoding", "gzip")
		startBulk(w)
		z := gzip.NewWriter(w)
		z.Write(replied(2, "two"))
		z.Flush()
		w.(http.Flusher).Flush()
		<-heard
		z.Write(replied(1, strings.Repeat("one", 100_000)))
		z.Close()
	}, func(t *testing.T, c *Client) {
		g := gather(t)
		wantRest(t, c.Bulk(within(t, 10*time.Second), []byte("x"), 2, g.sent, func(bulk int, answers []Answer) {
			if g.told(bulk, answers); answers[0].Number == 2 {
				heard <- struct{}{}
			}
		}), 0, "")
		g.want("1:"+strings.Repeat("one", 100_000), "2:two")
	})
}

// TestBulkOfNothing: what decodes to nothing for ever ends the bulk long before its time does; small answers that are compressed one by one
// are no such thing.
func TestBulkOfNothing(t *testing.T) {
	var member, block, many bytes.Buffer
	if err := gzip.NewWriter(&member).Close(); err != nil {
		t.Fatal(err)
	}
	z, err := flate.NewWriter(&block, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	for range 1000 {
		z.Flush()
	}
	each := gzip.NewWriter(&many)
	for i := range bulkCallsMax {
		each.Write(replied(i+1, "x"))
		each.Flush()
	}
	for name, tc := range map[string]struct {
		encoding, piece string
	}{
		"empty members": {"gzip", strings.Repeat(member.String(), 1000)},
		"empty blocks":  {"deflate", block.String()},
	} {
		t.Run(name, func(t *testing.T) {
			bothVersions(t, func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				w.Header().Set("Content-Encoding", tc.encoding)
				startBulk(w)
				for err := error(nil); err == nil; {
					_, err = io.WriteString(w, tc.piece)
				}
			}, func(t *testing.T, c *Client) {
				g := gather(t)
				wantRest(t, c.Bulk(within(t, time.Minute), []byte("x"), 2, g.sent, g.told), Unanswered, "next to nothing")
				g.want()
			})
		})
	}
	t.Run("small answers", func(t *testing.T) {
		c := serve(t, func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			w.Header().Set("Content-Encoding", "gzip")
			startBulk(w)
			w.Write(many.Bytes())
		})
		g := gather(t)
		wantRest(t, c.Bulk(within(t, time.Minute), []byte("x"), bulkCallsMax, g.sent, g.told), 0, "")
		if len(g.replies) != bulkCallsMax {
			t.Errorf("%d answers", len(g.replies))
		}
	})
}

// TestBulkBudget: large answers are told one after the other, as those before are released; what finds no room is not read, until it is
// time to give up.
func TestBulkBudget(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		startBulk(w)
		for i := range 4 {
			w.Write(replied(i+1, large))
			w.Write(replied(i+5, "small"))
		}
	}, func(s *Spec) { s.Read = 300 * time.Millisecond }) // waiting is not the server's silence
	budget := &c.pool.replies
	budget.bytesMax = 2 << 20
	used := func() int64 {
		budget.mu.Lock()
		defer budget.mu.Unlock()
		return budget.used
	}
	g := gather(t)
	most, ended := int64(0), make(chan struct{}, 4)
	rest := c.Bulk(within(t, 10*time.Second), []byte("x"), 8, g.sent, func(bulk int, answers []Answer) {
		g.told(bulk, answers)
		most = max(most, used())
		for _, room := range g.rooms {
			time.AfterFunc(400*time.Millisecond, func() { // whoever was told takes its time
				c.pool.Release(room)
				ended <- struct{}{}
			})
		}
		g.rooms = nil
	})
	if wantRest(t, rest, 0, ""); rest != nil {
		return
	}
	for range 4 {
		<-ended
	}
	if len(g.replies) != 8 || used() != 0 || most > 2<<20 {
		t.Errorf("%d answers; %d bytes are still counted, and %d were", len(g.replies), used(), most)
	}
	g = gather(t)
	wantRest(t, c.Bulk(within(t, time.Second), []byte("x"), 8, nil, g.told), Busy, "memory for the answers within")
	if len(g.replies) != 2 || used() != g.rooms[0] { // the first is never released, the second has no room beside it
		t.Errorf("%d answers, %d bytes are counted, want 2 and those of the first", len(g.replies), used())
	}
	c.pool.Release(g.rooms[0])
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wantRest(t, c.Bulk(ctx, []byte("x"), 8, nil, func(_ int, answers []Answer) {
		if answers[len(answers)-1].Number == 5 {
			cancel()
		}
	}), Canceled, "")
}

// TestFailureOfACall: it means what the ordinary response would have meant, and says what people can read.
func TestFailureOfACall(t *testing.T) {
	c := client(t, "http://u:secret1@f/?token=secret2")
	for _, tc := range []struct {
		failed
		want Failure
	}{
		{failed{status: 500, reason: []byte(" oops\n")}, Failure{Status, 500, 0, "status 500 Internal Server Error: oops"}},
		{failed{status: 413}, Failure{TooLarge, 413, 0, "status 413 Request Entity Too Large"}},
		{failed{status: 404, reason: []byte("no\x1b[31m such")}, Failure{Status, 404, 0, `status 404 Not Found: no\x1b[31m such`}},
		{failed{status: 429, retryMillis: 1}, Failure{Overloaded, 429, time.Millisecond, "status 429 Too Many Requests"}},
		{failed{status: 503, retryMillis: 1 << 63}, Failure{Overloaded, 503, retryAfterMax, "status 503 Service Unavailable"}},
		{failed{status: 399, reason: []byte("secret1 and secret2")}, Failure{Status, 399, 0, "status 399: *** and ***"}},
		{failed{status: 200}, Failure{BadReply, 0, 0, "a failure with a status of 200"}},
		{failed{reason: []byte("x")}, Failure{BadReply, 0, 0, "a failure with a status of 0: x"}},
		{failed{status: 1 << 31}, Failure{BadReply, 0, 0, "a failure with a status of 2147483648"}},
		{failed{status: 500, reason: bytes.Repeat([]byte{0xff}, 1<<20)}, Failure{Status, 500, 0, "status 500 Internal Server Error: a body that is not text"}},
	} {
		if got := c.failed(tc.failed); *got != tc.want {
			t.Errorf("got %+v, want %+v", *got, tc.want)
		}
	}
	if got := c.failed(failed{status: 500, reason: bytes.Repeat([]byte("x"), 1<<20)}); len(got.Text) > textBytesMax {
		t.Errorf("a text of %d bytes", len(got.Text))
	}
}

// TestBulkGivesTheBodyBack while calls are still out: a call that hangs holds nothing of the others.
func TestBulkGivesTheBodyBack(t *testing.T) {
	const calls = 1000
	given := make(chan struct{}, 1)
	bothVersions(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		startBulk(w)
		for { // the first answer may come before the writing of the request has noticed that it is over
			w.Write(replied(2, "two"))
			w.(http.Flusher).Flush()
			select {
			case <-given:
				return
			case <-r.Context().Done():
				t.Error("the body is not given back")
				return
			case <-time.After(10 * time.Millisecond):
			}
		}
	}, func(t *testing.T, c *Client) {
		g := gather(t)
		wantRest(t, c.Bulk(within(t, 5*time.Second), make([]byte, 1<<20), calls, func() { g.sent(); given <- struct{}{} }, g.told), Unanswered, "999 of 1000")
		g.want("2:two")
	})
}
