// Package storetest is the conformance suite of stores: what statestore promises, asked of a real one. A store's own tests call
// Run. It knows no store but the model, with which it compares the others, and it never looks behind the interface.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Fixture is one store, empty at first, and what a test may do to it from outside.
type Fixture struct {
	// Open opens the store once more, as another process would. Whoever opens it closes it.
	Open func(t *testing.T) statestore.Store
	// Lease is how long a claim holds in this store. Tests wait for its end; make it short. Default 500 ms.
	Lease time.Duration
	// Sleep makes others take the owner for dead while its handle goes on. nil: not to renew is enough.
	Sleep func(t *testing.T, s statestore.Store)
	// Doubt makes the next commit of the handle end in ErrDoubt; done says whether it is written. nil: left out here, and
	// tested by the store itself.
	Doubt func(t *testing.T, s statestore.Store, done bool)
	// OwnerAlone says that Members does not tell who waits.
	OwnerAlone bool
	// Newer turns the store into one that a later version has written, while no handle is open; Reopen then tries to open it.
	// nil: the store has no versions.
	Newer  func(t *testing.T)
	Reopen func(t *testing.T) (statestore.Store, error)
}

// patience is how long a test waits for what must come.
const patience = 90 * time.Second

// Run asks everything of stores that fresh makes: a new, empty one for each call.
func Run(t *testing.T, fresh func(t *testing.T) *Fixture) {
	tests := []struct {
		name string
		run  func(t *testing.T, f *Fixture)
	}{
		{"Empty", testEmpty}, {"Identity", testIdentity}, {"Claimed", testClaimed}, {"Newer", testNewer},
		{"Acquire/waits and is handed over", testHandover}, {"Acquire/after death", testDeath}, {"Acquire/context", testAcquireContext},
		{"Acquire/again", testAcquireAgain}, {"Acquire/many", testAcquireMany}, {"Owner", testOwner}, {"Renew", testRenew}, {"Release", testRelease}, {"Release/again", testReleaseAgain},
		{"Fence/older cannot commit", testOlderFenced}, {"Fence/older cannot commit any part", testOlderFencedInParts}, {"Fence/number", testNumber}, {"Fence/race", testFenceRace},
		{"Commit/refused leaves nothing", testRefusedLeavesNothing}, {"Commit/context", testCommitContext}, {"Commit/keeps nothing", testKeepsNothing},
		{"Commit/everything", testEverything}, {"Commit/large", testLargeCommit}, {"Commit/empty parts", testEmptyParts}, {"Doubt", testDoubt}, {"NextNumber", testNextNumber},
		{"Progress", testProgress}, {"Functions", testFunctions},
		{"States", testStates}, {"States/large", testLargeStates}, {"States/huge", testHugeState}, {"States/expired", testExpired}, {"States/many", testManyStates},
		{"Walk", testWalk}, {"Walk/one view", testWalkView}, {"Walk/some", testWalkSome}, {"Walk/large", testWalkLarge}, {"Walk/ends", testWalkEnds}, {"Walk/holding", testHolding},
		{"Ids", testIDs}, {"Ids/random", testRandomIDs},
		{"Packs", testPacks}, {"Mail", testMail}, {"Mail/paging", testMailPaging}, {"Mail/addresses", testSpilledAddresses}, {"Mail/totals", testSpillTotals},
		{"Timers", testTimers}, {"Timers/cancel", testCancels}, {"Timers/tokens", testTokens}, {"Bounds", testHighestBounds},
		{"Traces", testTraces}, {"Outputs", testOutputs}, {"Outputs/large", testLargeOutputs}, {"Outputs/gaps", testGaps}, {"Outputs/refused", testRefused}, {"Outputs/refused packs", testRefusedPacks}, {"Lanes", testLanes},
		{"DeadLetters", testDeadLetters}, {"DeadTotals", testDeadTotals}, {"DeadLetters/pages", testDeadPages},
		{"Pauses", testPauses}, {"ProgressEnds", testProgressEnds}, {"Acts", testActs}, {"Addresses", testAddresses}, {"Addresses/pages", testAddressPages},
		{"Members", testMembers}, {"Notes", testNotes}, {"Model", testModel},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			f := fresh(t)
			if f.Lease == 0 {
				f.Lease = 500 * time.Millisecond
			}
			test.run(t, f)
		})
	}
}

// owner is a member that owns the store.
type owner struct {
	t       *testing.T
	fixture *Fixture
	store   statestore.Store
	member  statestore.Member
	claim   *statestore.Claim
	number  uint64 // of the last commit
	next    uint64
}

func newMember() statestore.Member {
	return statestore.Member{ID: uuid.NewString(), Host: "host", PID: 4711, Address: "127.0.0.1:8081", Events: "127.0.0.1:8080", Started: time.UnixMilli(1_700_000_000_123).UTC()}
}

// open opens a handle that is closed at the end of the test.
func (f *Fixture) open(t *testing.T) statestore.Store {
	t.Helper()
	s := f.Open(t)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// own opens a handle and acquires the store.
func (f *Fixture) own(t *testing.T, egresses ...string) *owner {
	t.Helper()
	s := f.open(t)
	m := newMember()
	return f.ownWith(t, s, m, egresses...)
}

func (f *Fixture) ownWith(t *testing.T, s statestore.Store, m statestore.Member, egresses ...string) *owner {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	claim, err := s.Acquire(ctx, m, egresses)
	if err != nil {
		t.Fatalf("acquire: %v", err)
	}
	if claim.Fence.Member != m.ID {
		t.Fatalf("claim of member %q, want %q", claim.Fence.Member, m.ID)
	}
	return &owner{t: t, fixture: f, store: s, member: m, claim: claim, number: claim.Commit, next: claim.NextNumber}
}

// fill completes a commit as the owner's next.
func (o *owner) fill(c statestore.Commit) *statestore.Commit {
	c.Fence = o.claim.Fence
	if c.Number == 0 {
		c.Number = o.number + 1
	}
	o.next = max(o.next, c.NextNumber)
	c.NextNumber = o.next
	return &c
}

// commit must succeed.
func (o *owner) commit(c statestore.Commit) {
	o.t.Helper()
	if err := o.store.Commit(o.t.Context(), o.fill(c)); err != nil {
		o.t.Fatalf("commit %d: %v", o.number+1, err)
	}
	o.number++
}

// restart gives up, closes, and comes back as a new process.
func (o *owner) restart(egresses ...string) *owner {
	o.t.Helper()
	o.leave()
	return o.fixture.own(o.t, egresses...)
}

func (o *owner) leave() {
	o.t.Helper()
	if err := o.store.Release(o.t.Context(), o.claim.Fence); err != nil {
		o.t.Fatalf("release: %v", err)
	}
	if err := o.store.Close(); err != nil {
		o.t.Fatalf("close: %v", err)
	}
}

func (o *owner) states(addresses ...api.Address) []statestore.Loaded {
	o.t.Helper()
	found, err := o.store.States(o.t.Context(), addresses)
	if err != nil {
		o.t.Fatalf("states: %v", err)
	}
	if len(found) != len(addresses) {
		o.t.Fatalf("states: %d answers for %d addresses", len(found), len(addresses))
	}
	boxes, err := o.store.Mailboxes(o.t.Context(), addresses)
	bare := slices.Clone(found)
	for i := range bare {
		bare[i].Values = nil
	}
	check(o.t, "mailboxes", bare, boxes, err)
	return found
}

// whole compares byte slices as one value each. cmp left to itself compares them byte by byte, through reflection: a mailbox of
// some MiB took a minute.
var whole = cmp.FilterValues(func(a, b []byte) bool { return len(a)+len(b) > 0 }, cmp.Comparer(bytes.Equal))

// same compares, taking nil and empty slices for the same.
func same(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), whole); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, shorten(diff))
	}
}

// exact compares, telling nil from empty slices.
func exact(t *testing.T, what string, want, got any) {
	t.Helper()
	if diff := cmp.Diff(want, got, whole); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, shorten(diff))
	}
}

func shorten(s string) string {
	if len(s) > 6000 {
		return s[:6000] + " ..."
	}
	return s
}

// final reports whether the error is one that no repetition mends.
func final(err error) bool {
	for _, passing := range []error{statestore.ErrFenced, statestore.ErrDoubt, statestore.ErrUnavailable} {
		if errors.Is(err, passing) {
			return false
		}
	}
	return err != nil
}

func fn(namespace, name string) api.FunctionType {
	return api.FunctionType{Namespace: namespace, Name: name}
}

func at(f api.FunctionType, id string) api.Address { return api.Address{Type: f, ID: id} }

var counter = fn("shop", "counter")

func value(s string) api.TypedValue {
	return api.TypedValue{TypeName: "test/text", HasValue: true, Value: []byte(s)}
}

func message(target api.Address, text string) api.Message {
	return api.Message{Target: target, Argument: value(text)}
}

// state is a changed state of an address.
func state(name, text string) statestore.StateValue {
	return statestore.StateValue{Name: name, TypeName: "test/text", Value: []byte(text), Touched: 5, Changed: true}
}

// stored is what must be read back of states that were written.
func stored(values ...statestore.StateValue) []statestore.StateValue {
	out := append([]statestore.StateValue(nil), values...)
	for i := range out {
		out[i].Changed = false
	}
	return out
}
