package machine_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// BenchmarkStuck looks for what is stuck among a million addresses behind an endpoint that is down. turn-ms is how long the loop
// is held by one of its turns, begin-ms and told-ms by the first and the last one; of each the median, for others use the processors too.
func BenchmarkStuck(b *testing.B) {
	for _, addresses := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprintf("addresses=%d", addresses), func(b *testing.B) {
			m := downWith(addresses)
			var begin, turn, told []time.Duration
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				at := time.Now()
				l := m.LookForStuck()
				begin = append(begin, time.Since(at))
				for done := false; !done; {
					at = time.Now()
					done = m.GoOn(l)
					turn = append(turn, time.Since(at))
				}
				at = time.Now()
				found := m.Told(l)
				told = append(told, time.Since(at))
				if len(found) != 1 || found[0].Count != int64(addresses) || found[0].Cause != machine.StuckEndpointDown {
					b.Fatalf("found %+v", found)
				}
			}
			b.ReportMetric(median(begin), "begin-ms")
			b.ReportMetric(median(turn), "turn-ms")
			b.ReportMetric(median(told), "told-ms")
		})
	}
}

func median(all []time.Duration) float64 {
	slices.Sort(all)
	return float64(all[len(all)/2].Microseconds()) / 1000
}

// downWith is a machine with so many addresses that wait for an endpoint that is down.
func downWith(addresses int) *machine.Machine { return failedWith(addresses, machine.FailEndpoint) }

// failedWith is one with so many addresses whose calls fail; when the endpoint is not down, each waits for its next attempt.
func failedWith(addresses int, kind machine.FailureKind) *machine.Machine {
	source := api.Source{Ingress: "in", Topic: "t"}
	routes := []api.Route{{Key: "x/f", Target: functionType("f")}}
	m := machine.New(machine.Config{
		Function:          func(api.FunctionType) (machine.Function, bool) { return machine.Function{Endpoint: "http://f"}, true },
		SourceMessagesMax: 1 << 40, SourceBytesMax: 1 << 40, HoldMax: 1 << 40, MailBytesMax: 1 << 40, BackoffMin: 1 << 30, BackoffMax: 1 << 30, TimerAhead: 1 << 40,
	}, &statestore.Claim{Functions: []statestore.FunctionSpec{{Function: functionType("f")}}}, 1)
	m.Started(statestore.Progress{Source: source}, 0)
	records := make([]api.Record, 0, 1000)
	for at := 0; at < addresses; at += len(records) {
		records = records[:0]
		for i := range min(1000, addresses-at) {
			records = append(records, api.Record{Offset: int64(at + i), ID: fmt.Sprintf("user-%d", at+i), Value: typed("t/event", "x"), Routes: routes})
		}
		m.Arrive(source, records)
		settleWith(m, kind)
	}
	m.Tick(2_000)
	settleWith(m, kind)
	return m
}

// settle answers all that the machine asks for; every call fails.
func settle(m *machine.Machine) { settleWith(m, machine.FailEndpoint) }

func settleWith(m *machine.Machine, kind machine.FailureKind) {
	for {
		work := m.Work()
		for _, l := range work.Loads {
			m.Loaded(l.ID, make([]statestore.Loaded, len(l.Addresses)))
		}
		if l := work.TimerLoad; l != nil {
			m.TimersLoaded(l.ID, nil)
		}
		for i := range work.Calls {
			m.Failed(work.Calls[i].ID, machine.Failure{Kind: kind, Text: "connection refused"})
		}
		if work.Commit != nil {
			m.Committed(work.Commit.Number)
		}
		if len(work.Loads)+len(work.Calls) == 0 && work.Commit == nil {
			return
		}
	}
}
