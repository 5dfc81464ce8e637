package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/ingress"
	"github.com/stategate/stategate/internal/testserver"
	"github.com/stategate/stategate/statestore"
)

// counter is an engine that costs as little as can be: it starts every source at the beginning and counts.
type counter struct {
	left  atomic.Int64
	first chan struct{} // closed at the first record
	all   chan struct{} // closed at the last
	got   atomic.Int64
}

func newCounter(n int) *counter {
	c := &counter{first: make(chan struct{}), all: make(chan struct{})}
	c.left.Store(int64(n))
	return c
}

func (c *counter) Progress(api.Source) (p statestore.Progress, ok bool) { return p, false }
func (c *counter) Start(context.Context, []statestore.Progress) error   { return nil }

func (c *counter) Arrive(_ context.Context, _ api.Source, records []api.Record) error {
	n := int64(0)
	for i := range records {
		if len(records[i].Routes) > 0 {
			n++
		}
	}
	if n == 0 {
		return nil
	}
	if c.got.Add(n) == n {
		close(c.first)
	}
	if c.left.Add(-n) == 0 {
		close(c.all)
	}
	return nil
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRead reads what transactions of 1,000 records have written to the partitions of a topic of real Kafka. What it costs is the CPU of
// this process per record; the broker is another one.
func BenchmarkRead(b *testing.B) {
	for _, c := range []struct{ bytes, partitions int }{{100, 4}, {100, 64}, {10_000, 4}} {
		b.Run(fmt.Sprintf("%dB-%d", c.bytes, c.partitions), func(b *testing.B) { benchmarkRead(b, c.bytes, c.partitions, 40_000_000/c.bytes) })
	}
}

func benchmarkRead(b *testing.B, size, partitions, n int) {
	const perTransaction = 1000
	k := newBroker(b, []string{testserver.Kafka(b).Addr()})
	topic := k.name("in")
	k.create(topic, int32(partitions))
	client, err := kgo.NewClient(kgo.SeedBrokers(k.addresses...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID(k.name("txn")),
		kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		b.Fatal(err)
	}
	value := make([]byte, size)
	for i := 0; i < n; i += perTransaction {
		if err := client.BeginTransaction(); err != nil {
			b.Fatal(err)
		}
		records := make([]*kgo.Record, perTransaction)
		for j := range records {
			records[j] = &kgo.Record{Topic: topic, Partition: int32(j % partitions), Key: fmt.Appendf(nil, "customer-%d", (i+j)%10_000), Value: value}
		}
		if err := client.ProduceSync(b.Context(), records...).FirstErr(); err != nil {
			b.Fatal(err)
		}
		if err := client.EndTransaction(b.Context(), kgo.TryCommit); err != nil {
			b.Fatal(err)
		}
	}
	client.Close()
	k.client.Close()

	config := Config{ID: "shop/in", Brokers: k.addresses, Startup: Startup{Kind: StartEarliest}, Hooks: ingress.Hooks{}, Log: slog.New(slog.DiscardHandler),
		Topics: []Topic{{Name: topic, ValueType: "shop/Event", Routes: routes[:1]}}}
	in, err := New(config)
	if err != nil {
		b.Fatal(err)
	}
	var spent, first time.Duration
	var mallocs, bytes uint64
	for b.Loop() {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c := newCounter(n)
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		began, at := time.Now(), cpu(b)
		go func() { ended <- in.Run(ctx, c) }()
		<-c.first
		first += time.Since(began)
		<-c.all
		spent += cpu(b) - at
		runtime.ReadMemStats(&after)
		mallocs += after.Mallocs - before.Mallocs
		bytes += after.TotalAlloc - before.TotalAlloc
		cancel()
		if err := <-ended; err != nil {
			b.Fatal(err)
		}
	}
	read := float64(b.N * n)
	b.ReportMetric(float64(spent.Nanoseconds())/read, "cpu-ns/record")
	b.ReportMetric(float64(mallocs)/read, "allocs/record")
	b.ReportMetric(float64(bytes)/read, "B/record")
	b.ReportMetric(float64(first.Milliseconds())/float64(b.N), "ms-to-first")
	b.ReportMetric(0, "ns/op")
}
