package trace

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
)

// sending is an exporter that runs.
type sending struct {
	*exporter
	lost    atomic.Int64
	end     func()
	changed chan struct{} // has a token when something was lost or logged

	mu  sync.Mutex
	log bytes.Buffer // guarded by mu
}

func (s *sending) change() {
	select {
	case s.changed <- struct{}{}:
	default:
	}
}

// Write is the log's.
func (s *sending) Write(p []byte) (int, error) {
	defer s.change()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

func (s *sending) logged() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.String()
}

// wait waits until something is lost or logged.
func (s *sending) wait(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for limit := time.After(Patience); !ok(); {
		select {
		case <-s.changed:
		case <-limit:
			t.Fatalf("%s: not in time; %d lost, log %s", what, s.lost.Load(), s.logged())
		}
	}
}

func export(t *testing.T, url string) *sending {
	settings, err := Read(url, 1, lookup(map[string]string{"OTEL_SERVICE_NAME": "shop", "OTEL_EXPORTER_OTLP_HEADERS": "api-key=CANARY"}))
	if err != nil {
		t.Fatal(err)
	}
	s := &sending{changed: make(chan struct{}, 1)}
	s.exporter = newExporter(settings, "v1", "instance", "host", slog.New(slog.NewTextHandler(s, nil)), func(n int) { s.lost.Add(int64(n)); s.change() })
	s.batchWait, s.retryFirst = 10*time.Millisecond, time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); s.run(ctx) }()
	s.end = func() { cancel(); <-ended }
	t.Cleanup(s.end)
	return s
}

func oneSpan(name string) *span {
	now := time.Now()
	return &span{at: api.Trace{ID: [16]byte{1}, Span: [8]byte{2}, Flags: 1}, name: name, begin: now, end: now}
}

// TestExport: spans come with what they have, and keys in headers of each request.
func TestExport(t *testing.T) {
	c := Receive(t)
	e := export(t, c.URL)
	began := time.Unix(100, 5)
	e.add(&span{
		at: api.Trace{ID: [16]byte{1}, Span: [8]byte{2}, Flags: 1}, parent: [8]byte{3}, name: "call a/b\xff", kind: client, begin: began, end: began.Add(time.Second), wrong: "timeout",
		attributes: []attribute{text("id", "x\xffy"), text("long", strings.Repeat("é", 1000)), text("empty", ""), number("n", 0)}, links: []api.Trace{{ID: [16]byte{4}, Span: [8]byte{5}}},
	})
	e.end() // sends what is there
	got := c.Until(1)[0]
	attributes := map[string]string{}
	for _, a := range got.Attributes {
		attributes[a.Key] = a.Value.String()
	}
	if got.Name != "call a/b\uFFFD" || got.Kind != client || got.StartTimeUnixNano != 100e9+5 || got.EndTimeUnixNano != 101e9+5 || got.ParentSpanId[0] != 3 || len(got.TraceId) != 16 || len(got.SpanId) != 8 || got.Flags != 0x101 {
		t.Errorf("got %v", got)
	}
	if got.Status.GetCode() != otlp.Status_STATUS_CODE_ERROR || got.Status.Message != "timeout" || len(got.Links) != 1 || got.Links[0].TraceId[0] != 4 {
		t.Errorf("status %v, links %v", got.Status, got.Links)
	}
	for key, want := range map[string]string{"error.type": `"timeout"`, "id": "x\uFFFDy", "empty": `""`, "n": "int_value:0"} {
		if !strings.Contains(attributes[key], want) {
			t.Errorf("attribute %s is %s, want %s", key, attributes[key], want)
		}
	}
	if n := len(attributes["long"]); n > 2*textBytesMax {
		t.Errorf("a long attribute has %d bytes", n)
	}
	if key := c.headers[0].Get("Api-Key"); key != "CANARY" || e.lost.Load() != 0 || e.logged() != "" {
		t.Errorf("key %q, %d spans lost, log %q", key, e.lost.Load(), e.logged())
	}
}

// TestCollectorIsAway: what passes is tried again and nothing is lost; what does not is dropped, counted and said in the log once, and so is
// that it is over. Keys are in no line.
func TestCollectorIsAway(t *testing.T) {
	refuse := func(status int) func(http.ResponseWriter, *http.Request) {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "0")
			http.Error(w, r.Header.Get("Api-Key"), status)
		}
	}
	c := Receive(t)
	e := export(t, c.URL)
	for _, status := range []int{503, 429, 502} {
		c.Answers <- refuse(status)
	}
	e.add(oneSpan("patient"))
	c.Until(1)
	if e.lost.Load() != 0 || e.logged() != "" {
		t.Errorf("%d spans are lost while the collector is away for a moment: %s", e.lost.Load(), e.logged())
	}
	redirected := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { redirected = true }))
	defer elsewhere.Close()
	lost := int64(0)
	for i, answer := range []func(http.ResponseWriter, *http.Request){
		refuse(400), refuse(401), func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		},
		func(w http.ResponseWriter, _ *http.Request) {
			b, _ := proto.Marshal(&collector.ExportTraceServiceResponse{PartialSuccess: &collector.ExportTracePartialSuccess{RejectedSpans: 1 << 40}})
			w.Write(b)
		},
	} {
		c.Answers <- answer
		e.add(oneSpan(fmt.Sprint(i)))
		lost++
		e.wait(t, "a span is dropped", func() bool { return e.lost.Load() == lost })
	}
	for range triesMax { // away for good
		c.Answers <- func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	}
	e.add(oneSpan("away"))
	lost++
	e.wait(t, "a span is dropped", func() bool { return e.lost.Load() == lost })
	for _, answer := range []string{"no protobuf", strings.Repeat("\xff", 1<<20)} {
		c.Answers <- func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, answer) }
		e.add(oneSpan("taken, and answered strangely"))
	}
	e.wait(t, "the end is told", func() bool { return strings.Contains(e.logged(), "taken again") })
	e.end()
	log := e.logged()
	if strings.Count(log, "spans are dropped") != 1 || strings.Count(log, "dropped=5") != 1 || strings.Contains(log, "CANARY") || redirected || e.lost.Load() != lost {
		t.Errorf("%d lost, redirected: %v, log:\n%s", e.lost.Load(), redirected, log)
	}
}

// TestCollectorSaysTooMuch: of a status line the number is logged, whatever else is in it, and headers without an end are not read.
func TestCollectorSaysTooMuch(t *testing.T) {
	c := Receive(t)
	e := export(t, c.URL)
	for i, said := range []string{
		"HTTP/1.1 500 \x1b[2J\u202e" + strings.Repeat("x", 32<<10) + "\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("x", 1<<20) + "\r\nContent-Length: 0\r\n\r\n",
	} {
		for range triesMax {
			c.Answers <- func(w http.ResponseWriter, _ *http.Request) {
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				defer conn.Close()
				_, _ = io.WriteString(conn, said) // it is cut off where the other side has enough
			}
		}
		e.add(oneSpan(fmt.Sprint(i)))
		e.wait(t, "a span is dropped", func() bool { return e.lost.Load() == int64(i+1) })
		for len(c.Answers) > 0 { // one that is refused for good is not asked again
			<-c.Answers
		}
	}
	e.end()
	if log := e.logged(); !strings.Contains(log, "status 500 Internal Server Error") || len(log) > 4<<10 || strings.Contains(log, "2J") {
		t.Errorf("logged %d bytes: %.1000s", len(log), log)
	}
}

// TestQueueIsBounded: while the collector hangs nobody waits for it, and what is too much is dropped and counted.
func TestQueueIsBounded(t *testing.T) {
	c := Receive(t)
	e := export(t, c.URL)
	free, hangs := make(chan struct{}), make(chan struct{})
	c.Answers <- func(_ http.ResponseWriter, r *http.Request) {
		close(hangs)
		<-free
	}
	for range batchMax {
		e.add(oneSpan("first"))
	}
	<-hangs
	const more = queueMax + 1000
	for range more {
		e.add(oneSpan("more"))
	}
	if e.lost.Load() != more-queueMax {
		t.Errorf("%d spans are dropped, want %d", e.lost.Load(), more-queueMax)
	}
	close(free)
	c.Until(queueMax)
	e.end()
	if e.lost.Load() != more-queueMax || !strings.Contains(e.logged(), "more come than the collector takes") {
		t.Errorf("%d lost, log %s", e.lost.Load(), e.logged())
	}
}

// TestEndIsBounded: a collector that hangs does not hold up the end.
func TestEndIsBounded(t *testing.T) {
	c := Receive(t)
	e := export(t, c.URL)
	free := make(chan struct{})
	defer close(free)
	c.Answers <- func(http.ResponseWriter, *http.Request) { <-free }
	e.add(oneSpan("last"))
	began := time.Now()
	e.end()
	if took := time.Since(began); took > flushMax+Patience/2 || e.lost.Load() != 1 {
		t.Errorf("the end took %v, %d spans are lost", took, e.lost.Load())
	}
}
