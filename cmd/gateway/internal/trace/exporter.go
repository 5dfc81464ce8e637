package trace

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	collector "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	resource "go.opentelemetry.io/proto/slim/otlp/resource/v1"
	otlp "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// Bounds of what waits for the collector, and of how long it is waited for.
const (
	queueMax       = 8192 // spans
	batchMax       = 512  // spans in one request
	batchWait      = time.Second
	postTimeMax    = 10 * time.Second
	triesMax       = 4
	retryFirst     = time.Second // doubles
	retryMax       = 30 * time.Second
	flushMax       = 3 * time.Second // at the end
	answerBytesMax = 64 << 10
)

// exporter sends spans.
type exporter struct {
	settings Settings
	resource *resource.Resource
	scope    *common.InstrumentationScope
	queue    chan *span
	client   *http.Client
	log      *slog.Logger
	dropped  func(n int) // counts

	full    atomic.Int64 // spans for which the queue had no room
	lost    int64        // of all, as far as the log was told; Run's own
	seen    int64        // of full; Run's own
	trouble bool         // the log was told; Run's own

	batchWait, retryFirst time.Duration // tests quicken them
}

func newExporter(s Settings, version, instance, host string, log *slog.Logger, dropped func(n int)) *exporter {
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, MaxIdleConns: 1, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: postTimeMax,
		TLSClientConfig:        &tls.Config{RootCAs: s.Roots, MinVersion: tls.VersionTLS12},
		MaxResponseHeaderBytes: 64 << 10,
	}
	e := &exporter{
		settings: s, queue: make(chan *span, queueMax), log: log, dropped: dropped, batchWait: batchWait, retryFirst: retryFirst,
		resource: &resource.Resource{}, scope: &common.InstrumentationScope{Name: "github.com/stategate/stategate", Version: version},
		client: &http.Client{Transport: transport, Timeout: postTimeMax, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // headers may hold keys, which are for nobody else
		}},
	}
	known := map[string]bool{}
	for _, p := range append([][2]string{{"service.name", s.Service}}, append(s.Resource,
		[2]string{"service.version", version}, [2]string{"service.instance.id", instance}, [2]string{"host.name", host})...) {
		if !known[p[0]] { // what the deployment says counts
			known[p[0]] = true
			e.resource.Attributes = append(e.resource.Attributes, text(p[0], p[1]).message())
		}
	}
	return e
}

// add never waits: where there is no room the span is dropped.
func (e *exporter) add(s *span) {
	select {
	case e.queue <- s:
	default:
		e.full.Add(1)
		e.dropped(1)
	}
}

// run sends spans until ctx ends, and then for a moment what is there.
func (e *exporter) run(ctx context.Context) {
	defer e.client.CloseIdleConnections()
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(flushMax, end) })()
	var batch []*span
	for {
		batch = e.gather(ctx, batch[:0])
		if ctx.Err() != nil {
			break
		}
		e.send(life, batch)
		clear(batch)
	}
	for {
		for len(batch) < batchMax && len(e.queue) > 0 {
			batch = append(batch, <-e.queue)
		}
		if len(batch) == 0 {
			return
		}
		e.send(life, batch)
		batch = batch[:0]
	}
}

// gather waits for a batch.
func (e *exporter) gather(ctx context.Context, batch []*span) []*span {
	var late <-chan time.Time
	for len(batch) < batchMax {
		select {
		case s := <-e.queue:
			if batch = append(batch, s); len(batch) == 1 {
				timer := time.NewTimer(e.batchWait)
				defer timer.Stop()
				late = timer.C
			}
		case <-late:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// send brings a batch to the collector or drops it.
func (e *exporter) send(ctx context.Context, batch []*span) {
	spans := make([]*otlp.Span, len(batch))
	for i, s := range batch {
		spans[i] = s.message()
	}
	body, err := proto.Marshal(&collector.ExportTraceServiceRequest{ResourceSpans: []*otlp.ResourceSpans{{
		Resource: e.resource, ScopeSpans: []*otlp.ScopeSpans{{Scope: e.scope, Spans: spans}},
	}}})
	rejected := 0
	if err == nil {
		rejected, err = e.deliver(ctx, body, len(batch))
	}
	if err != nil {
		rejected = max(rejected, len(batch))
	}
	if rejected > 0 {
		e.dropped(rejected)
		if err == nil {
			err = errors.New("the collector has rejected some")
		}
	}
	full := e.full.Load()
	if lacked := full - e.seen; lacked > 0 && err == nil {
		err = fmt.Errorf("more come than the collector takes: %d wait", queueMax)
	}
	e.lost += int64(rejected) + full - e.seen
	e.seen = full
	e.say(err)
}

// say tells the log when spans begin to be dropped, and when none are any more.
func (e *exporter) say(cause error) {
	switch {
	case cause != nil && !e.trouble:
		e.log.Warn("traces: spans are dropped", "endpoint", e.settings.Endpoint, "error", cause)
	case cause == nil && e.trouble:
		e.log.Info("traces: spans are taken again", "endpoint", e.settings.Endpoint, "dropped", e.lost)
		e.lost = 0
	}
	e.trouble = cause != nil
}

// passing is a failure after which the same may be sent again.
type passing struct {
	error
	after time.Duration // that the collector has asked for
}

// deliver posts until the collector has taken it, or says that it never will, or for too long.
func (e *exporter) deliver(ctx context.Context, body []byte, count int) (rejected int, err error) {
	wait := e.retryFirst
	for try := 1; ; try++ {
		rejected, err = e.post(ctx, body, count)
		var again *passing
		if !errors.As(err, &again) || try == triesMax {
			return rejected, err
		}
		timer := time.NewTimer(min(max(wait, again.after), retryMax))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return 0, err
		}
		wait *= 2
	}
}

// post makes one request.
func (e *exporter) post(ctx context.Context, body []byte, count int) (rejected int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.settings.Endpoint, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	for name, values := range e.settings.Header {
		request.Header[name] = values
	}
	request.Header.Set("Content-Type", "application/x-protobuf")
	response, err := e.client.Do(request)
	if err != nil {
		return 0, &passing{error: err}
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(response.Body, answerBytesMax))
	switch status := response.StatusCode; {
	case status == http.StatusTooManyRequests, status >= http.StatusBadGateway && status <= http.StatusGatewayTimeout:
		seconds, _ := strconv.ParseUint(response.Header.Get("Retry-After"), 10, 16)
		return 0, &passing{fmt.Errorf("status %d %s", status, http.StatusText(status)), time.Duration(seconds) * time.Second}
	case status < 200 || status > 299:
		return 0, fmt.Errorf("status %d %s", status, http.StatusText(status))
	case err != nil:
		return 0, nil // it was taken; what else it says does not matter
	}
	var said collector.ExportTraceServiceResponse
	if proto.Unmarshal(answer, &said) == nil {
		rejected = int(min(max(said.GetPartialSuccess().GetRejectedSpans(), 0), int64(count)))
	}
	return rejected, nil
}
