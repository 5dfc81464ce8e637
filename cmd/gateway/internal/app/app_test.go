package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/internal/testfunction"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

const patience = 90 * time.Second

// world is a Kafka in this process, the functions, and a store that outlives gateways.
type world struct {
	t         *testing.T
	brokers   []string
	client    *kgo.Client
	functions *testfunction.Handler
	url       string
	store     func() statestore.Store
	text      string // of the module
	bounds    machine.Config
}

const moduleText = `
kind: io.statefun.kafka.v1/ingress
spec:
  id: test/in
  address: ${KAFKA}
  consumerGroupId: test
  startupPosition: {type: earliest}
  topics:
    - {topic: events, valueType: test/event, targets: [test/count]}
    - {topic: both, valueType: test/event, targets: [test/count, test/audit]}
    - {topic: chain, valueType: test/event, targets: [test/hop0]}
    - {topic: cycle, valueType: test/event, targets: [test/ping]}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: test/*, urlPathTemplate: "${URL}/{function.name}"}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: test/out
  address: ${KAFKA}
  deliverySemantic: {type: "${SEMANTIC:-exactly-once}", transactionTimeout: 10s}
`

func newWorld(t *testing.T) *world {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(4, "events", "both", "chain", "cycle", "counts", "audits"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	w := &world{t: t, brokers: cluster.ListenAddrs(), functions: &testfunction.Handler{Bulk: 64}, text: moduleText}
	if w.client, err = kgo.NewClient(kgo.SeedBrokers(w.brokers...)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	server := httptest.NewServer(w.functions)
	t.Cleanup(server.Close)
	w.url = server.URL
	shared := memory.New(memory.Config{Lease: 10 * time.Second}) // a busy machine must be able to renew it in time
	w.store = func() statestore.Store { return shared.Open(memory.Faults{}) }
	return w
}

func (w *world) put(topic, key, value string) {
	w.t.Helper()
	if err := w.client.ProduceSync(w.t.Context(), &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(value)}).FirstErr(); err != nil {
		w.t.Fatal(err)
	}
}

// gateway starts one and answers what stops it and reports how it ended.
func (w *world) gateway(semantic string) (a *App, stop func() error) {
	w.t.Helper()
	vars := map[string]string{"KAFKA": strings.Join(w.brokers, ","), "URL": w.url, "SEMANTIC": semantic}
	m, complaints := module.Parse("module.yaml", []byte(w.text), func(name string) (string, bool) { v, ok := vars[name]; return v, ok })
	if complaints.HasErrors() {
		w.t.Fatal(complaints)
	}
	a, err := New(Config{Module: m, Store: w.store(), Log: slog.New(slog.NewTextHandler(testWriter{w.t}, nil)), RenewEvery: 100 * time.Millisecond, Bounds: w.bounds})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	var once sync.Once
	stop = func() (err error) {
		once.Do(func() { cancel(); err = <-ended })
		return err
	}
	w.t.Cleanup(func() { _ = stop() })
	return a, stop
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

// results reads a topic at read_committed until there are n records, and answers them by key.
func (w *world) results(topic string, n int) map[string][]string {
	w.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(w.brokers...), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		w.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	got, count := map[string][]string{}, 0
	for count < n {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			w.t.Fatalf("topic %s: %d of %d results", topic, count, n)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			got[string(r.Key)] = append(got[string(r.Key)], string(r.Value))
			count++
		})
	}
	return got
}

// counted fails unless each key's results are 1..n.
func counted(t *testing.T, got map[string][]string, want map[string]int) {
	t.Helper()
	for key, n := range want {
		values := got[key]
		if len(values) != n {
			t.Errorf("key %s: got %d results, want %d", key, len(values), n)
			continue
		}
		for i, v := range values {
			if v != strconv.Itoa(i+1) {
				t.Errorf("key %s: result %d is %s, want %d", key, i, v, i+1)
				break
			}
		}
	}
	if len(got) != len(want) {
		t.Errorf("got %d keys, want %d", len(got), len(want))
	}
}

func TestCountsOnceThroughRestarts(t *testing.T) {
	for _, semantic := range []string{"exactly-once", "at-least-once", "none"} {
		t.Run(semantic, func(t *testing.T) {
			w := newWorld(t)
			want := map[string]int{}
			for range 3 {
				_, stop := w.gateway(semantic)
				for i := range 300 {
					key := fmt.Sprintf("key-%d", i%7)
					w.put("events", key, "x")
					want[key]++
				}
				if err := stop(); err != nil {
					t.Fatal(err)
				}
			}
			_, stop := w.gateway(semantic)
			counted(t, w.results("counts", 900), want)
			if err := stop(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestChainCycleAndTwoTargets(t *testing.T) {
	w := newWorld(t)
	w.functions.SetDown("audit", true)
	_, stop := w.gateway("exactly-once")
	counts, audits := map[string]int{}, map[string]int{}
	for i := range 100 {
		key := fmt.Sprintf("key-%d", i%5)
		w.put("chain", key, "x")
		w.put("cycle", key, "9")
		w.put("both", key, "x")
		counts[key] += 3
		audits[key]++
	}
	counted(t, w.results("counts", 300), counts) // although a neighbour is down
	w.functions.SetDown("audit", false)
	counted(t, w.results("audits", 100), audits)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
