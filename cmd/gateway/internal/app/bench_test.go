package app

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/internal/testfunction"
	"github.com/stategate/stategate/internal/testserver"
	"github.com/stategate/stategate/statestore/sqlite"
)

// BenchmarkCount is a record's whole way on a real Kafka and an SQLite file, with the functions in the same process: for
// profiles. What it costs in processes of their own is measured by the program in bench.
func BenchmarkCount(b *testing.B) {
	for _, keys := range []int{10_000, 1} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) { benchmarkCount(b, keys) })
	}
}

func benchmarkCount(b *testing.B, keys int) {
	k := testserver.Kafka(b)
	client, err := kgo.NewClient(kgo.SeedBrokers(k.Addr()))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	topic := fmt.Sprintf("bench-%d", time.Now().UnixNano())
	request := kmsg.NewPtrCreateTopicsRequest()
	for _, name := range []string{topic, "counts"} {
		t := kmsg.NewCreateTopicsRequestTopic()
		t.Topic, t.NumPartitions, t.ReplicationFactor = name, 4, 1
		request.Topics = append(request.Topics, t)
	}
	if _, err := request.RequestWith(b.Context(), client); err != nil {
		b.Fatal(err)
	}
	value := make([]byte, 100)
	for i := range b.N {
		client.Produce(b.Context(), &kgo.Record{Topic: topic, Key: fmt.Appendf(nil, "key-%d", i%keys), Value: value}, nil)
	}
	if err := client.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(&testfunction.Handler{})
	defer server.Close()
	m, complaints := module.Parse("module.yaml", fmt.Appendf(nil, `
kind: io.statefun.kafka.v1/ingress
spec: {id: test/in, address: "%[1]s", consumerGroupId: bench, startupPosition: {type: earliest}, topics: [{topic: "%[2]s", valueType: test/event, targets: [test/count]}]}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: test/*, urlPathTemplate: "%[3]s"}
---
kind: io.statefun.kafka.v1/egress
spec: {id: test/out, address: "%[1]s", deliverySemantic: {type: exactly-once, transactionTimeout: 10s}}
`, k.Addr(), topic, server.URL), func(string) (string, bool) { return "", false })
	if complaints.HasErrors() {
		b.Fatal(complaints)
	}
	store, err := sqlite.Open(b.Context(), sqlite.Config{Path: filepath.Join(b.TempDir(), "bench.db"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	defer store.Close()
	delivered := make(chan int, 10_000)
	cfg := Config{Module: m, Store: store, Log: slog.New(slog.DiscardHandler)}
	cfg.Hooks.Egress.Deliveries = func(_, _ string, n int) { delivered <- n }
	a, err := New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	b.ReportAllocs()
	b.ResetTimer()
	go func() { ended <- a.Run(ctx) }()
	for n := 0; n < b.N; n += <-delivered {
	}
	b.StopTimer()
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}
