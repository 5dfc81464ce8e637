// Package metrics turns what the engine's hooks report into Prometheus metrics. It is the only place that knows the metrics
// library. It decides nothing, and puts neither an id nor a payload into a label.
package metrics

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/stategate/stategate/api"
)

// Bounds of labels: what has more values than that shows the rest as "other".
const (
	functionLabelsMax  = 1000
	partitionLabelsMax = 1000
	topicLabelsMax     = 1000
	egressLabelsMax    = 1000
	endpointLabelsMax  = 1000
	originLabelsMax    = 1000
	resultLabelsMax    = 50
	reasonLabelsMax    = 100
)

// scrapesMax is how many scrapes are answered at a time; more get a 503.
const scrapesMax = 4

// Metrics is a registry with everything that the gateway measures.
type Metrics struct {
	registry *prometheus.Registry
	ingress  ingressMetrics
	egress   egressMetrics
	calls    *callMetrics
	commits  commitMetrics
	lines    *prometheus.CounterVec
	spans    prometheus.Counter
	look     atomic.Pointer[Look]
}

// New makes the metrics of one gateway. version, commit and goVersion name the program.
func New(version, commit, goVersion string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.ingress = newIngressMetrics()
	m.egress = newEgressMetrics()
	m.calls = newCallMetrics()
	m.commits = newCommitMetrics()
	build := gaugeVec("build_info", "Always 1; which program this is.", "version", "commit", "goversion")
	build.WithLabelValues(clean(version), clean(commit), clean(goVersion)).Set(1)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build, newSnapshots(m))
	m.lines = counterVec("log_lines_total", "Lines of the log, by level.", "level")
	for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		m.lines.WithLabelValues(levelLabel(level)) // told from the start: the first line must be an increase
	}
	m.spans = prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: "trace_spans_dropped_total", Help: "Spans of traces that the collector did not get."})
	m.registry.MustRegister(m.lines, m.spans)
	m.ingress.register(m.registry)
	m.egress.register(m.registry)
	m.calls.register(m.registry)
	m.commits.register(m.registry)
	return m
}

// Handler answers scrapes. A metric that cannot be told is left out, with a line in the log; the others are told.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: scrapesMax,
		ErrorLog: scrapeLog{slog.Default()},
	})
}

// scrapeLog takes what goes wrong in a scrape. That whoever scrapes has closed the connection is nobody's trouble here.
type scrapeLog struct{ log *slog.Logger }

func (l scrapeLog) Println(said ...any) {
	text := strings.TrimSpace(fmt.Sprintln(said...))
	for _, s := range said {
		if err, is := s.(error); is && (errors.As(err, new(*net.OpError)) || errors.Is(err, net.ErrClosed)) {
			l.log.Debug("metrics: whoever scrapes has gone", "error", text)
			return
		}
	}
	l.log.Warn("metrics: a metric cannot be told", "error", text)
}

// Logged counts a line of the log.
func (m *Metrics) Logged(level slog.Level) { m.lines.WithLabelValues(levelLabel(level)).Inc() }

// SpansDropped counts spans of traces that are dropped.
func (m *Metrics) SpansDropped(n int) { m.spans.Add(float64(n)) }

func levelLabel(level slog.Level) string {
	switch {
	case level >= slog.LevelError:
		return "error"
	case level >= slog.LevelWarn:
		return "warn"
	case level >= slog.LevelInfo:
		return "info"
	}
	return "debug"
}

const namespace = "stategate"

func counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func gaugeVec(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, labels)
}

func histogramVec(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: namespace, Name: name, Help: help, Buckets: buckets}, labels)
}

func functionLabel(f api.FunctionType) string { return clean(f.String()) }
