package metrics

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// everything is the metrics of a gateway that has seen each thing there is to tell.
func everything() *Metrics {
	m := New("v1.2.3", "abc", "go1.26.0")
	cart := api.FunctionType{Namespace: "shop", Name: "cart"}
	in, out, d := m.Ingress(), m.Egress(), m.Dispatcher()
	in.Records(source(3), 5, 500)
	in.Skipped(source(3), "null key")
	out.Deliveries("shop/out", "ok", 7)
	out.Pending("shop/out", 3, 1.5)
	d.Call(cart, "ok", 20*time.Millisecond)
	d.Bulk(1)
	d.Commit("ok", 3*time.Millisecond, 10)
	d.DeadLetter(&api.DeadLetter{Kind: api.DeadRecord, Reason: "null key"})
	d.Restarted("x")
	in.Lag(source(3), 40)
	m.Logged(slog.LevelError)
	m.SetSource(func(context.Context) Snapshot {
		return Snapshot{
			Active: true, Ready: true, DeadLetters: 9, Reasons: []string{"endpoint"},
			Gauges: machine.Gauges{
				OutboxRecords: map[string]int64{"shop/out": 18}, OutboxBytes: map[string]int64{"shop/out": 19}, OutboxOldestMS: map[string]int64{"shop/out": 1250},
				OldestMS: map[api.Source]int64{source(3): 2500},
			},
			Overview: machine.Overview{
				Functions: map[api.FunctionType]machine.FunctionWait{
					{Namespace: "shop", Name: "till"}: {KeptMessages: 1, KeptBytes: 2, OldestMS: 3000, CallMS: 4000, Failing: 5, Stuck: 6, FailingMS: 7000, Attempts: 8},
				},
				Endpoints: []machine.EndpointState{{Endpoint: "http://shop/till", Open: true, Outages: 9, Calls: 10, Queued: 11}, {Endpoint: "http://shop/cart"}},
				Ingresses: map[string]machine.IngressState{"shop/in": {Partitions: 12, Paused: map[string]int{machine.PauseOutbox: 2}}},
				Dead:      []statestore.DeadTotal{{Origin: "function shop/till", Letters: 13, Bytes: 14}},
				Bounds: []machine.Bound{
					{Name: "mailboxes", Used: 15, Limit: 16}, {Name: "effects", Items: true, Used: 17, Limit: 18},
				},
			},
		}
	})
	return m
}

// TestOverview: each number of what waits is told where it belongs, and zero where it is known that nothing waits.
func TestOverview(t *testing.T) {
	got := scrape(t, everything())
	for name, want := range map[string]float64{
		`stategate_ready`: 1,
		`stategate_function_kept_messages{function="shop/till"}`:                       1,
		`stategate_function_kept_bytes{function="shop/till"}`:                          2,
		`stategate_function_oldest_message_seconds{function="shop/till"}`:              3,
		`stategate_function_oldest_call_seconds{function="shop/till"}`:                 4,
		`stategate_function_failing_addresses{function="shop/till"}`:                   5,
		`stategate_function_stuck_addresses{function="shop/till"}`:                     6,
		`stategate_function_failing_seconds{function="shop/till"}`:                     7,
		`stategate_function_failing_attempts{function="shop/till"}`:                    8,
		`stategate_function_oldest_message_seconds{function="shop/cart"}`:              0,
		`stategate_endpoint_breaker_open{endpoint="http://shop/till"}`:                 1,
		`stategate_endpoint_breaker_open{endpoint="http://shop/cart"}`:                 0,
		`stategate_endpoint_outages_total{endpoint="http://shop/till"}`:                9,
		`stategate_endpoint_calls_in_flight{endpoint="http://shop/till"}`:              10,
		`stategate_endpoint_queued_addresses{endpoint="http://shop/till"}`:             11,
		`stategate_ingress_partitions{ingress="shop/in"}`:                              12,
		`stategate_ingress_paused_partitions{ingress="shop/in",reason="outbox"}`:       2,
		`stategate_ingress_paused_partitions{ingress="shop/in",reason="dead_letters"}`: 0,
		`stategate_origin_dead_letters{origin="function shop/till"}`:                   13,
		`stategate_origin_dead_letter_bytes{origin="function shop/till"}`:              14,
		`stategate_bound_used_bytes{bound="mailboxes"}`:                                15,
		`stategate_bound_limit_bytes{bound="mailboxes"}`:                               16,
		`stategate_bound_used_items{bound="effects"}`:                                  17,
		`stategate_bound_limit_items{bound="effects"}`:                                 18,
		`stategate_log_lines_total{level="error"}`:                                     1,
		`stategate_log_lines_total{level="warn"}`:                                      0,
		`stategate_restarts_total{reason="doubt"}`:                                     0,
	} {
		if value, ok := got[name]; !ok || value != want {
			t.Errorf("%s = %v (told: %v), want %v", name, value, ok, want)
		}
	}
}

// TestOverviewIsBounded: names without end share a label, and what they share is joined.
func TestOverviewIsBounded(t *testing.T) {
	m := New("v", "c", "g")
	const names = functionLabelsMax + 500
	o := machine.Overview{Functions: map[api.FunctionType]machine.FunctionWait{}, Ingresses: map[string]machine.IngressState{}}
	for i := range names {
		name := fmt.Sprint(i)
		o.Functions[api.FunctionType{Namespace: "n", Name: name}] = machine.FunctionWait{Stuck: 1, OldestMS: 1000}
		o.Endpoints = append(o.Endpoints, machine.EndpointState{Endpoint: name, Open: true, Calls: 1})
		o.Ingresses[name] = machine.IngressState{Partitions: 1, Paused: map[string]int{machine.PauseKept: 1}}
		o.Dead = append(o.Dead, statestore.DeadTotal{Origin: name, Letters: 1})
	}
	m.SetSource(func(context.Context) Snapshot { return Snapshot{Overview: o} })
	got := scrape(t, m)
	for prefix, others := range map[string]string{
		"stategate_function_stuck_addresses{": `function="other"`, "stategate_endpoint_breaker_open{": `endpoint="other"`,
		"stategate_ingress_partitions{": `ingress="other"`, "stategate_origin_dead_letters{": `origin="other"`,
	} {
		if n, joined := count(got, prefix), got[prefix+others+"}"]; n != functionLabelsMax+1 || joined != 500 {
			t.Errorf("%s: %d series, %v of others", prefix, n, joined)
		}
	}
	if got[`stategate_function_oldest_message_seconds{function="other"}`] != 1 || got[`stategate_ingress_paused_partitions{ingress="other",reason="kept"}`] != 500 {
		t.Error("ages are added up, or pauses are not")
	}
}

// TestConventions: names and units are as Prometheus wants them.
func TestConventions(t *testing.T) {
	families, err := everything().registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	ours := 0
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), namespace+"_") {
			ours++
		}
	}
	if ours < 50 {
		t.Fatalf("only %d of our metrics are told", ours)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
