package dispatcher

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/endpoint"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/internal/testfunction"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// forgetful is a store that costs nothing: it takes every commit, and knows no state.
type forgetful struct{ *memory.Store }

func (forgetful) Commit(context.Context, *statestore.Commit) error { return nil }

func (forgetful) States(_ context.Context, all []api.Address) ([]statestore.Loaded, error) {
	return make([]statestore.Loaded, len(all)), nil
}

// BenchmarkCount is the count workload without ingress, egress and store: the CPU of dispatcher, HTTP and the function, in one process.
func BenchmarkCount(b *testing.B) {
	for name, bulk := range map[string]int{"single": 0, "bulk of 100": 100, "bulk of 1000": 1000} {
		b.Run(name, func(b *testing.B) { benchmarkCount(b, bulk) })
	}
}

func benchmarkCount(b *testing.B, bulk int) {
	server := httptest.NewServer(&testfunction.Handler{Bulk: bulk})
	defer server.Close()
	store := memory.New(memory.Config{Lease: time.Hour})
	claim, err := store.Acquire(b.Context(), statestore.Member{ID: "m"}, []string{"test/out"})
	if err != nil {
		b.Fatal(err)
	}
	pool := endpoint.NewPool()
	defer pool.Close()
	requests := make(chan int, 1<<20)
	var d *Dispatcher
	d = New(Config{
		Store: forgetful{store}, Claim: claim, Machine: machine.Config{Incarnation: 1}, Pool: pool, Log: slog.New(slog.DiscardHandler),
		Function: func(api.FunctionType) (Function, bool) {
			return Function{Function: machine.Function{Endpoint: server.URL}, Spec: endpoint.Spec{URL: server.URL, PoolTTL: time.Hour}}, true
		},
		Egresses: map[string]machine.Egress{"test/out": {Outbox: true}},
		Deliver:  func(p statestore.OutputPack) { d.Delivered(p.Lane, p.First+uint64(len(p.Outputs))) },
		Hooks:    Hooks{Bulk: func(n int) { requests <- n }},
	})
	ctx, stop := context.WithCancel(context.Background())
	over := make(chan error, 1)
	go func() { over <- d.Run(ctx) }()
	defer func() { stop(); <-over }()
	source := api.Source{Ingress: "test/in", Topic: "events"}
	if err := d.Start(b.Context(), []statestore.Progress{{Source: source}}); err != nil {
		b.Fatal(err)
	}
	value := api.TypedValue{TypeName: "test/event", HasValue: true, Value: make([]byte, 100)}
	routes := []api.Route{{Key: counter.String(), Target: counter}}
	b.ReportAllocs()
	defer reportCPU(b)()
	b.ResetTimer()
	for n := 0; n < b.N; {
		page := make([]api.Record, min(500, b.N-n))
		for i := range page {
			page[i] = api.Record{Offset: int64(n), ID: fmt.Sprint("key-", n%10_000), Value: value, Routes: routes}
			n++
		}
		if err := d.Arrive(b.Context(), source, page); err != nil {
			b.Fatal(err)
		}
	}
	for {
		if p, _ := d.Progress(source); p.Position() >= int64(b.N) {
			break
		}
		if err := d.Sync(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/float64(len(requests)), "calls/request")
}
