package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/stategate/stategate/egress"
)

type egressMetrics struct {
	ids     *labels[string]
	results *labels[string]

	deliveries *prometheus.CounterVec
	pending    *prometheus.GaugeVec
	oldest     *prometheus.GaugeVec
}

func newEgressMetrics() egressMetrics {
	return egressMetrics{
		ids: newLabels(egressLabelsMax, clean), results: newLabels(resultLabelsMax, clean),
		deliveries: counterVec("deliveries_total", "Outputs that were acknowledged (ok), set aside (refused), found delivered by a recovery (skipped), or left out as an operator has decided (left_out).", "egress", "result"),
		pending:    gaugeVec("egress_pending_outputs", "Outputs that the relay knows of and has not delivered.", "egress"),
		oldest:     gaugeVec("egress_pending_oldest_seconds", "Age of the oldest output that the relay knows of and has not delivered.", "egress"),
	}
}

func (e *egressMetrics) register(r *prometheus.Registry) {
	r.MustRegister(e.deliveries, e.pending, e.oldest)
}

// Egress are the hooks of all egresses. Conditions are told by the snapshot's reasons.
func (m *Metrics) Egress() egress.Hooks {
	e := &m.egress
	return egress.Hooks{
		Deliveries: func(id, result string, n int) {
			e.deliveries.WithLabelValues(e.ids.text(id), e.results.text(result)).Add(float64(n))
		},
		Pending: func(id string, outputs int64, oldestSeconds float64) {
			label := e.ids.text(id)
			e.pending.WithLabelValues(label).Set(float64(outputs))
			e.oldest.WithLabelValues(label).Set(oldestSeconds)
		},
	}
}
