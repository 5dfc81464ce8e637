package postgres

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// BenchmarkCommit is what a counting function costs the store: n states of 100 bytes of 10,000 addresses, as many outputs on
// one lane, their trim some commits later, and progress of four partitions.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprintf("states=%d", n), func(b *testing.B) {
			s := open(b, Config{URL: common(b).URL(), Schema: fresh()})
			fence := acquire(b, s, newMember(), "shop/out").Fence
			lane := statestore.LaneID{Egress: "shop/out"}
			value := bytes.Repeat([]byte("v"), 100)
			next, number := uint64(1), uint64(0)
			commit := func() {
				number++
				c := &statestore.Commit{Fence: fence, Number: number, NextNumber: 1}
				outputs := make([]api.Output, n)
				for i := range n {
					id := fmt.Sprint("user-", (int(number)*7919+i)%10000)
					c.States = append(c.States, state(id, value))
					outputs[i] = api.Output{Sender: addr(id), Value: api.TypedValue{TypeName: "t", HasValue: true, Value: value}}
				}
				c.Outputs = []statestore.OutputPack{{Lane: lane, First: next, Outputs: outputs}}
				next += uint64(n)
				if number%10 == 0 {
					c.Trims = []statestore.Trim{{Lane: lane, Below: next - uint64(n)}}
				}
				for p := range int32(4) {
					c.Progress = append(c.Progress, statestore.Progress{
						Source:  api.Source{Ingress: "shop/in", Topic: "events", Partition: p},
						Targets: []statestore.TargetProgress{{Key: "shop/counter", Done: statestore.Ranges{Watermark: int64(number)}}},
					})
				}
				if err := s.Commit(b.Context(), c); err != nil {
					b.Fatal(err)
				}
			}
			for number < uint64(max(20, 20000/n)) && number < 2000 { // all addresses are there before the clock starts
				commit()
			}
			b.ResetTimer()
			for b.Loop() {
				commit()
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "states/s")
		})
	}
}

// BenchmarkValues is where values of some KiB should stand: 100 addresses of 2,000, each with a count that changes and a value
// that does not ("beside"), or with a value that changes ("alone").
func BenchmarkValues(b *testing.B) {
	for _, size := range []int{1500, 4000, 8000} {
		for _, alone := range []bool{false, true} {
			b.Run(fmt.Sprintf("bytes=%d/%s", size, map[bool]string{false: "beside", true: "alone"}[alone]), func(b *testing.B) {
				s := open(b, Config{URL: common(b).URL(), Schema: fresh()})
				fence := acquire(b, s, newMember()).Fence
				rng := rand.NewChaCha8([32]byte{})
				value := make([]byte, size)
				_, _ = rng.Read(value)
				number := uint64(0)
				commit := func(first bool) {
					number++
					c := &statestore.Commit{Fence: fence, Number: number, NextNumber: 1}
					for i := range 100 {
						a := state(fmt.Sprint("user-", (int(number)*100+i)%2000), value)
						a.Values[0].Changed = first || alone
						if !alone {
							a.Values = append([]statestore.StateValue{{Name: "count", TypeName: "t", Value: fmt.Append(nil, number), Changed: true}}, a.Values...)
						}
						c.States = append(c.States, a)
					}
					if err := s.Commit(b.Context(), c); err != nil {
						b.Fatal(err)
					}
				}
				for range 20 {
					commit(true)
				}
				for b.Loop() {
					commit(false)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			})
		}
	}
}

// BenchmarkStates loads addresses of a store that has 10,000.
func BenchmarkStates(b *testing.B) {
	s := open(b, Config{URL: common(b).URL(), Schema: fresh()})
	fence := acquire(b, s, newMember()).Fence
	c := &statestore.Commit{Fence: fence, Number: 1, NextNumber: 1}
	for i := range 10000 {
		c.States = append(c.States, state(fmt.Sprint("user-", i), bytes.Repeat([]byte("v"), 100)))
	}
	if err := s.Commit(b.Context(), c); err != nil {
		b.Fatal(err)
	}
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("addresses=%d", n), func(b *testing.B) {
			at := 0
			for b.Loop() {
				ask := make([]api.Address, n)
				for i := range ask {
					ask[i] = addr(fmt.Sprint("user-", (at+i*31)%10000))
				}
				at += n
				if _, err := s.States(b.Context(), ask); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "addresses/s")
		})
	}
}
