package storetest

import (
	"errors"
	"testing"

	"github.com/stategate/stategate/statestore"
)

// testEmptyParts: what a commit names and brings nothing for is not there afterwards.
func testEmptyParts(t *testing.T, f *Fixture) {
	o := f.own(t, "ns/a")
	x, y := at(counter, "x"), at(counter, "y")
	a := statestore.LaneID{Egress: "ns/a"}
	empty := statestore.Commit{
		NextNumber: 9, Mail: []statestore.MailChunk{{Address: x}, {Address: y, Messages: mails(y, 1)}}, Outputs: []statestore.OutputPack{{Lane: a, First: 1}},
		States: []statestore.AddressState{{Address: x}}, MailTrims: []statestore.MailTrim{{Address: x, Below: 5}}, PackMarks: []statestore.PackMark{{Number: 3, Remove: true}},
		TimerEnds: []statestore.TimerKey{{Due: 1, Number: 1}}, Cancels: []statestore.Cancel{{SenderID: "x", Token: "t", Below: 9}}, Trims: []statestore.Trim{{Lane: a, Below: 1}},
	}
	for range 2 {
		o.commit(empty)
		found, next, err := o.store.SpilledAddresses(t.Context(), counter, nil, 10)
		if err != nil || next != nil || len(found) != 1 || found[0] != y {
			t.Fatalf("addresses with mail: %v, %x, %v, want %v", found, next, err, y)
		}
		same(t, "state", []statestore.Loaded{{}}, o.states(x))
		if packs, err := o.store.Outputs(t.Context(), a, 1, 1<<20); err != nil || len(packs) > 0 {
			t.Fatalf("outputs: %v, %v", packs, err)
		}
		empty.Mail = empty.Mail[:1]
	}
	o.commit(statestore.Commit{Outputs: []statestore.OutputPack{outputs("ns/a", 1, "1")}})
	o = o.restart("ns/a")
	expectLane(t, o, statestore.Lane{LaneID: a, Next: 2, Low: 1, Bytes: packBytes(outputs("ns/a", 1, "1"))})
	same(t, "spilled", []statestore.SpillTotal{{Function: counter, Messages: 1, Bytes: int64(mails(y, 1)[0].Message.Size())}}, o.claim.Spilled)
}

// testRefusedPacks: a refusal stands with the pack that holds its output, with the first and with the last of it, and with no other.
func testRefusedPacks(t *testing.T, f *Fixture) {
	o := f.own(t, "ns/a")
	a := statestore.LaneID{Egress: "ns/a"}
	o.commit(statestore.Commit{Outputs: []statestore.OutputPack{outputs("ns/a", 1, "1", "2", "3")}})
	o.commit(statestore.Commit{Outputs: []statestore.OutputPack{outputs("ns/a", 4, "4", "5")}})
	for _, step := range []struct {
		number        uint64
		first, second []uint64
	}{{4, nil, []uint64{4}}, {3, []uint64{3}, []uint64{4}}, {1, []uint64{1, 3}, []uint64{4}}, {5, []uint64{1, 3}, []uint64{4, 5}}, {6, []uint64{1, 3}, []uint64{4, 5}}} {
		o.commit(statestore.Commit{Refusals: []statestore.Refusal{{Lane: a, Number: step.number}}})
		packs, err := o.store.Outputs(t.Context(), a, 1, 1<<20)
		if err != nil || len(packs) != 2 {
			t.Fatalf("outputs: %v, %v", packs, err)
		}
		same(t, "refused of the first pack", step.first, packs[0].Refused)
		same(t, "refused of the second pack", step.second, packs[1].Refused)
	}
}

// testReleaseAgain: a member that gave up and came back writes under a claim of its own; what it still has on its way under the former
// one is refused, though member and number are the same.
func testReleaseAgain(t *testing.T, f *Fixture) {
	a := f.own(t)
	a.commit(statestore.Commit{NextNumber: 5})
	if err := a.store.Release(t.Context(), a.claim.Fence); err != nil {
		t.Fatal(err)
	}
	late := a.fill(statestore.Commit{})
	if err := a.store.Commit(t.Context(), late); !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("commit after the release: %v, want ErrFenced", err)
	}
	again := f.ownWith(t, a.store, a.member)
	if again.claim.Fence.Epoch <= a.claim.Fence.Epoch || again.claim.Token == a.claim.Token {
		t.Errorf("claim %+v %s after %+v %s", again.claim.Fence, again.claim.Token, a.claim.Fence, a.claim.Token)
	}
	if err := a.store.Commit(t.Context(), late); !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("commit under the former claim: %v, want ErrFenced", err)
	}
	if err := a.store.Renew(t.Context(), a.claim.Fence); !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("renew the former claim: %v, want ErrFenced", err)
	}
	again.commit(statestore.Commit{})
}
