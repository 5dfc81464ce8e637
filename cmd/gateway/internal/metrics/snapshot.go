package metrics

import (
	"context"
	"maps"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

// Snapshot is what a scrape looks at, in place of being told.
type Snapshot struct {
	Active      bool             // this member works; otherwise it waits
	Ready       bool             // it neither starts nor drains, and has the store
	Gauges      machine.Gauges   // zero on a standby
	Overview    machine.Overview // zero on a standby
	DeadLetters uint64           // that the store keeps
	Reasons     []string         // the kind of each condition that operators must know of
}

// Look answers a snapshot before its context ends.
type Look func(context.Context) Snapshot

// lookMax bounds a look: a scrape must not hang with the gateway.
const lookMax = 2 * time.Second

// SetSource says where scrapes look. Until then they tell only what hooks have counted.
func (m *Metrics) SetSource(look Look) { m.look.Store(&look) }

// snapshots tells a snapshot at each scrape.
type snapshots struct {
	metrics    *Metrics
	overviews  *overviews
	partitions *labels[api.Source]
	egresses   *labels[string]
	reasons    *labels[string]

	role, ready, deadLetters, degraded       *prometheus.Desc
	lag, unfinished                          *prometheus.Desc
	outboxRecords, outboxBytes, outboxOldest *prometheus.Desc
	plain                                    []plain
}

// plain is a number without labels.
type plain struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(g *machine.Gauges) float64
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
}

func newSnapshots(m *Metrics) *snapshots {
	gauge := func(name, help string, of func(g *machine.Gauges) float64) plain {
		return plain{desc(name, help), prometheus.GaugeValue, of}
	}
	counter := func(name, help string, of func(g *machine.Gauges) float64) plain {
		return plain{desc(name, help+" Begins anew with each incarnation."), prometheus.CounterValue, of}
	}
	return &snapshots{
		metrics: m, overviews: newOverviews(m), partitions: newLabels(partitionLabelsMax, func(api.Source) string { return "" }),
		egresses: newLabels(egressLabelsMax, clean), reasons: newLabels(reasonLabelsMax, clean),
		role:          desc("role", "1 for the role that this member has.", "role"),
		ready:         desc("ready", "1 unless this member starts, drains or lacks the store; /readyz says which."),
		deadLetters:   desc("dead_letters", "Dead letters that the store keeps."),
		degraded:      desc("degraded", "How many conditions of this kind operators should know of; /readyz tells them.", "reason"),
		lag:           desc("ingress_lag_records", "Records between what is committed as finished and the end of the partition.", "ingress", "topic", "partition"),
		unfinished:    desc("ingress_oldest_unfinished_seconds", "Age of the oldest record that only the source can replay.", "ingress", "topic", "partition"),
		outboxRecords: desc("outbox_records", "Committed outputs that are not delivered.", "egress"),
		outboxBytes:   desc("outbox_bytes", "Bytes of committed outputs that are not delivered.", "egress"),
		outboxOldest:  desc("outbox_oldest_seconds", "Age of the oldest committed output that is not delivered.", "egress"),
		plain: []plain{
			gauge("mailbox_messages", "Messages that wait or are in a call, in memory and in the store.", func(g *machine.Gauges) float64 { return float64(g.MailMessages) }),
			gauge("mailbox_bytes", "Memory of messages that wait or are in a call.", func(g *machine.Gauges) float64 { return float64(g.MailBytes) }),
			gauge("calls_in_flight", "Calls that are out.", func(g *machine.Gauges) float64 { return float64(g.Calling) }),
			gauge("addresses_backing_off", "Addresses that wait for their next attempt.", func(g *machine.Gauges) float64 { return float64(g.Backoff) }),
			gauge("state_cache_bytes", "Memory of the state of addresses at rest.", func(g *machine.Gauges) float64 { return float64(g.CachedBytes) }),
			gauge("uncommitted_effects", "Effects that wait for a commit.", func(g *machine.Gauges) float64 { return float64(g.Uncommitted) }),
			gauge("timers_due_soon", "Delayed messages in memory.", func(g *machine.Gauges) float64 { return float64(g.Timers) }),
			gauge("events_waiting", "Messages from outside that have found no room yet.", func(g *machine.Gauges) float64 { return float64(g.EventsWaiting) }),
			counter("events_total", "Messages from outside that were taken.", func(g *machine.Gauges) float64 { return float64(g.Events) }),
			counter("replies_total", "Replies to requests from outside.", func(g *machine.Gauges) float64 { return float64(g.Replies) }),
			counter("replies_dropped_total", "Replies for which nobody waited: second ones, late ones, and those to nobody.", func(g *machine.Gauges) float64 { return float64(g.RepliesDropped) }),
			counter("invocations_total", "Messages that functions have taken.", func(g *machine.Gauges) float64 { return float64(g.Invocations) }),
			counter("ingress_records_replayed_total", "Records that came again and were finished already.", func(g *machine.Gauges) float64 { return float64(g.RecordsSkipped) }),
			counter("timers_fired_total", "Delayed messages that have become due.", func(g *machine.Gauges) float64 { return float64(g.TimersFired) }),
			counter("mailbox_spilled_total", "Mailboxes moved from memory to the store.", func(g *machine.Gauges) float64 { return float64(g.Spilled) }),
			counter("stale_answers_total", "Answers to an earlier incarnation, which were ignored.", func(g *machine.Gauges) float64 { return float64(g.StaleAnswers) }),
		},
	}
}

// Describe names every metric.
func (s *snapshots) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{s.role, s.ready, s.deadLetters, s.degraded, s.lag, s.unfinished, s.outboxRecords, s.outboxBytes, s.outboxOldest} {
		ch <- d
	}
	for _, p := range s.plain {
		ch <- p.desc
	}
	s.overviews.describe(ch)
}

// Collect looks once and tells what it saw.
func (s *snapshots) Collect(ch chan<- prometheus.Metric) {
	tell := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	lag := s.metrics.ingress.lag.all()
	for p, n := range s.byPartition(lag, sum) {
		tell(s.lag, float64(n), p.ingress, p.topic, p.number)
	}
	look := s.metrics.look.Load()
	if look == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookMax)
	defer cancel()
	now := (*look)(ctx)
	tell(s.role, number(now.Active), "active")
	tell(s.role, number(!now.Active), "standby")
	tell(s.ready, number(now.Ready))
	tell(s.deadLetters, float64(now.DeadLetters))
	reasons := map[string]float64{}
	for _, r := range now.Reasons {
		reasons[s.reasons.text(r)]++
	}
	for r, n := range reasons {
		tell(s.degraded, n, r)
	}
	for p, ms := range s.byPartition(withZeroes(now.Gauges.OldestMS, lag), older) {
		tell(s.unfinished, seconds(ms), p.ingress, p.topic, p.number)
	}
	for egress, n := range s.byEgress(withZeroes(now.Gauges.OutboxRecords, now.Gauges.OutboxBytes), sum) {
		tell(s.outboxRecords, float64(n), egress)
	}
	for egress, n := range s.byEgress(now.Gauges.OutboxBytes, sum) {
		tell(s.outboxBytes, float64(n), egress)
	}
	for egress, ms := range s.byEgress(withZeroes(now.Gauges.OutboxOldestMS, now.Gauges.OutboxBytes), older) {
		tell(s.outboxOldest, seconds(ms), egress)
	}
	s.overviews.collect(ch, &now.Overview)
	for _, p := range s.plain {
		ch <- prometheus.MustNewConstMetric(p.desc, p.kind, p.of(&now.Gauges))
	}
}

// byPartition gives each source its labels; those that share them are joined, for a metric may be told only once.
func (s *snapshots) byPartition(of map[api.Source]int64, join func(a, b int64) int64) map[partition]int64 {
	out := make(map[partition]int64, min(len(of), partitionLabelsMax+1))
	for source, n := range of {
		p := otherPartition
		if _, ok := s.partitions.of(source); ok {
			p = partitionOf(source)
		}
		if before, ok := out[p]; ok {
			n = join(before, n)
		}
		out[p] = n
	}
	return out
}

func (s *snapshots) byEgress(of map[string]int64, join func(a, b int64) int64) map[string]int64 {
	out := make(map[string]int64, len(of))
	for id, n := range of {
		label := s.egresses.text(id)
		if before, ok := out[label]; ok {
			n = join(before, n)
		}
		out[label] = n
	}
	return out
}

// withZeroes adds what is known elsewhere: a gauge that is there only while it is above zero cannot be told from one that is
// not told at all.
func withZeroes[K comparable](of, known map[K]int64) map[K]int64 {
	out := make(map[K]int64, len(known))
	for k := range known {
		out[k] = 0
	}
	maps.Copy(out, of)
	return out
}

func sum(a, b int64) int64 { return a + b }

func older(a, b int64) int64 { return max(a, b) }

func seconds(ms int64) float64 { return float64(ms) / 1000 }

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
