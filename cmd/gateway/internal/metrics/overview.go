package metrics

import (
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stategate/stategate/dispatcher/machine"
)

// overviews tell what waits and what for. Of functions that have been called, and for which nothing waits, they
// tell zeroes.
type overviews struct {
	metrics   *Metrics
	endpoints *labels[string]
	ingresses *labels[string]
	origins   *labels[string]

	functions                    []ofFunction
	open, outages, calls, queued *prometheus.Desc
	partitions, paused           *prometheus.Desc
	letters, letterBytes         *prometheus.Desc
	usedBytes, limitBytes        *prometheus.Desc
	usedItems, limitItems        *prometheus.Desc
}

// ofFunction is one number of each function. Functions that share a label are joined.
type ofFunction struct {
	desc *prometheus.Desc
	of   func(w *machine.FunctionWait) float64
	join func(a, b float64) float64
}

func newOverviews(m *Metrics) *overviews {
	most := func(a, b float64) float64 { return max(a, b) }
	sum := func(a, b float64) float64 { return a + b }
	number := func(name, help string, join func(a, b float64) float64, of func(w *machine.FunctionWait) float64) ofFunction {
		return ofFunction{desc(name, help, "function"), of, join}
	}
	return &overviews{
		metrics: m, endpoints: newLabels(endpointLabelsMax, clean), ingresses: newLabels(topicLabelsMax, clean), origins: newLabels(originLabelsMax, clean),
		functions: []ofFunction{
			number("function_oldest_message_seconds", "Age of the oldest message in memory that waits or is in a call.", most, func(w *machine.FunctionWait) float64 { return seconds(w.OldestMS) }),
			number("function_oldest_call_seconds", "Age of the oldest call that is out.", most, func(w *machine.FunctionWait) float64 { return seconds(w.CallMS) }),
			number("function_kept_messages", "Messages that no source can replay, in memory and in the store.", sum, func(w *machine.FunctionWait) float64 { return float64(w.KeptMessages) }),
			number("function_kept_bytes", "Bytes of messages that no source can replay, in memory and in the store.", sum, func(w *machine.FunctionWait) float64 { return float64(w.KeptBytes) }),
			number("function_failing_addresses", "Addresses whose last call failed, until one succeeds.", sum, func(w *machine.FunctionWait) float64 { return float64(w.Failing) }),
			number("function_stuck_addresses", "Addresses that have failed for longer than the budget of their call.", sum, func(w *machine.FunctionWait) float64 { return float64(w.Stuck) }),
			number("function_failing_seconds", "For how long the address fails that has failed for longest.", most, func(w *machine.FunctionWait) float64 { return seconds(w.FailingMS) }),
			number("function_failing_attempts", "Attempts of the failing address that was tried most often.", most, func(w *machine.FunctionWait) float64 { return float64(w.Attempts) }),
		},
		open:        desc("endpoint_breaker_open", "1 while only probes are sent to the endpoint; of several that share a label, how many are so.", "endpoint"),
		outages:     desc("endpoint_outages_total", "How often the endpoint's breaker has opened. Begins anew with each incarnation.", "endpoint"),
		calls:       desc("endpoint_calls_in_flight", "Calls that are out.", "endpoint"),
		queued:      desc("endpoint_queued_addresses", "Addresses that wait for a slot of the endpoint, or for its breaker.", "endpoint"),
		partitions:  desc("ingress_partitions", "Partitions and shards that this member reads.", "ingress"),
		paused:      desc("ingress_paused_partitions", "Partitions that bring nothing for now: unfinished (functions are slower than the source), or a bound is reached: of dead_letters, of messages kept for one function (kept) or all (stored), of an outbox; or an operator has paused the ingress (operator).", "ingress", "reason"),
		letters:     desc("origin_dead_letters", "Dead letters of an ingress, a function or an egress, of which each has a bound.", "origin"),
		letterBytes: desc("origin_dead_letter_bytes", "Bytes of dead letters of an ingress, a function or an egress.", "origin"),
		usedBytes:   desc("bound_used_bytes", "What is used of a bound. Where each function, egress, origin or source has its own, the one that is used most.", "bound"),
		limitBytes:  desc("bound_limit_bytes", "The bound, as it is set.", "bound"),
		usedItems:   desc("bound_used_items", "What is used of a bound that counts things, as bound_used_bytes.", "bound"),
		limitItems:  desc("bound_limit_items", "The bound, as it is set.", "bound"),
	}
}

func (s *overviews) describe(ch chan<- *prometheus.Desc) {
	for _, f := range s.functions {
		ch <- f.desc
	}
	for _, d := range []*prometheus.Desc{
		s.open, s.outages, s.calls, s.queued, s.partitions, s.paused, s.letters, s.letterBytes, s.usedBytes, s.limitBytes, s.usedItems, s.limitItems,
	} {
		ch <- d
	}
}

func (s *overviews) collect(ch chan<- prometheus.Metric, o *machine.Overview) {
	tell := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	for _, f := range s.functions {
		for label, value := range s.byFunction(o, f) {
			tell(f.desc, value, label)
		}
	}
	s.collectEndpoints(ch, o)
	for id, in := range joined(o.Ingresses, s.ingresses, addIngress) {
		tell(s.partitions, float64(in.Partitions), id)
		for _, reason := range machine.Pauses {
			tell(s.paused, float64(in.Paused[reason]), id, reason)
		}
	}
	letters, letterBytes := map[string]int64{}, map[string]int64{}
	for _, d := range o.Dead {
		origin := s.origins.text(d.Origin)
		letters[origin] += d.Letters
		letterBytes[origin] += d.Bytes
	}
	for origin, n := range letters {
		tell(s.letters, float64(n), origin)
		tell(s.letterBytes, float64(letterBytes[origin]), origin)
	}
	for _, b := range o.Bounds {
		used, limit := s.usedBytes, s.limitBytes
		if b.Items {
			used, limit = s.usedItems, s.limitItems
		}
		tell(used, float64(b.Used), b.Name)
		tell(limit, float64(b.Limit), b.Name)
	}
}

// byFunction also tells those that have been called and for which nothing waits.
func (s *overviews) byFunction(o *machine.Overview, number ofFunction) map[string]float64 {
	functions := s.metrics.calls.functions
	out := map[string]float64{}
	for _, label := range functions.all() {
		out[label] = 0
	}
	for f, w := range o.Functions {
		label := functions.text(f)
		out[label] = number.join(out[label], number.of(&w))
	}
	return out
}

func (s *overviews) collectEndpoints(ch chan<- prometheus.Metric, o *machine.Overview) {
	type sums struct{ open, outages, calls, queued int }
	byLabel := map[string]sums{}
	for _, e := range o.Endpoints {
		label := s.endpoints.text(e.Endpoint)
		a := byLabel[label]
		if e.Open {
			a.open++
		}
		a.outages, a.calls, a.queued = a.outages+e.Outages, a.calls+e.Calls, a.queued+e.Queued
		byLabel[label] = a
	}
	for label, a := range byLabel {
		ch <- prometheus.MustNewConstMetric(s.open, prometheus.GaugeValue, float64(a.open), label)
		ch <- prometheus.MustNewConstMetric(s.outages, prometheus.CounterValue, float64(a.outages), label)
		ch <- prometheus.MustNewConstMetric(s.calls, prometheus.GaugeValue, float64(a.calls), label)
		ch <- prometheus.MustNewConstMetric(s.queued, prometheus.GaugeValue, float64(a.queued), label)
	}
}

func addIngress(a, b machine.IngressState) machine.IngressState {
	out := machine.IngressState{Partitions: a.Partitions + b.Partitions, Paused: maps.Clone(a.Paused)}
	for reason, n := range b.Paused {
		if out.Paused == nil {
			out.Paused = map[string]int{}
		}
		out.Paused[reason] += n
	}
	return out
}

// joined gives each its label; those that share one are joined, in an order of their own so that the labels do not change.
func joined[V any](of map[string]V, labels *labels[string], join func(a, b V) V) map[string]V {
	out := make(map[string]V, len(of))
	for _, k := range slices.Sorted(maps.Keys(of)) {
		label, v := labels.text(k), of[k]
		if before, ok := out[label]; ok {
			v = join(before, v)
		}
		out[label] = v
	}
	return out
}
