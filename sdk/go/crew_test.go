package stategate

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/sdk/go/internal/protocol"
)

// serveOn serves a handler by HTTP/1.1 and by HTTP/2, and runs a test with each.
func serveOn(t *testing.T, h http.Handler, test func(t *testing.T, client *http.Client, url string)) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(version, func(t *testing.T) {
			server := httptest.NewUnstartedServer(h)
			server.EnableHTTP2 = version == "HTTP/2.0"
			server.StartTLS()
			defer server.Close()
			test(t, server.Client(), server.URL)
		})
	}
}

// answerStream reads a bulk response as it comes.
type answerStream struct {
	t  *testing.T
	in *bufio.Reader
}

func openBulk(ctx context.Context, t *testing.T, client *http.Client, url string, body []byte) answerStream {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", bulkContentType)
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { response.Body.Close() })
	if response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
	return answerStream{t, bufio.NewReader(response.Body)}
}

// next is the next answer; nil at the end.
func (s answerStream) next() *protocol.FromFunctions_Answer {
	s.t.Helper()
	tag, err := s.in.ReadByte()
	if err == io.EOF {
		return nil
	}
	if err != nil || tag != 0x0a {
		s.t.Fatalf("read answer: %x, %v", tag, err)
	}
	var length []byte
	for len(length) == 0 || length[len(length)-1] >= 0x80 {
		b, err := s.in.ReadByte()
		if err != nil {
			s.t.Fatal(err)
		}
		length = append(length, b)
	}
	n, _ := protowire.ConsumeVarint(length)
	b := make([]byte, n)
	if _, err := io.ReadFull(s.in, b); err != nil {
		s.t.Fatal(err)
	}
	var a protocol.FromFunctions_Answer
	if err := proto.Unmarshal(b, &a); err != nil {
		s.t.Fatal(err)
	}
	return &a
}

func ids(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprint(i + 1)
	}
	return ids
}

func bulkHandler(t *testing.T, callsMax int, call func(context.Context, *Invocation) error) *Handler {
	t.Helper()
	h, err := NewHandler(Config{BulkCallsMax: callsMax, Logger: slog.New(slog.DiscardHandler), Functions: []Function{{Type: "a.b/st", Call: call}}})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Of a thousand calls, one that does not end holds up none of the others, whichever it is.
func TestBulkIsNotHeldUp(t *testing.T) {
	for _, blocking := range []string{"1", "500", "1000"} {
		release := make(chan struct{}, 1)
		h := bulkHandler(t, 1000, func(_ context.Context, in *Invocation) error {
			if in.Self().ID == blocking {
				<-release
			}
			return nil
		})
		serveOn(t, h, func(t *testing.T, client *http.Client, url string) {
			answers := openBulk(t.Context(), t, client, url, bulkRequest(ids(1000)...))
			seen := map[uint32]bool{}
			for range 999 {
				a := answers.next()
				if a == nil || seen[a.Number] || fmt.Sprint(a.Number) == blocking {
					t.Fatalf("got %v after %d answers", a, len(seen))
				}
				seen[a.Number] = true
			}
			release <- struct{}{}
			if a := answers.next(); a == nil || fmt.Sprint(a.Number) != blocking {
				t.Fatalf("got %v, want the answer to %s", a, blocking)
			}
			if a := answers.next(); a != nil {
				t.Fatalf("got %v, want the end", a)
			}
		})
	}
}

// An answer is sent when its call has finished, even when nothing else happens then.
func TestBulkAnswersAtOnce(t *testing.T) {
	const n = 20
	release := make([]chan struct{}, n+1)
	for i := range release {
		release[i] = make(chan struct{}, 1)
	}
	h := bulkHandler(t, n, func(_ context.Context, in *Invocation) error {
		var i int
		fmt.Sscan(in.Self().ID, &i)
		<-release[i]
		return nil
	})
	serveOn(t, h, func(t *testing.T, client *http.Client, url string) {
		release[n] <- struct{}{}
		answers := openBulk(t.Context(), t, client, url, bulkRequest(ids(n)...))
		for i := n; i > 0; i-- {
			if a := answers.next(); a == nil || int(a.Number) != i {
				t.Fatalf("got %v, want the answer to %d", a, i)
			}
			release[i-1] <- struct{}{}
		}
		<-release[0]
		if a := answers.next(); a != nil {
			t.Fatalf("got %v, want the end", a)
		}
	})
}

// All calls of a bulk run side by side: each of these ends when all have begun.
func TestBulkRunsSideBySide(t *testing.T) {
	const n = 500
	var begun sync.WaitGroup
	h := bulkHandler(t, n, func(context.Context, *Invocation) error {
		begun.Done()
		begun.Wait()
		return nil
	})
	for round := range 3 {
		begun.Add(n)
		if answers := answersOf(t, postBulk(h, bulkRequest(ids(n)...))); len(answers) != n {
			t.Fatalf("%d answers to %d calls", len(answers), n)
		}
		if got := h.crewSize.Load(); round == 0 && got != n {
			t.Errorf("the next bulk begins with %d workers, want %d", got, n)
		}
	}
}

// When the gateway hangs up, the calls that run are told, no other begins, and nothing stays behind.
func TestBulkGatewayGone(t *testing.T) {
	var ran, ended atomic.Int64
	begun := make(chan struct{}, 1000)
	release := make(chan struct{})
	h := bulkHandler(t, 1000, func(ctx context.Context, _ *Invocation) error {
		ran.Add(1)
		begun <- struct{}{}
		<-ctx.Done()
		<-release
		ended.Add(1)
		return nil
	})
	returned := make(chan struct{})
	front := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		if begun, ended := ran.Load(), ended.Load(); begun != ended {
			t.Errorf("the handler has returned: %d calls have begun, %d ended", begun, ended)
		}
		returned <- struct{}{}
	})
	before := runtime.NumGoroutine()
	serveOn(t, front, func(t *testing.T, client *http.Client, url string) {
		ran.Store(0)
		ended.Store(0)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			for range 20 {
				<-begun
			}
			cancel()
		}()
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(bulkRequest(ids(1000)...)))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", bulkContentType)
		if response, err := client.Do(r); err == nil {
			t.Fatalf("got %s", response.Status)
		}
		for done := false; !done; {
			select {
			case release <- struct{}{}:
			case <-returned:
				done = true
			}
		}
		for len(begun) > 0 {
			<-begun
		}
	})
	awaitGoroutines(t, before)
}

// awaitGoroutines waits until no more goroutines are left than there were.
func awaitGoroutines(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, there were %d\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// A gateway that has gone before a bulk begins has none of its calls run.
func TestBulkGoneBefore(t *testing.T) {
	h := bulkHandler(t, 10, func(context.Context, *Invocation) error {
		t.Error("called")
		return nil
	})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(bulkRequest(ids(10)...))).WithContext(ctx)
	r.Header.Set("Content-Type", bulkContentType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Body.Len() > 0 {
		t.Errorf("got %x", w.Body)
	}
}

// plainWriter is a response that cannot be sent in parts.
type plainWriter struct {
	header http.Header
	writes []int
	body   bytes.Buffer
}

func (w *plainWriter) Header() http.Header { return w.header }
func (w *plainWriter) WriteHeader(int)     {}
func (w *plainWriter) Write(b []byte) (int, error) {
	w.writes = append(w.writes, len(b))
	return w.body.Write(b)
}

// runCrew runs a bulk of n calls, each of which ends when next is called; next waits until the writer has nothing to do but to wait for
// an answer, and end until it has ended.
func runCrew(ctx context.Context, t *testing.T, n int, w http.ResponseWriter) (next, end func()) {
	t.Helper()
	release := make(chan struct{})
	h := bulkHandler(t, n, func(context.Context, *Invocation) error {
		<-release
		return nil
	})
	calls, err := decodeBulk(bulkRequest(ids(n)...), n)
	if err != nil {
		t.Fatal(err)
	}
	c := newCrew(ctx, h, calls)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.run(w)
	}()
	running := n // each with a worker, which leaves after it
	next = func() {
		for quiet := false; !quiet; runtime.Gosched() {
			c.mu.Lock()
			quiet = c.eager && c.workers == running
			c.mu.Unlock()
			select {
			case <-ended:
				t.Fatalf("it has ended, and %d calls run", running)
			default:
			}
		}
		release <- struct{}{}
		running--
	}
	return next, func() { <-ended }
}

// When nothing else happens, an answer is sent at once: each of these is, before the next call ends.
func TestCrewWakesForAnAnswer(t *testing.T) {
	w := &countedFlushes{ResponseRecorder: httptest.NewRecorder()}
	next, end := runCrew(t.Context(), t, 5, w)
	for range 5 {
		next()
	}
	end()
	if w.flushes != 4 { // the last one ends the response
		t.Errorf("sent in %d parts before the end, want 4", w.flushes)
	}
}

// A crew whose gateway has gone ends with the last of its calls.
func TestCrewWaitsForItsCalls(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	next, end := runCrew(ctx, t, 5, httptest.NewRecorder())
	next()
	cancel()
	for range 4 {
		next()
	}
	end()
}

// Where parts cannot be sent, what comes after the first is sent at the end; and where all is ready at once, its length is told.
func TestCrewWithoutFlush(t *testing.T) {
	w := &plainWriter{header: http.Header{}}
	next, end := runCrew(t.Context(), t, 5, w)
	for range 5 {
		next()
	}
	end()
	var all protocol.FromFunctions
	if err := proto.Unmarshal(w.body.Bytes(), &all); err != nil || len(all.Answers) != 5 || len(w.writes) != 2 {
		t.Errorf("%d answers, written in parts of %v, %v", len(all.Answers), w.writes, err)
	}
	w = &plainWriter{header: http.Header{}}
	next, end = runCrew(t.Context(), t, 1, w)
	next()
	end()
	if got := w.header.Get("Content-Length"); len(w.writes) != 1 || got != fmt.Sprint(w.writes[0]) {
		t.Errorf("written in parts of %v, with a length of %q", w.writes, got)
	}
}

// Fast answers leave together: no more often than once in a patience.
func TestBulkGathers(t *testing.T) {
	const n = 1000
	h := bulkHandler(t, n, func(context.Context, *Invocation) error { return nil })
	w := &countedFlushes{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(bulkRequest(ids(n)...)))
	r.Header.Set("Content-Type", bulkContentType)
	began := time.Now()
	h.ServeHTTP(w, r)
	most := int(time.Since(began)/patience) + 1
	if answers := answersOf(t, w.ResponseRecorder); len(answers) != n || w.flushes > most {
		t.Errorf("%d answers, sent in %d parts, want %d at most", len(answers), w.flushes, most)
	}
}

type countedFlushes struct {
	*httptest.ResponseRecorder
	flushes int
}

func (w *countedFlushes) Flush() { w.flushes++ }

// Handlers that wrap the response, and TimeoutHandler, which takes it whole.
func TestBulkBehindOthers(t *testing.T) {
	h := bulkHandler(t, 100, func(context.Context, *Invocation) error { return nil })
	for name, front := range map[string]http.Handler{
		"a wrapped response": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { h.ServeHTTP(unwrappable{w}, r) }),
		"a time-out":         http.TimeoutHandler(h, time.Minute, "late"),
	} {
		if answers := answersOf(t, postBulk(front, bulkRequest(ids(100)...))); len(answers) != 100 {
			t.Errorf("%s: %d answers", name, len(answers))
		}
	}
	if w := postBulk(h, nil); w.Code != http.StatusOK || w.Body.Len() != 0 || !strings.HasPrefix(w.Header().Get("Content-Type"), bulkContentType) {
		t.Errorf("no calls: got %d %q", w.Code, w.Body)
	}
}

type unwrappable struct{ w http.ResponseWriter }

func (w unwrappable) Header() http.Header         { return w.w.Header() }
func (w unwrappable) WriteHeader(status int)      { w.w.WriteHeader(status) }
func (w unwrappable) Write(b []byte) (int, error) { return w.w.Write(b) }
func (w unwrappable) Unwrap() http.ResponseWriter { return w.w }

// What a crew needed counts for the next one, and is forgotten bit by bit.
func TestCrewSizeIsRemembered(t *testing.T) {
	for name, c := range map[string]struct {
		had, size    int64
		quick, grown bool
		want         int64
	}{
		"it has grown":                   {4, 64, false, true, 64},
		"a small one has grown":          {200, 10, false, true, 200},
		"it was quick":                   {64, 64, true, false, 32},
		"one was quick":                  {1, 1, true, false, 0},
		"neither":                        {256, 256, false, false, 239},
		"neither, of few":                {1, 1, false, false, 0},
		"neither, of those of the start": {0, 1, false, false, 0},
	} {
		h := bulkHandler(t, 1000, nothing.Call)
		h.crewSize.Store(c.had)
		newCrew(t.Context(), h, nil).remember(int(c.size), c.quick, c.grown)
		if got := h.crewSize.Load(); got != c.want {
			t.Errorf("%s: got %d, want %d", name, got, c.want)
		}
	}
}
