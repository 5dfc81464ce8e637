package trace

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
)

// The library of Kafka keeps one goroutine for its metrics.
// Patience is for what takes milliseconds on a quiet machine: it only decides when a test gives up.
const Patience = 90 * time.Second

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"))
}

// Receiver is a collector that the tests of this folder send to.
type Receiver struct {
	t       *testing.T
	URL     string
	Answers chan func(w http.ResponseWriter, r *http.Request) // of the next requests; none: they are taken

	mu      sync.Mutex
	spans   []*otlp.Span  // guarded by mu
	headers []http.Header // guarded by mu
	changed chan struct{} // guarded by mu
}

func Receive(t *testing.T) *Receiver {
	c := &Receiver{t: t, changed: make(chan struct{}), Answers: make(chan func(http.ResponseWriter, *http.Request), 100)}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.URL = server.URL
	return c
}

func (c *Receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil || r.Method != "POST" || r.URL.Path != "/v1/traces" || r.Header.Get("Content-Type") != "application/x-protobuf" {
		c.t.Errorf("%s %s of %q: %v", r.Method, r.URL, r.Header.Get("Content-Type"), err)
	}
	c.mu.Lock()
	c.headers = append(c.headers, r.Header)
	c.mu.Unlock()
	select {
	case answer := <-c.Answers:
		answer(w, r)
		return
	default:
	}
	var all collector.ExportTraceServiceRequest
	if err := proto.Unmarshal(body, &all); err != nil {
		c.t.Error(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range all.ResourceSpans {
		service := ""
		for _, a := range r.Resource.Attributes {
			if a.Key == "service.name" {
				service = a.Value.GetStringValue()
			}
		}
		for _, s := range r.ScopeSpans {
			if service != "shop" || s.Scope.Name == "" || s.Scope.Version != "v1" {
				c.t.Errorf("spans of service %q, scope %v", service, s.Scope)
			}
			c.spans = append(c.spans, s.Spans...)
		}
	}
	close(c.changed)
	c.changed = make(chan struct{})
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// Until waits until there are so many spans.
func (c *Receiver) Until(n int) []*otlp.Span {
	c.t.Helper()
	limit := time.After(Patience)
	for {
		c.mu.Lock()
		spans, changed := c.spans, c.changed
		c.mu.Unlock()
		if len(spans) >= n {
			return spans
		}
		select {
		case <-changed:
		case <-limit:
			c.t.Fatalf("%d spans came, want %d", len(spans), n)
		}
	}
}

// All are the spans that have come once ok says that they are enough.
func (c *Receiver) All(what string, ok func([]*otlp.Span) bool) []*otlp.Span {
	c.t.Helper()
	for limit := time.After(Patience); ; {
		c.mu.Lock()
		spans, changed := c.spans, c.changed
		c.mu.Unlock()
		if ok(spans) {
			return spans
		}
		select {
		case <-changed:
		case <-limit:
			c.t.Fatalf("%s: not in time; %d spans came", what, len(spans))
		}
	}
}
