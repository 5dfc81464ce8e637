package metrics

import (
	"strings"
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
}

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

func newCallMetrics() callMetrics {
	return callMetrics{
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
	return commitMetrics{
		results: newLabels(resultLabelsMax, clean), reasons: newLabels(reasonLabelsMax, clean),
		duration: histogramVec("commit_duration_seconds", "How long tries of a commit took: ok, fenced, doubt, unavailable or refused.", commitBuckets, "result"),
		effects: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "commit_effects", Help: "Changes in one commit.", Buckets: prometheus.ExponentialBuckets(1, 4, 9),
		}),
		deadLetters: counterVec("dead_letters_total", "Records, messages and outputs that were set aside.", "kind", "reason"),
		restarts:    counterVec("restarts_total", "How often what was in memory was dropped: taken over, doubt, unavailable or other.", "reason"),
	}
}

func (c *commitMetrics) register(r *prometheus.Registry) {
	r.MustRegister(c.duration, c.effects, c.deadLetters, c.restarts)
}

// Dispatcher are the hooks of the dispatcher. Conditions are told by the snapshot's reasons.
func (m *Metrics) Dispatcher() dispatcher.Hooks {
	calls, commits := &m.calls, &m.commits
	return dispatcher.Hooks{
		Call: func(f api.FunctionType, result string, took time.Duration) {
			label := calls.functions.text(f)
			calls.total.WithLabelValues(label, calls.results.text(result)).Inc()
			calls.duration.WithLabelValues(label).Observe(took.Seconds())
		},
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
		return "taken over"
	case strings.Contains(reason, statestore.ErrDoubt.Error()):
		return "doubt"
	case strings.Contains(reason, statestore.ErrUnavailable.Error()):
		return "unavailable"
	}
	return other
}
