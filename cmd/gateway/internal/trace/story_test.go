package trace_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	otlp "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/app"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/cmd/gateway/internal/trace"
	"github.com/stategate/stategate/internal/testfunction"
	"github.com/stategate/stategate/statestore/memory"
)

const moduleText = `
kind: io.statefun.kafka.v1/ingress
spec:
  id: test/in
  address: ${KAFKA}
  consumerGroupId: test
  startupPosition: {type: earliest}
  topics:
    - {topic: events, valueType: test/event, targets: [test/count]}
    - {topic: chain, valueType: test/event, targets: [test/hop0]}
---
kind: io.stategate.http.v1/ingress
spec: {id: test/http, functions: [test/*]}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: test/*, urlPathTemplate: "${URL}/{function.name}"}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: test/out
  address: ${KAFKA}
  deliverySemantic: {type: exactly-once, transactionTimeout: 10s}
`

// world is a Kafka in this process, functions, a collector, and a gateway that traces.
type world struct {
	t         *testing.T
	brokers   []string
	kafka     *kgo.Client
	collector *trace.Receiver
	http      string

	mu       sync.Mutex
	requests map[string][]string // traceparents of requests, by function; guarded by mu
	fails    map[string]int      // so many attempts of a function; guarded by mu
}

func newWorld(t *testing.T, sample float64) *world {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "events", "chain", "counts"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	w := &world{t: t, brokers: cluster.ListenAddrs(), collector: trace.Receive(t), requests: map[string][]string{}, fails: map[string]int{}}
	if w.kafka, err = kgo.NewClient(kgo.SeedBrokers(w.brokers...)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.kafka.Close)
	functions := &testfunction.Handler{Before: func(function, _ string) int {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.fails[function]--; w.fails[function] >= 0 {
			return http.StatusTeapot
		}
		return 0
	}}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		name := strings.TrimPrefix(r.URL.Path, "/")
		w.requests[name] = append(w.requests[name], strings.Join(r.Header.Values("traceparent"), " and "))
		w.mu.Unlock()
		functions.ServeHTTP(rw, r)
	}))
	t.Cleanup(server.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w.http = "http://" + listener.Addr().String()
	w.run(server.URL, listener, sample)
	return w
}

// run runs the gateway until the test ends.
func (w *world) run(functions string, listener net.Listener, sample float64) {
	variables := map[string]string{"KAFKA": strings.Join(w.brokers, ","), "URL": functions}
	m, complaints := module.Parse("module.yaml", []byte(moduleText), func(name string) (string, bool) { v, ok := variables[name]; return v, ok })
	if complaints.HasErrors() {
		w.t.Fatal(complaints)
	}
	settings, err := trace.Read(w.collector.URL, sample, func(name string) (string, bool) {
		return map[string]string{"OTEL_SERVICE_NAME": "shop"}[name], true
	})
	if err != nil {
		w.t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(w.t.Output(), nil))
	tracer := trace.New(trace.Config{Settings: settings, Version: "v1", Log: log, Dropped: func(n int) { w.t.Errorf("%d spans are dropped", n) }})
	a, err := app.New(app.Config{Module: m, Store: memory.New(memory.Config{Lease: time.Second}), Log: log, RenewEvery: 100 * time.Millisecond, Tracer: tracer, HTTP: app.HTTP{Listener: listener}})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	tracing, endTracing := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() {
		if err := a.Run(ctx); err != nil {
			w.t.Error(err)
		}
	})
	var sent sync.WaitGroup
	sent.Go(func() { tracer.Run(tracing) })
	w.t.Cleanup(func() { end(); ended.Wait(); endTracing(); sent.Wait() })
	for limit := time.Now().Add(trace.Patience); ; time.Sleep(10 * time.Millisecond) { // before that requests by HTTP are refused
		s := a.Status(ctx)
		if s.Active && s.Unready == "" {
			return
		}
		if time.Now().After(limit) {
			w.t.Fatalf("it does not work: %+v", s)
		}
	}
}

func (w *world) put(topic, key string, traceparents ...string) {
	w.t.Helper()
	r := &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte("CANARY")}
	for _, v := range traceparents {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: "traceparent", Value: []byte(v)})
	}
	if err := w.kafka.ProduceSync(w.t.Context(), r).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// results are the traceparents of n records that functions have written, by key.
func (w *world) results(n int) map[string]string {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.brokers...), kgo.ConsumeTopics("counts"), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), trace.Patience)
	defer cancel()
	got := map[string]string{}
	for len(got) < n {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			w.t.Fatalf("%d of %d results came", len(got), n)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			for _, h := range r.Headers {
				if h.Key == "traceparent" {
					got[string(r.Key)] += string(h.Value)
				}
			}
			if len(r.Headers) == 0 {
				got[string(r.Key)] = ""
			}
		})
	}
	return got
}

func attribute(s *otlp.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			if v := a.Value.GetStringValue(); v != "" {
				return v
			}
			return fmt.Sprint(a.Value.GetIntValue())
		}
	}
	return ""
}

// tree is the spans of one trace.
type tree struct {
	t     *testing.T
	spans []*otlp.Span
}

// of waits until a trace has so many spans of each name, and answers all of them.
func (w *world) of(id [16]byte, want map[string]int) *tree {
	w.t.Helper()
	tr := &tree{t: w.t}
	w.collector.All(fmt.Sprintf("trace %x", id), func(all []*otlp.Span) bool {
		tr.spans = slices.DeleteFunc(slices.Clone(all), func(s *otlp.Span) bool { return [16]byte(s.TraceId) != id })
		for name, n := range want {
			if len(tr.named(name)) < n {
				return false
			}
		}
		return true
	})
	for name, n := range want {
		if got := len(tr.named(name)); got != n {
			w.t.Errorf("trace %x has %d spans %q, want %d", id, got, name, n)
		}
	}
	for _, s := range tr.spans {
		if s.EndTimeUnixNano < s.StartTimeUnixNano || s.StartTimeUnixNano == 0 || strings.Contains(s.String(), "CANARY") {
			w.t.Errorf("span %v", s)
		}
	}
	return tr
}

func (tr *tree) named(name string) (all []*otlp.Span) {
	for _, s := range tr.spans {
		if s.Name == name {
			all = append(all, s)
		}
	}
	return all
}

// below are the spans below one.
func (tr *tree) below(parent []byte, name string) *otlp.Span {
	tr.t.Helper()
	var found *otlp.Span
	for _, s := range tr.named(name) {
		if string(s.ParentSpanId) == string(parent) && s.Status.GetCode() != otlp.Status_STATUS_CODE_ERROR {
			found = s
		}
	}
	if found == nil {
		tr.t.Fatalf("no span %q below %x", name, parent)
	}
	return found
}

const parentText = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

// TestOneTrace: one trace follows an event from the header that it came with through a chain of functions, each of which hears of its call,
// and one attempt that fails, to the commit and to the header of what is written.
func TestOneTrace(t *testing.T) {
	w := newWorld(t, 0)
	w.fails["hop3"] = 1
	w.put("chain", "k", parentText)
	parent := api.ParseTrace(parentText)
	want := map[string]int{"receive chain": 1, "wait": 11, "call test/hop3": 2, "send counts": 1} // test/count is called again: it asks for its states first
	for i := range 10 {
		if i != 3 {
			want[fmt.Sprintf("call test/hop%d", i)] = 1
		}
	}
	result := w.results(1)["k"]
	tr := w.of(parent.ID, want)
	at := tr.below(parent.Span[:], "receive chain")
	if attribute(at, "messaging.system") != "kafka" || attribute(at, "messaging.destination.name") != "chain" || attribute(at, "messaging.kafka.offset") != "0" || attribute(at, "stategate.address.id") != "k" || at.Kind != otlp.Span_SPAN_KIND_CONSUMER || at.Flags != 0x301 {
		t.Errorf("the record's span is %v", at)
	}
	for i := range 11 {
		function := fmt.Sprintf("hop%d", i)
		if i == 10 {
			function = "count"
		}
		waited := tr.below(at.SpanId, "wait")
		call := tr.below(at.SpanId, "call test/"+function)
		if attribute(waited, "stategate.function") != "test/"+function || attribute(call, "stategate.address.id") != "k" || call.Kind != otlp.Span_SPAN_KIND_CLIENT || attribute(call, "server.address") != "127.0.0.1" || attribute(call, "server.port") == "" {
			t.Errorf("%s: waited %v, called %v", function, waited, call)
		}
		if waited.EndTimeUnixNano > call.EndTimeUnixNano {
			t.Errorf("%s waited until %d, and its call ended at %d", function, waited.EndTimeUnixNano, call.EndTimeUnixNano)
		}
		w.mu.Lock()
		heard := w.requests[function]
		w.mu.Unlock()
		if want := "00-" + hex.EncodeToString(call.TraceId) + "-" + hex.EncodeToString(call.SpanId) + "-01"; len(heard) == 0 || heard[len(heard)-1] != want {
			t.Errorf("%s has heard of %q, want %q at last", function, heard, want)
		}
		at = call
	}
	commit := tr.below(at.SpanId, "commit")
	sent := tr.below(at.SpanId, "send counts")
	if attribute(commit, "stategate.commit.number") == "" || commit.EndTimeUnixNano > sent.EndTimeUnixNano || sent.Kind != otlp.Span_SPAN_KIND_PRODUCER || attribute(sent, "stategate.egress") != "test/out" {
		t.Errorf("committed %v, sent %v", commit, sent)
	}
	if want := "00-" + hex.EncodeToString(sent.TraceId) + "-" + hex.EncodeToString(sent.SpanId) + "-01"; result != want {
		t.Errorf("what was written is in %q, want %q", result, want)
	}
	failed := 0
	for _, s := range tr.named("call test/hop3") {
		if s.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR {
			failed++
			if attribute(s, "error.type") != "418" || attribute(s, "http.response.status_code") != "418" {
				t.Errorf("the failed attempt is %v", s)
			}
		}
	}
	if failed != 1 {
		t.Errorf("%d attempts at hop3 failed, want 1", failed)
	}
}

// TestSampledOut: what a parent has sampled out has no spans, whatever is sampled here, and is passed on as it came.
func TestSampledOut(t *testing.T) {
	w := newWorld(t, 1)
	out := strings.TrimSuffix(parentText, "1") + "0"
	w.put("chain", "k", out)
	if got := w.results(1)["k"]; got != out {
		t.Errorf("what was written is in %q, want %q", got, out)
	}
	w.mu.Lock()
	for function, heard := range w.requests {
		if slices.ContainsFunc(heard, func(text string) bool { return text != out }) {
			t.Errorf("%s has heard of %q, want %q", function, heard, out)
		}
	}
	w.mu.Unlock()
	w.put("events", "other")
	w.collector.All("another trace", func(all []*otlp.Span) bool {
		return slices.ContainsFunc(all, func(s *otlp.Span) bool { return s.Name == "send counts" })
	})
	for _, s := range w.collector.All("all", func([]*otlp.Span) bool { return true }) {
		if id := api.ParseTrace(out).ID; [16]byte(s.TraceId) == id {
			t.Errorf("span %v of a trace that is sampled out", s)
		}
	}
}

// TestHostileHeaders: what is no traceparent is no reason to refuse an event, and begins a trace of its own.
func TestHostileHeaders(t *testing.T) {
	w := newWorld(t, 1)
	hostile := map[string][]string{
		"none": nil, "empty": {""}, "broken": {"00-xyz"}, "huge": {strings.Repeat(parentText, 5000)}, "two": {parentText, parentText}, "upper": {strings.ToUpper(parentText)},
		"zeros": {"00-00000000000000000000000000000000-0000000000000000-01"}, "version": {"ff" + parentText[2:]},
	}
	for key, headers := range hostile {
		w.put("events", key, headers...)
	}
	for key, headers := range hostile {
		request, err := http.NewRequestWithContext(t.Context(), "POST", w.http+"/v1/send/test/count/http-"+key, strings.NewReader(`"CANARY"`))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		for _, v := range headers {
			request.Header.Add("traceparent", v[:min(len(v), 100_000)])
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusAccepted {
			t.Errorf("%s by HTTP: status %s", key, response.Status)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	results := w.results(2 * len(hostile))
	seen := map[string]string{}
	for key, text := range results {
		in := api.ParseTrace(text)
		if in == nil || !in.Sampled() || in.ID == api.ParseTrace(parentText).ID {
			t.Fatalf("%s: what was written is in %q", key, text)
		}
		if other := seen[string(in.ID[:])]; other != "" {
			t.Errorf("%s and %s are in one trace", key, other)
		}
		seen[string(in.ID[:])] = key
		first := "receive events"
		if strings.HasPrefix(key, "http-") {
			first = "POST /v1/send/{namespace}/{name}/{id}"
		}
		tr := w.of(in.ID, map[string]int{first: 1, "wait": 1, "send counts": 1})
		root := tr.named(first)[0]
		if len(root.ParentSpanId) > 0 {
			t.Errorf("%s: the first span has a parent: %v", key, root)
		}
		tr.below(root.SpanId, "call test/count")
	}
}

// TestTraceOfARequest: a request's span is below the one that its header names, and tells route and status.
func TestTraceOfARequest(t *testing.T) {
	w := newWorld(t, 0)
	request, err := http.NewRequestWithContext(t.Context(), "POST", w.http+"/v1/call/test/ask/k", strings.NewReader(`"CANARY"`))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("traceparent", parentText)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("status %s", response.Status)
	}
	parent := api.ParseTrace(parentText)
	const name = "POST /v1/call/{namespace}/{name}/{id}"
	tr := w.of(parent.ID, map[string]int{name: 1, "wait": 1})
	served := tr.below(parent.Span[:], name)
	if served.Kind != otlp.Span_SPAN_KIND_SERVER || attribute(served, "http.response.status_code") != "200" || attribute(served, "http.route") != "/v1/call/{namespace}/{name}/{id}" || attribute(served, "http.request.method") != "POST" {
		t.Errorf("the request's span is %v", served)
	}
	call := tr.below(served.SpanId, "call test/ask")
	if served.StartTimeUnixNano > call.StartTimeUnixNano || served.EndTimeUnixNano < call.EndTimeUnixNano {
		t.Error("the call is not within the request that waits for it")
	}
}
