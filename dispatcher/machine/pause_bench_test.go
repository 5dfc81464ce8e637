package machine_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// BenchmarkPause pauses a function of which a million addresses wait, for a slot or for their next attempt, and resumes it. pause-ms and
// resume-ms are the longest turn of the loop until the last address is held, or goes on: in it nothing else is done. Of each the median,
// for others use the processors too.
func BenchmarkPause(b *testing.B) {
	for _, kind := range []machine.FailureKind{machine.FailEndpoint, machine.FailAnswer} {
		b.Run(fmt.Sprintf("addresses=1000000/after=%v", kind), func(b *testing.B) {
			m, now := failedWith(1_000_000, kind), int64(2_000)
			longest := map[bool][]time.Duration{}
			b.ResetTimer()
			for range b.N {
				for _, ended := range []bool{false, true} {
					longest[ended] = append(longest[ended], pauseTurn(m, &now, ended))
				}
			}
			b.ReportMetric(median(longest[false]), "pause-ms")
			b.ReportMetric(median(longest[true]), "resume-ms")
		})
	}
}

// pauseTurn is the longest turn from a pause, or the end of one, until nothing of it is left to do.
func pauseTurn(m *machine.Machine, now *int64, ended bool) (longest time.Duration) {
	for turn := 0; ; turn++ {
		at := time.Now()
		m.Tick(*now)
		if turn == 0 {
			m.Pause(statestore.Pause{Kind: statestore.PauseFunction, Address: api.Address{Type: functionType("f")}, Ended: ended}, 0)
		}
		work := m.Work()
		longest = max(longest, time.Since(at))
		if work.Commit != nil {
			m.Committed(work.Commit.Number)
		}
		for i := range work.Calls {
			m.Failed(work.Calls[i].ID, machine.Failure{Kind: machine.FailAnswer, Text: "no"})
		}
		if *now++; work.Commit == nil && work.Tick > *now {
			return longest
		}
	}
}
