package metrics

import (
	"maps"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/ingress"
)

// topic is a source without its partition: counters are told for each, for a topic may have thousands of partitions.
type topic struct{ ingress, name string }

type ingressMetrics struct {
	topics  *labels[topic]
	reasons *labels[string]

	records *prometheus.CounterVec
	bytes   *prometheus.CounterVec
	skipped *prometheus.CounterVec
	lag     *lags
}

// lags are the last reports of lag. They end with the incarnation: another member may read the source from then on.
type lags struct {
	mu       sync.Mutex
	bySource map[api.Source]int64 // guarded by mu
}

func newIngressMetrics() ingressMetrics {
	return ingressMetrics{
		topics:  newLabels(topicLabelsMax, func(t topic) string { return clean(t.name) }),
		reasons: newLabels(reasonLabelsMax, clean),
		records: counterVec("ingress_records_total", "Records read, before anything is decided about them.", "ingress", "topic"),
		bytes:   counterVec("ingress_bytes_total", "Bytes of records read.", "ingress", "topic"),
		skipped: counterVec("ingress_records_skipped_total", "Records that the module says to skip.", "ingress", "topic", "reason"),
		lag:     &lags{bySource: map[api.Source]int64{}},
	}
}

func (i *ingressMetrics) register(r *prometheus.Registry) {
	r.MustRegister(i.records, i.bytes, i.skipped)
}

// labels are those of a source's topic.
func (i *ingressMetrics) labels(s api.Source) (ingress, topicName string) {
	name, ok := i.topics.of(topic{s.Ingress, s.Topic})
	if !ok {
		return other, other
	}
	return clean(s.Ingress), name
}

// Ingress are the hooks of all ingresses. Conditions are told by the snapshot's reasons.
func (m *Metrics) Ingress() ingress.Hooks {
	i := &m.ingress
	return ingress.Hooks{
		Records: func(s api.Source, records, bytes int) {
			id, name := i.labels(s)
			i.records.WithLabelValues(id, name).Add(float64(records))
			i.bytes.WithLabelValues(id, name).Add(float64(bytes))
		},
		Skipped: func(s api.Source, reason string) {
			id, name := i.labels(s)
			i.skipped.WithLabelValues(id, name, i.reasons.text(reason)).Inc()
		},
		Lag: func(s api.Source, records int64) {
			i.lag.mu.Lock()
			defer i.lag.mu.Unlock()
			i.lag.bySource[s] = records
		},
	}
}

func (l *lags) all() map[api.Source]int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.bySource)
}

func (l *lags) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.bySource)
}

// partition are the labels of a source.
type partition struct{ ingress, topic, number string }

func partitionOf(s api.Source) partition {
	return partition{clean(s.Ingress), clean(s.Topic), strconv.Itoa(int(s.Partition))}
}

var otherPartition = partition{other, other, other}
