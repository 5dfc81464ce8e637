package kafka

import (
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/internal/testserver"
)

// cpu is what this process has used so far.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkRelayOnKafka commits packs of n outputs of 100 bytes, each as soon as the one before is delivered. An operation is a pack.
func BenchmarkRelayOnKafka(b *testing.B) {
	k := testserver.Kafka(b)
	for _, semantic := range []Semantic{ExactlyOnce, AtLeastOnce} {
		for _, n := range []int{1, 100, 1000, 5000} {
			b.Run(fmt.Sprintf("%s/%d", semantic, n), func(b *testing.B) {
				where := real(b, k)
				where.cfg.Semantic, where.cfg.Log = semantic, slog.New(slog.DiscardHandler)
				var transactions atomic.Int64
				o := newOutbox("shop/out")
				l := begin(b, o, where.cfg, func(r *Relay) {
					r.reached = func(point string, _ *session) {
						if point == "committed" {
							transactions.Add(1)
						}
					}
				})
				outputs := make([]api.Output, n)
				for i := range outputs {
					outputs[i] = kafkaOutput(where.topic("out"), fmt.Sprintf("key-%d", i), strings.Repeat("v", 100))
				}
				round := func() {
					l.emit(outputs...)
					o.waitDelivered(b, o.next)
				}
				round()
				transactions.Store(0)
				before, begun := cpu(b), time.Now()
				b.ReportAllocs()
				for b.Loop() {
					round()
				}
				took, records := time.Since(begun).Seconds(), float64(b.N*n)
				if semantic == ExactlyOnce {
					b.ReportMetric(float64(transactions.Load())/took, "txn/s")
				}
				b.ReportMetric(records/took, "rec/s")
				b.ReportMetric(float64((cpu(b)-before).Nanoseconds())/1e3/records, "cpu-us/rec")
			})
		}
	}
}
