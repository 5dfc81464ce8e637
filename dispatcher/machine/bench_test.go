package machine_test

import (
	"strconv"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// BenchmarkRecord is what one record costs in the machine alone, from Arrive to Committed: a call, a state, an output and its
// part of a commit. What the world around it would do costs nothing here.
func BenchmarkRecord(b *testing.B) {
	for _, keys := range []int{1, 10_000} {
		b.Run("keys="+strconv.Itoa(keys), func(b *testing.B) { benchRecords(b, keys) })
	}
}

func benchRecords(b *testing.B, keys int) {
	const batch = 500
	w := newBench(keys)
	for offset := int64(0); offset < 20_000; offset += batch { // every address is loaded, every list has grown
		w.round(offset, batch)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; done += batch {
		w.round(int64(20_000+done), batch)
	}
	b.StopTimer()
	b.ReportMetric(float64(w.commits)/float64(w.calls), "commits/call")
}

type bench struct {
	m              *machine.Machine
	source         api.Source
	routes         []api.Route
	ids            []string
	value          api.TypedValue
	reply          *machine.Reply
	records        []api.Record
	delivered      uint64
	commits, calls int
}

func newBench(keys int) *bench {
	w := &bench{
		source: api.Source{Ingress: "in", Topic: "t"}, value: typed("t/event", string(make([]byte, 100))),
		routes: []api.Route{{Key: "x/f", Target: functionType("f")}},
	}
	for i := range keys {
		w.ids = append(w.ids, "user-"+strconv.Itoa(i))
	}
	state := typed("t/count", string(make([]byte, 100)))
	w.reply = &machine.Reply{
		Mutations: []machine.Mutation{{Name: "count", Value: state}},
		Outputs:   []machine.Output{{Egress: "e", Value: w.value}},
	}
	w.m = machine.New(machine.Config{
		Function: func(api.FunctionType) (machine.Function, bool) { return machine.Function{Endpoint: "http://f"}, true },
		Egresses: map[string]machine.Egress{"e": {Outbox: true}}, TimerAhead: 1 << 40,
	}, &statestore.Claim{
		Functions: []statestore.FunctionSpec{{Function: functionType("f"), States: []statestore.StateSpec{{Name: "count", TypeName: "t/count"}}}},
	}, 1)
	w.m.Started(statestore.Progress{Source: w.source}, 0)
	return w
}

// round brings records and goes on until all of them are committed, one commit behind the calls as a real store is.
func (w *bench) round(offset int64, n int) {
	w.records = w.records[:0]
	for i := range int64(n) {
		w.records = append(w.records, api.Record{Offset: offset + i, ID: w.ids[(offset+i)%int64(len(w.ids))], Value: w.value, Routes: w.routes})
	}
	w.m.Arrive(w.source, w.records)
	out := uint64(0)
	for {
		work := w.m.Work()
		w.answer(&work)
		if work.Commit != nil {
			w.commits++
			for _, p := range work.Commit.Outputs {
				w.delivered = p.First + uint64(len(p.Outputs))
			}
			out = work.Commit.Number
			continue // the calls go on while it is out
		}
		if len(work.Calls) > 0 {
			continue
		}
		if out == 0 {
			return
		}
		w.m.Committed(out)
		w.m.Delivered(statestore.LaneID{Egress: "e"}, w.delivered)
		out = 0
	}
}

func (w *bench) answer(work *machine.Work) {
	for _, l := range work.Loads {
		w.m.Loaded(l.ID, make([]statestore.Loaded, len(l.Addresses)))
	}
	if l := work.TimerLoad; l != nil {
		w.m.TimersLoaded(l.ID, nil)
	}
	for i := range work.Calls {
		w.calls++
		w.m.Replied(work.Calls[i].ID, w.reply)
	}
}

func typed(name, value string) api.TypedValue {
	return api.TypedValue{TypeName: name, HasValue: true, Value: []byte(value)}
}
