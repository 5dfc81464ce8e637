package metrics

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

func source(partition int32) api.Source {
	return api.Source{Ingress: "shop/in", Topic: "orders", Partition: partition}
}

// TestMetrics tells everything once and finds all of it in a scrape.
func TestMetrics(t *testing.T) {
	m := New("v1.2.3", "abc", "go1.26.0")
	in, out, d := m.Ingress(), m.Egress(), m.Dispatcher()
	in.Records(source(3), 5, 500)
	in.Records(source(4), 2, 100)
	in.Skipped(source(3), "null key")
	in.Lag(source(3), 40)
	in.Lag(source(3), 42)
	out.Deliveries("shop/out", "ok", 7)
	out.Deliveries("shop/out", "refused", 1)
	out.Pending("shop/out", 3, 1.5)
	cart := api.FunctionType{Namespace: "shop", Name: "cart"}
	d.Call(cart, "ok", 20*time.Millisecond)
	d.Call(cart, "ok", 2*time.Second)
	d.Call(cart, "timeout", 30*time.Second)
	d.Bulk(1)
	d.Bulk(100)
	d.Commit("ok", 3*time.Millisecond, 10)
	d.Commit("fenced", time.Second, 99)
	d.DeadLetter(&api.DeadLetter{Kind: api.DeadRecord, Reason: "null key"})
	m.SetSource(func(context.Context) Snapshot {
		return Snapshot{
			Active: true, DeadLetters: 9, Reasons: []string{"endpoint", "endpoint", "stuck"},
			Gauges: machine.Gauges{
				MailMessages: 11, MailBytes: 12, Calling: 13, Backoff: 14, CachedBytes: 15, Uncommitted: 16, Timers: 17, EventsWaiting: 26,
				OutboxRecords: map[string]int64{"shop/out": 18}, OutboxBytes: map[string]int64{"shop/out": 19}, OutboxOldestMS: map[string]int64{"shop/out": 1250},
				OldestMS: map[api.Source]int64{source(3): 2500},
				Stats:    machine.Stats{Events: 20, Replies: 27, RepliesDropped: 28, Invocations: 21, RecordsSkipped: 22, TimersFired: 23, Spilled: 24, StaleAnswers: 25},
			},
		}
	})
	got := scrape(t, m)
	const partition3 = `{ingress="shop/in",partition="3",topic="orders"}`
	for name, want := range map[string]float64{
		`stategate_build_info{commit="abc",goversion="go1.26.0",version="v1.2.3"}`:                    1,
		`stategate_ingress_records_total{ingress="shop/in",topic="orders"}`:                           7,
		`stategate_ingress_bytes_total{ingress="shop/in",topic="orders"}`:                             600,
		`stategate_ingress_records_skipped_total{ingress="shop/in",reason="null key",topic="orders"}`: 1,
		`stategate_ingress_lag_records` + partition3:                                                  42,
		`stategate_ingress_oldest_unfinished_seconds` + partition3:                                    2.5,
		`stategate_deliveries_total{egress="shop/out",result="ok"}`:                                   7,
		`stategate_deliveries_total{egress="shop/out",result="refused"}`:                              1,
		`stategate_egress_pending_outputs{egress="shop/out"}`:                                         3,
		`stategate_egress_pending_oldest_seconds{egress="shop/out"}`:                                  1.5,
		`stategate_calls_total{function="shop/cart",result="ok"}`:                                     2,
		`stategate_calls_total{function="shop/cart",result="timeout"}`:                                1,
		`stategate_call_duration_seconds_count{function="shop/cart"}`:                                 3,
		`stategate_call_duration_seconds_sum{function="shop/cart"}`:                                   32.02,
		`stategate_call_duration_seconds_bucket{function="shop/cart",le="0.025"}`:                     1,
		`stategate_request_calls_count`:                                                               2,
		`stategate_request_calls_sum`:                                                                 101,
		`stategate_request_calls_bucket{le="1"}`:                                                      1,
		`stategate_commit_duration_seconds_count{result="ok"}`:                                        1,
		`stategate_commit_duration_seconds_count{result="fenced"}`:                                    1,
		`stategate_commit_effects_sum`:                                                                10,
		`stategate_commit_effects_count`:                                                              1,
		`stategate_dead_letters_total{kind="record",reason="null key"}`:                               1,
		`stategate_dead_letters`:                                                                      9,
		`stategate_degraded{reason="endpoint"}`:                                                       2,
		`stategate_degraded{reason="stuck"}`:                                                          1,
		`stategate_role{role="active"}`:                                                               1,
		`stategate_role{role="standby"}`:                                                              0,
		`stategate_outbox_records{egress="shop/out"}`:                                                 18,
		`stategate_outbox_bytes{egress="shop/out"}`:                                                   19,
		`stategate_outbox_oldest_seconds{egress="shop/out"}`:                                          1.25,
		`stategate_mailbox_messages`:                                                                  11,
		`stategate_mailbox_bytes`:                                                                     12,
		`stategate_calls_in_flight`:                                                                   13,
		`stategate_addresses_backing_off`:                                                             14,
		`stategate_state_cache_bytes`:                                                                 15,
		`stategate_uncommitted_effects`:                                                               16,
		`stategate_timers_due_soon`:                                                                   17,
		`stategate_events_waiting`:                                                                    26,
		`stategate_events_total`:                                                                      20,
		`stategate_replies_total`:                                                                     27,
		`stategate_replies_dropped_total`:                                                             28,
		`stategate_invocations_total`:                                                                 21,
		`stategate_ingress_records_replayed_total`:                                                    22,
		`stategate_timers_fired_total`:                                                                23,
		`stategate_mailbox_spilled_total`:                                                             24,
		`stategate_stale_answers_total`:                                                               25,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s = %v (told: %v), want %v", name, value, ok, want)
		}
	}
	if count(got, "go_") == 0 || count(got, "process_") == 0 {
		t.Error("the collectors of Go and of the process are missing")
	}
}

// TestZeroes: what has nothing to tell tells zero.
func TestZeroes(t *testing.T) {
	m := New("v", "c", "g")
	m.Ingress().Lag(source(3), 0)
	m.SetSource(func(context.Context) Snapshot {
		return Snapshot{Gauges: machine.Gauges{OutboxBytes: map[string]int64{"shop/out": 0}}}
	})
	got := scrape(t, m)
	for _, name := range []string{
		`stategate_ingress_lag_records{ingress="shop/in",partition="3",topic="orders"}`, `stategate_ingress_oldest_unfinished_seconds{ingress="shop/in",partition="3",topic="orders"}`,
		`stategate_outbox_records{egress="shop/out"}`, `stategate_outbox_bytes{egress="shop/out"}`, `stategate_outbox_oldest_seconds{egress="shop/out"}`, `stategate_dead_letters`,
	} {
		if value, ok := got[name]; !ok || value != 0 {
			t.Errorf("%s = %v (told: %v), want 0", name, value, ok)
		}
	}
}

// TestRestart: lag of an earlier incarnation is not told any more, for another member may read the source.
func TestRestart(t *testing.T) {
	m := New("v", "c", "g")
	m.Ingress().Lag(source(1), 5)
	if got := scrape(t, m); count(got, "stategate_ingress_lag_records") != 1 || count(got, "stategate_role") != 0 {
		t.Errorf("got %v", got)
	}
	for reason, kind := range map[string]string{
		"commit 7: taken over by another member": "taken over", "x: outcome of the commit is unknown: y": "doubt", "store is not available": "unavailable", "hunter2": "other",
	} {
		m.Dispatcher().Restarted(reason)
		if got := scrape(t, m); got[`stategate_restarts_total{reason="`+kind+`"}`] != 1 {
			t.Errorf("%s is not counted as %s", reason, kind)
		}
	}
	if got := scrape(t, m); count(got, "stategate_ingress_lag_records") != 0 {
		t.Error("lag of an earlier incarnation is told")
	}
}

func TestManyFunctions(t *testing.T) {
	m := New("v", "c", "g")
	call := m.Dispatcher().Call
	const functions, rounds = 5000, 3
	for range rounds {
		for i := range functions {
			call(api.FunctionType{Namespace: "n", Name: fmt.Sprint(i)}, "ok", time.Millisecond)
		}
	}
	got := scrape(t, m)
	if n := count(got, "stategate_calls_total{"); n != functionLabelsMax+1 {
		t.Errorf("%d series of calls, want %d", n, functionLabelsMax+1)
	}
	if n := len(m.calls.tallies); n != functionLabelsMax {
		t.Errorf("%d kinds of calls are remembered, want %d", n, functionLabelsMax)
	}
	if n := count(got, "stategate_call_duration_seconds_count{"); n != functionLabelsMax+1 {
		t.Errorf("%d histograms of calls, want %d", n, functionLabelsMax+1)
	}
	if n := got[`stategate_calls_total{function="other",result="ok"}`]; n != rounds*(functions-functionLabelsMax) {
		t.Errorf("%v calls of others", n)
	}
	if n := got[`stategate_calls_total{function="n/0",result="ok"}`]; n != rounds {
		t.Errorf("%v calls of the first", n)
	}
}

// hostile are names that nobody should use and somebody will.
var hostile = []string{
	"", " ", `"`, `\`, "\n", "a\"b\\c\nd", "\x00\x01", "\xff\xfe", "ünï", "{}", `",le="+Inf"} 1` + "\n", "# HELP x", strings.Repeat("x", 1000), strings.Repeat("ü", 500),
	strings.Repeat("y", labelBytesMax-1) + "ü", "\u202e", "\r\n",
}

func TestHostileNames(t *testing.T) {
	m := New("\"\n\xff", strings.Repeat("c", 10_000), "")
	in, out, d := m.Ingress(), m.Egress(), m.Dispatcher()
	snapshot := Snapshot{Gauges: machine.Gauges{
		OutboxRecords: map[string]int64{}, OutboxBytes: map[string]int64{}, OutboxOldestMS: map[string]int64{}, OldestMS: map[api.Source]int64{},
	}}
	var calls float64
	for _, a := range hostile {
		for _, b := range hostile {
			d.Call(api.FunctionType{Namespace: a, Name: b}, b, -time.Second)
			calls++
			s := api.Source{Ingress: a, Topic: b, Partition: -1}
			in.Records(s, 1, 1)
			in.Skipped(s, b)
			in.Lag(s, 1)
			snapshot.Gauges.OldestMS[s] = 1000
		}
		out.Deliveries(a, a, 1)
		out.Pending(a, 1, 1)
		d.Commit(a, time.Second, -1)
		d.DeadLetter(&api.DeadLetter{Kind: 77, Reason: a})
		d.Restarted(a)
		for _, s := range hostile {
			in.Lag(api.Source{Ingress: a, Topic: s}, 1)
		}
		snapshot.Reasons = append(snapshot.Reasons, a)
		snapshot.Gauges.OutboxRecords[a], snapshot.Gauges.OutboxBytes[a], snapshot.Gauges.OutboxOldestMS[a] = 1, 1, 1
	}
	m.SetSource(func(context.Context) Snapshot { return snapshot })
	got := scrape(t, m)
	var told, outbox float64
	for name, value := range got {
		if strings.HasPrefix(name, "stategate_calls_total{") {
			told += value
		}
		if strings.HasPrefix(name, "stategate_outbox_records{") {
			outbox += value
		}
	}
	if told != calls || outbox != float64(len(hostile)) {
		t.Errorf("%v of %v calls are told, %v of %d outbox records", told, calls, outbox, len(hostile))
	}
	if got[`stategate_ingress_oldest_unfinished_seconds{ingress="ünï",partition="-1",topic="# HELP x"}`] != 1 {
		t.Error("a partition is missing")
	}
}

// TestManyPartitions: what is beyond the bound is joined and not left out.
func TestManyPartitions(t *testing.T) {
	m := New("v", "c", "g")
	oldest := map[api.Source]int64{}
	const partitions = partitionLabelsMax + 500
	for i := range int32(partitions) {
		m.Ingress().Lag(source(i), 2)
		oldest[source(i)] = 1000
	}
	m.SetSource(func(context.Context) Snapshot { return Snapshot{Gauges: machine.Gauges{OldestMS: oldest}} })
	const others = `{ingress="other",partition="other",topic="other"}`
	got := scrape(t, m)
	if n, sum := count(got, "stategate_ingress_lag_records{"), got["stategate_ingress_lag_records"+others]; n != partitionLabelsMax+1 || sum != 1000 {
		t.Errorf("%d series, %v of others", n, sum)
	}
	if n, oldest := count(got, "stategate_ingress_oldest_unfinished_seconds{"), got["stategate_ingress_oldest_unfinished_seconds"+others]; n != partitionLabelsMax+1 || oldest != 1 {
		t.Errorf("%d series, %v of others", n, oldest)
	}
}

// TestReasonsAreBounded: a reason that holds an id by mistake does not fill the memory.
func TestReasonsAreBounded(t *testing.T) {
	m := New("v", "c", "g")
	for i := range 10_000 {
		m.Dispatcher().DeadLetter(&api.DeadLetter{Kind: api.DeadMessage, Reason: fmt.Sprint(i)})
		m.Ingress().Skipped(source(0), fmt.Sprint(i))
	}
	got := scrape(t, m)
	for _, name := range []string{"stategate_dead_letters_total{", "stategate_ingress_records_skipped_total{"} {
		if n := count(got, name); n != reasonLabelsMax+1 {
			t.Errorf("%d series of %s", n, name)
		}
	}
}

// TestLookIsBounded: a gateway that hangs does not hold a scrape for longer than a moment.
func TestLookIsBounded(t *testing.T) {
	m := New("v", "c", "g")
	var left time.Duration
	m.SetSource(func(ctx context.Context) Snapshot {
		deadline, _ := ctx.Deadline()
		left = time.Until(deadline)
		return Snapshot{}
	})
	if got := scrape(t, m); got[`stategate_role{role="standby"}`] != 1 {
		t.Error("the role is missing")
	}
	if left <= 0 || left > lookMax {
		t.Errorf("the look may take %s, want at most %s", left, lookMax)
	}
}

func TestConcurrentUse(t *testing.T) {
	m := New("v", "c", "g")
	m.SetSource(func(context.Context) Snapshot { return Snapshot{} })
	var wait sync.WaitGroup
	const goroutines, each = 8, 100
	for g := range goroutines {
		wait.Go(func() {
			for i := range each {
				m.Dispatcher().Call(api.FunctionType{Namespace: "n", Name: fmt.Sprint(i * g)}, "ok", time.Millisecond)
				m.Ingress().Lag(source(int32(i)), 1)
				m.Dispatcher().Restarted("x")
			}
		})
	}
	wait.Go(func() {
		for range 5 {
			scrape(t, m)
		}
	})
	wait.Wait()
	if got := scrape(t, m)[`stategate_restarts_total{reason="other"}`]; got != goroutines*each {
		t.Errorf("%v restarts", got)
	}
}

func TestClean(t *testing.T) {
	for _, s := range hostile {
		got := clean(s)
		if !utf8.ValidString(got) || len(got) > labelBytesMax || strings.ContainsFunc(got, unicode.IsControl) || clean(got) != got {
			t.Errorf("clean(%.40q) = %q", s, got)
		}
	}
	for given, want := range map[string]string{"shop/cart": "shop/cart", "ünï": "ünï", "a\x00\xffb": "a\ufffd\ufffdb", strings.Repeat("z", 128): strings.Repeat("z", 128)} {
		if got := clean(given); got != want {
			t.Errorf("clean(%q) = %q, want %q", given, got, want)
		}
	}
}

func BenchmarkCall(b *testing.B) {
	call := New("v", "c", "g").Dispatcher().Call
	f := api.FunctionType{Namespace: "shop", Name: "cart"}
	b.ReportAllocs()
	for b.Loop() {
		call(f, "ok", time.Millisecond)
	}
}
