package metrics

import (
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/statestore"
)

type callMetrics struct {
	functions *labels[api.FunctionType]
	results   *labels[string]

	total    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	together prometheus.Histogram

	mu      sync.RWMutex
	tallies map[callKind]callTally // of those that have labels of their own; guarded by mu
}

// callKind is what calls are counted by, and callTally where: to find it by labels costs more than to count.
type (
	callKind struct {
		function api.FunctionType
		result   string
	}
	callTally struct {
		total    prometheus.Counter
		duration prometheus.Observer
	}
)

type commitMetrics struct {
	results *labels[string]
	reasons *labels[string]

	duration    *prometheus.HistogramVec
	effects     prometheus.Histogram
	deadLetters *prometheus.CounterVec
	restarts    *prometheus.CounterVec
}

// Buckets are few where a label multiplies them.
var (
	callBuckets   = []float64{0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30}
	commitBuckets = []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5}
)

func newCallMetrics() *callMetrics {
	return &callMetrics{
		tallies:   map[callKind]callTally{},
		functions: newLabels(functionLabelsMax, functionLabel), results: newLabels(resultLabelsMax, clean),
		total: counterVec("calls_total", "Calls that have ended: ok, incomplete (asked for states), or the kind of failure.", "function", "result"),
		duration: histogramVec("call_duration_seconds", "How long calls took, good or not.",
			callBuckets, "function"),
		together: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "request_calls", Help: "Calls in one request to a function: 1 where it goes alone.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 7),
		}),
	}
}

func (c *callMetrics) register(r *prometheus.Registry) {
	r.MustRegister(c.total, c.duration, c.together)
}

func newCommitMetrics() commitMetrics {
	c := commitMetrics{
		results: newLabels(resultLabelsMax, clean), reasons: newLabels(reasonLabelsMax, clean),
		duration: histogramVec("commit_duration_seconds", "How long tries of a commit took: ok, fenced, doubt, unavailable or refused.", commitBuckets, "result"),
		effects: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "commit_effects", Help: "Changes in one commit.", Buckets: prometheus.ExponentialBuckets(1, 4, 9),
		}),
		deadLetters: counterVec("dead_letters_total", "Records, messages and outputs that were set aside.", "kind", "reason"),
		restarts:    counterVec("restarts_total", "How often what was in memory was dropped: taken over, doubt, unavailable or other.", "reason"),
	}
	for _, reason := range []string{takenOver, doubt, unavailable, other} {
		c.restarts.WithLabelValues(reason) // told from the start: the first one must be an increase
	}
	return c
}

// Why memory was dropped.
const (
	takenOver   = "taken over"
	doubt       = "doubt"
	unavailable = "unavailable"
)

func (c *commitMetrics) register(r *prometheus.Registry) {
	r.MustRegister(c.duration, c.effects, c.deadLetters, c.restarts)
}

// ended counts a call.
func (c *callMetrics) ended(kind callKind, took time.Duration) {
	c.mu.RLock()
	t, ok := c.tallies[kind]
	c.mu.RUnlock()
	if !ok {
		t = c.tally(kind)
	}
	t.total.Inc()
	t.duration.Observe(took.Seconds())
}

// tally remembers where calls of a kind are counted, unless it shares that with others: of those there is no end.
func (c *callMetrics) tally(kind callKind) callTally {
	function, ownFunction := c.functions.of(kind.function)
	result, ownResult := c.results.of(kind.result)
	t := callTally{total: c.total.WithLabelValues(function, result), duration: c.duration.WithLabelValues(function)}
	if ownFunction && ownResult {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.tallies[kind] = t
	}
	return t
}

// Dispatcher are the hooks of the dispatcher. Conditions are told by the snapshot's reasons.
func (m *Metrics) Dispatcher() dispatcher.Hooks {
	calls, commits := m.calls, &m.commits
	return dispatcher.Hooks{
		Call: func(f api.FunctionType, result string, took time.Duration) { calls.ended(callKind{f, result}, took) },
		Bulk: func(n int) { calls.together.Observe(float64(n)) },
		Commit: func(result string, took time.Duration, effects int) {
			commits.duration.WithLabelValues(commits.results.text(result)).Observe(took.Seconds())
			if result == "ok" {
				commits.effects.Observe(float64(effects))
			}
		},
		DeadLetter: func(d *api.DeadLetter) {
			commits.deadLetters.WithLabelValues(d.Kind.String(), commits.reasons.text(d.Reason)).Inc()
		},
		Restarted: func(reason string) {
			commits.restarts.WithLabelValues(restartKind(reason)).Inc()
			m.ingress.lag.forget()
		},
	}
}

// restartKind makes a label of a text that may hold anything.
func restartKind(reason string) string {
	switch {
	case strings.Contains(reason, statestore.ErrFenced.Error()):
		return takenOver
	case strings.Contains(reason, statestore.ErrDoubt.Error()):
		return doubt
	case strings.Contains(reason, statestore.ErrUnavailable.Error()):
		return unavailable
	}
	return other
}
