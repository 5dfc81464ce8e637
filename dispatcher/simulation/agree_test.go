package simulation_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
)

// outcome is what a life has come to: what every address was called with, what every sink has, what was set aside.
func (l *life) outcome() string {
	out := &strings.Builder{}
	addresses := make([]api.Address, 0, len(l.durable.addresses))
	for a := range l.durable.addresses {
		addresses = append(addresses, a)
	}
	slices.SortFunc(addresses, compareAddresses)
	for _, a := range addresses {
		fmt.Fprintf(out, "%v %v\n", a, l.durable.addresses[a].log)
	}
	for _, e := range []string{egressOnce, egressLane, egressLeast, egressNone} {
		fmt.Fprintf(out, "%s, cursor %d:", e, l.sinks[e].cursor.Next)
		for _, t := range l.sinks[e].taken {
			fmt.Fprintf(out, " %s", t.name)
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "%d steps, %d commits, %d messages, %d faults\n", l.at, l.commits, l.messages, l.hits)
	return out.String()
}

// TestStoresAgree: the same life comes to the same end on every store, down to the number of its commits and the order in its sinks.
func TestStoresAgree(t *testing.T) {
	other := newOnSQLite(t)
	for seed := uint64(1); seed <= 10; seed++ {
		want, wrong1 := play(&plan{seed: seed, backend: inMemory{}})
		got, wrong2 := play(&plan{seed: seed, backend: other})
		if wrong1 != nil || wrong2 != nil {
			t.Fatalf("seed %d: %v on memory, %v on %s", seed, wrong1, wrong2, other.name())
		}
		if a, b := want.outcome(), got.outcome(); a != b {
			t.Errorf("seed %d comes to another end on %s (-memory):\n%s", seed, other.name(), cmp.Diff(strings.Split(a, "\n"), strings.Split(b, "\n")))
		}
	}
}
