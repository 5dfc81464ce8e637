package machine_test

import (
	"slices"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// TestRecordsGoWhereTheirOwnRoutesSay: what is looked up once per source holds for records with the same routes alone, and ids are judged
// for each.
func TestRecordsGoWhereTheirOwnRoutesSay(t *testing.T) {
	f, g := api.Route{Key: "f", Target: functionType("f")}, api.Route{Key: "g", Target: functionType("g")}
	nobody := api.Route{Key: "n", Target: functionType("nobody")}
	source := api.Source{Ingress: "in", Topic: "t"}
	var dead []string
	m := machine.New(machine.Config{
		Function: func(t api.FunctionType) (machine.Function, bool) {
			return machine.Function{Endpoint: "http://f"}, t.Name != "nobody"
		},
		OnDeadLetter: func(d *api.DeadLetter) { dead = append(dead, d.Reason) }, TimerAhead: 1 << 40,
	}, &statestore.Claim{}, 1)
	m.Started(statestore.Progress{Source: source}, 0)
	m.Arrive(source, []api.Record{
		{Offset: 0, ID: "0", Routes: []api.Route{f, g, nobody}},
		{Offset: 1, ID: "1", Routes: []api.Route{g, f}},
		{Offset: 2, ID: "2", Routes: []api.Route{g}},
		{Offset: 3, ID: "\xff", Routes: []api.Route{f, g, nobody}},
		{Offset: 4, ID: "4", Routes: []api.Route{f, g, nobody, {Key: "of another module", Target: functionType("f")}}},
	})
	var called []string
	for i := 0; i < 10; i++ {
		work := m.Work()
		for _, l := range work.Loads {
			m.Loaded(l.ID, make([]statestore.Loaded, len(l.Addresses)))
		}
		for _, c := range work.Calls {
			called = append(called, c.Target.Type.Name+c.Target.ID)
			m.Replied(c.ID, &machine.Reply{})
		}
		if work.Commit != nil {
			m.Committed(work.Commit.Number)
		}
	}
	slices.Sort(called)
	if want := []string{"f0", "f1", "f4", "g0", "g1", "g2", "g4"}; !slices.Equal(called, want) {
		t.Errorf("called %v, want %v", called, want)
	}
	want := []string{"unknown function", "bad address", "bad address", "bad address", "unknown function"}
	if !slices.Equal(dead, want) {
		t.Errorf("set aside as %v, want %v", dead, want)
	}
}
