package kafka

import (
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/internal/testserver"
	"github.com/stategate/stategate/statestore"
)

// clocked notes when outputs are delivered.
type clocked struct {
	*member
	mu    sync.Mutex
	below uint64
	at    map[uint64]time.Time // by number, when it was emitted
	took  []time.Duration
}

func (m *clocked) Delivered(lane statestore.LaneID, below uint64) {
	m.member.Delivered(lane, below)
	now := time.Now()
	m.mu.Lock()
	defer m.mu.Unlock()
	for ; m.below < below; m.below++ {
		m.took = append(m.took, now.Sub(m.at[m.below]))
		delete(m.at, m.below)
	}
}

var _ egress.Engine = (*clocked)(nil)

// cpuOf is what a process has used so far.
func cpuOf(b *testing.B, pid int) time.Duration {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Skip(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+2:]))
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// BenchmarkRhythm emits outputs of 100 bytes at an even rate, whatever becomes of them, and tells how long they took until they were
// committed. An operation is an output.
func BenchmarkRhythm(b *testing.B) {
	k := testserver.Kafka(b)
	for _, rate := range []int{20, 200, 1500, 10_000} {
		b.Run(fmt.Sprintf("%d a second", rate), func(b *testing.B) {
			where := real(b, k)
			where.cfg.Log = slog.New(slog.DiscardHandler)
			o := newOutbox("shop/out")
			m, lane := o.claim()
			clock := &clocked{member: m, below: 1, at: map[uint64]time.Time{}}
			var transactions atomic.Int64
			l := beginAs(b, m, lane, where.cfg, func(r *Relay) {
				r.engine = clock
				r.reached = func(point string, _ *session) {
					if point == "committed" {
						transactions.Add(1)
					}
				}
			})
			send := func(outputs []api.Output) {
				now := time.Now()
				clock.mu.Lock()
				for i := range outputs {
					clock.at[o.next+uint64(i)] = now
				}
				clock.mu.Unlock()
				l.emit(outputs...)
			}
			send([]api.Output{kafkaOutput(where.topic("out"), "first", "")})
			o.waitDelivered(b, 2)
			clock.took = nil
			transactions.Store(0)
			before, kafka, begun := cpu(b), cpuOf(b, k.PID()), time.Now()
			tick := time.NewTicker(max(2*time.Millisecond, time.Second/time.Duration(rate)))
			defer tick.Stop()
			b.ResetTimer()
			for sent := 0; sent < b.N; {
				<-tick.C
				due := min(int(time.Since(begun).Seconds()*float64(rate))+1, b.N)
				var outputs []api.Output
				for ; sent < due; sent++ {
					outputs = append(outputs, kafkaOutput(where.topic("out"), fmt.Sprintf("key-%d", sent%1000), strings.Repeat("v", 100)))
				}
				if len(outputs) > 0 {
					send(outputs)
				}
			}
			o.waitDelivered(b, o.next)
			b.StopTimer()
			clock.mu.Lock()
			defer clock.mu.Unlock()
			slices.Sort(clock.took)
			at := func(q float64) float64 {
				return float64(clock.took[int(q*float64(len(clock.took)-1))].Microseconds()) / 1000
			}
			b.ReportMetric(at(0.5), "p50-ms")
			b.ReportMetric(at(0.99), "p99-ms")
			b.ReportMetric(float64(transactions.Load())/time.Since(begun).Seconds(), "txn/s")
			b.ReportMetric(float64((cpu(b)-before).Microseconds())/float64(b.N), "cpu-us/rec")
			b.ReportMetric(float64((cpuOf(b, k.PID())-kafka).Microseconds())/float64(b.N), "kafka-us/rec")
			b.ReportMetric(0, "ns/op")
		})
	}
}
