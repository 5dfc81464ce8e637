package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/statestore"
)

// An egress that keeps no outbox gets a lane of its own, and hears of the one that it had when it kept one.
func TestRelaysHearOfFormerLanes(t *testing.T) {
	type lanes struct{ lane, former statestore.Lane }
	got := map[string]lanes{}
	sinkOf := func(id string, outbox bool) *sink {
		return &sink{id: id, outbox: outbox, open: func(lane, former statestore.Lane, _ egress.Engine, claim string) (relay, error) {
			if claim != "token" {
				t.Errorf("egress %s: claim %q", id, claim)
			}
			got[id] = lanes{lane, former}
			return offers{}, nil
		}}
	}
	kept := func(id string) statestore.Lane {
		return statestore.Lane{LaneID: statestore.LaneID{Egress: id}, Next: 7, Started: true, Low: 5}
	}
	l := &incarnation{relays: map[string]relay{}, slots: map[string]int{}, app: &App{egresses: map[string]*sink{
		"a/stored": sinkOf("a/stored", true), "a/weakened": sinkOf("a/weakened", false), "a/loose": sinkOf("a/loose", false),
	}}}
	claim := &statestore.Claim{Token: "token", Lanes: []statestore.Lane{kept("a/stored"), kept("a/weakened"), kept("a/removed")}}
	if err := l.makeRelays(claim); err != nil {
		t.Fatal(err)
	}
	none := func(id string) statestore.Lane {
		return statestore.Lane{LaneID: statestore.LaneID{Egress: id, Slot: egress.NoOutbox}, Next: 1}
	}
	want := map[string]lanes{
		"a/stored":   {lane: kept("a/stored")},
		"a/weakened": {lane: none("a/weakened"), former: kept("a/weakened")},
		"a/loose":    {lane: none("a/loose")},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(lanes{})); diff != "" {
		t.Error(diff)
	}
	if len(l.relays) != 3 {
		t.Errorf("%d relays", len(l.relays))
	}
}

// offers is a relay that does nothing.
type offers struct{ relay }
