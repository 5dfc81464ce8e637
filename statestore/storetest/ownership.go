package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stategate/stategate/statestore"
)

// claimed is the outcome of an Acquire that runs aside.
type claimed struct {
	claim *statestore.Claim
	err   error
}

// acquireAside starts an Acquire; its outcome arrives in the channel.
func acquireAside(ctx context.Context, s statestore.Store, m statestore.Member) <-chan claimed {
	done := make(chan claimed, 1)
	go func() {
		c, err := s.Acquire(ctx, m, nil)
		done <- claimed{c, err}
	}()
	return done
}

func await(t *testing.T, done <-chan claimed) *statestore.Claim {
	t.Helper()
	select {
	case c := <-done:
		if c.err != nil {
			t.Fatalf("acquire: %v", c.err)
		}
		return c.claim
	case <-time.After(patience):
		t.Fatal("acquire did not end")
	}
	return nil
}

// notYet fails when the waiting member owns the store already.
func notYet(t *testing.T, done <-chan claimed, when string) {
	t.Helper()
	select {
	case c := <-done:
		t.Fatalf("acquired %s (error %v)", when, c.err)
	default:
	}
}

func testEmpty(t *testing.T, f *Fixture) {
	o := f.own(t)
	c := o.claim
	if c.Fence.Epoch != 1 || c.NextNumber != 1 || c.NextAct != 1 || len(c.Progress)+len(c.Functions)+len(c.Packs)+len(c.Finished)+len(c.Lanes)+len(c.Spilled)+len(c.Dead) != 0 {
		t.Errorf("claim of an empty store: %+v", c)
	}
	same(t, "states", []statestore.Loaded{{}, {}}, o.states(at(counter, "a"), at(counter, "")))
	ctx := t.Context()
	if found, err := o.store.States(ctx, nil); len(found) != 0 || err != nil {
		t.Errorf("no states: %v, %v", found, err)
	}
	if found, err := o.store.Mail(ctx, at(counter, "a"), 0, 1<<20); len(found) != 0 || err != nil {
		t.Errorf("mail: %v, %v", found, err)
	}
	if found, next, err := o.store.SpilledAddresses(ctx, counter, nil, 10); len(found) != 0 || next != nil || err != nil {
		t.Errorf("spilled addresses: %v, %v, %v", found, next, err)
	}
	if found, err := o.store.Outputs(ctx, statestore.LaneID{Egress: "none"}, 0, 1<<20); len(found) != 0 || err != nil {
		t.Errorf("outputs: %v, %v", found, err)
	}
	if found, err := o.store.DeadLetters(ctx, 0, 10); len(found) != 0 || err != nil {
		t.Errorf("dead letters: %v, %v", found, err)
	}
	o.commit(statestore.Commit{}) // nothing changed: a commit like any other
	if n, err := o.store.LastCommit(ctx, o.claim.Fence); n != o.number || err != nil {
		t.Errorf("last commit %d, %v; want %d", n, err, o.number)
	}
}

func testIdentity(t *testing.T, f *Fixture) {
	a := f.Open(t)
	id := a.Identity()
	if len(id) != 36 {
		t.Errorf("identity %q is not a UUID", id)
	}
	b := f.open(t)
	if got := b.Identity(); got != id {
		t.Errorf("another handle: identity %q, want %q", got, id)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if got := f.open(t).Identity(); got != id {
		t.Errorf("opened again: identity %q, want %q", got, id)
	}
}

// testClaimed: every claim has a token of its own, which the store and no other knows for ever.
func testClaimed(t *testing.T, f *Fixture) {
	first := f.own(t)
	second := first.restart()
	third := second.restart()
	tokens := []string{first.claim.Token, second.claim.Token, third.claim.Token}
	for i, token := range tokens {
		if token == "" || len(token) > 64 || slices.Index(tokens, token) != i {
			t.Errorf("tokens %q: want three of 1 to 64 bytes", tokens)
		}
		known, err := third.store.Claimed(t.Context(), token)
		if err != nil || !known {
			t.Errorf("claimed %q: %v, %v", token, known, err)
		}
	}
	// What a cursor carries is whatever somebody has committed to Kafka: any bytes, up to some KiB.
	for _, token := range []string{
		"", "x", tokens[0] + "x", strings.ToUpper(tokens[0]) + " ", "' OR ''='", "\x00", tokens[0] + "\x00", "\xff", tokens[0] + "\xc3", strings.Repeat("x", 5000),
	} {
		if known, err := third.store.Claimed(t.Context(), token); err != nil || known {
			t.Errorf("claimed %q: %v, %v", token, known, err)
		}
	}
}

func testNewer(t *testing.T, f *Fixture) {
	if f.Newer == nil {
		t.Skip("the store has no versions")
	}
	f.own(t).leave()
	f.Newer(t)
	s, err := f.Reopen(t)
	if err == nil {
		_ = s.Close()
	}
	if !errors.Is(err, statestore.ErrNewer) {
		t.Errorf("open a newer store: %v, want ErrNewer", err)
	}
}

func testHandover(t *testing.T, f *Fixture) {
	a := f.own(t)
	a.commit(statestore.Commit{NextNumber: 7, States: []statestore.AddressState{{Address: at(counter, "x"), Values: []statestore.StateValue{state("n", "1")}}}})
	done := acquireAside(t.Context(), f.open(t), newMember())
	for deadline := time.Now().Add(2 * f.Lease); time.Now().Before(deadline); {
		if err := a.store.Renew(t.Context(), a.claim.Fence); err != nil {
			t.Fatalf("renew: %v", err)
		}
		notYet(t, done, "while another member renews its lease")
		pause(t, f.Lease/10)
	}
	start := time.Now()
	if err := a.store.Release(t.Context(), a.claim.Fence); err != nil {
		t.Fatalf("release: %v", err)
	}
	claim := await(t, done)
	if took := time.Since(start); took > max(f.Lease, time.Second) {
		t.Errorf("acquired %v after the release, want at once", took)
	}
	if claim.NextNumber != 7 {
		t.Errorf("next number %d, want 7", claim.NextNumber)
	}
}

// pause waits for time to pass, where that is what a test is about.
func pause(t *testing.T, d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

func testDeath(t *testing.T, f *Fixture) {
	a := f.own(t, "ns/egress")
	a.commit(statestore.Commit{NextNumber: 3, Outputs: []statestore.OutputPack{outputs("ns/egress", 1, "one", "two")}})
	if err := a.store.Close(); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	b := f.own(t)
	if took := time.Since(start); took > f.Lease+patience/3 {
		t.Errorf("took over after %v, lease %v", took, f.Lease)
	}
	if len(b.claim.Lanes) != 1 || b.claim.Lanes[0].Next != 3 || b.claim.NextNumber != 3 {
		t.Errorf("the dead member's numbers are not kept: %+v", b.claim)
	}
	b.commit(statestore.Commit{Outputs: []statestore.OutputPack{outputs("ns/egress", 3, "three")}})
}

func testAcquireContext(t *testing.T, f *Fixture) {
	a := f.own(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := acquireAside(ctx, f.open(t), newMember())
	pause(t, f.Lease/5)
	notYet(t, done, "while another member owns the store")
	cancel()
	select {
	case c := <-done:
		if !errors.Is(c.err, context.Canceled) {
			t.Errorf("acquire after cancel: %v", c.err)
		}
	case <-time.After(patience):
		t.Fatal("acquire did not end with its context")
	}
	a.commit(statestore.Commit{}) // and the owner notices nothing
}

// The same member comes back, in the same process: its former incarnation is fenced.
func testAcquireAgain(t *testing.T, f *Fixture) {
	a := f.own(t)
	a.commit(statestore.Commit{NextNumber: 5})
	again := f.ownWith(t, a.store, a.member)
	if again.claim.Fence.Epoch <= a.claim.Fence.Epoch {
		t.Errorf("epoch %d after %d", again.claim.Fence.Epoch, a.claim.Fence.Epoch)
	}
	if err := a.store.Commit(t.Context(), a.fill(statestore.Commit{})); !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("commit under the former claim: %v, want ErrFenced", err)
	}
	if again.claim.NextNumber != 5 {
		t.Errorf("next number %d, want 5", again.claim.NextNumber)
	}
	again.commit(statestore.Commit{})
}

// Many members at once: one after the other owns the store, never two.
func testAcquireMany(t *testing.T, f *Fixture) {
	const members = 5
	var mu sync.Mutex
	var wg sync.WaitGroup
	epochs := map[uint64]bool{}
	owned := 0
	for range members {
		s := f.open(t)
		wg.Go(func() {
			m := newMember()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			c, err := s.Acquire(ctx, m, nil)
			if err != nil {
				t.Errorf("acquire: %v", err)
				return
			}
			mu.Lock()
			owned++
			if owned != 1 || epochs[c.Fence.Epoch] {
				t.Errorf("%d members own the store, epoch %d seen before: %v", owned, c.Fence.Epoch, epochs[c.Fence.Epoch])
			}
			epochs[c.Fence.Epoch] = true
			mu.Unlock()
			if err := s.Commit(ctx, &statestore.Commit{Fence: c.Fence, Number: c.Commit + 1, NextNumber: c.NextNumber + 1}); err != nil {
				t.Errorf("commit: %v", err)
			}
			mu.Lock()
			owned--
			mu.Unlock()
			if err := s.Release(ctx, c.Fence); err != nil {
				t.Errorf("release: %v", err)
			}
		})
	}
	wg.Wait()
	if got := f.own(t).claim.NextNumber; got != members+1 {
		t.Errorf("next number %d, want %d", got, members+1)
	}
}

func testOwner(t *testing.T, f *Fixture) {
	watcher := f.open(t)
	check := func(when string, want *statestore.Member) {
		t.Helper()
		got, ok, err := watcher.Owner(t.Context())
		switch {
		case err != nil:
			t.Errorf("%s: %v", when, err)
		case want == nil:
			if ok {
				t.Errorf("%s: owner %+v, want none", when, got)
			}
		case !ok:
			t.Errorf("%s: no owner", when)
		default:
			got.Started = got.Started.UTC()
			same(t, when, *want, got)
		}
	}
	check("new", nil)
	a := f.own(t)
	check("owned", &a.member)
	if err := a.store.Release(t.Context(), a.claim.Fence); err != nil {
		t.Fatal(err)
	}
	check("released", nil)
	b := f.own(t)
	check("owned again", &b.member)
	for deadline := time.Now().Add(patience); ; {
		if _, ok, _ := watcher.Owner(t.Context()); !ok {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("an owner that does not renew stays the owner")
		}
		pause(t, f.Lease/10)
	}
}

func testRenew(t *testing.T, f *Fixture) {
	a := f.own(t)
	pause(t, f.Lease+f.Lease/4)
	if err := a.store.Renew(t.Context(), a.claim.Fence); err != nil {
		t.Fatalf("renew a lease that ended while nobody took over: %v", err)
	}
	if m, ok, err := a.store.Owner(t.Context()); !ok || m.ID != a.member.ID || err != nil {
		t.Errorf("owner after that: %v, %v, %v", m, ok, err)
	}
	if err := a.store.Renew(t.Context(), statestore.Fence{Member: a.member.ID, Epoch: a.claim.Fence.Epoch + 1}); !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("renew with another epoch: %v, want ErrFenced", err)
	}
	if err := a.store.Renew(t.Context(), statestore.Fence{Member: "unknown", Epoch: 1}); !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("renew of an unknown member: %v, want ErrFenced", err)
	}
}

func testRelease(t *testing.T, f *Fixture) {
	a := f.own(t)
	for range 2 {
		if err := a.store.Release(t.Context(), a.claim.Fence); err != nil {
			t.Errorf("release: %v", err)
		}
	}
	if err := a.store.Commit(t.Context(), a.fill(statestore.Commit{States: []statestore.AddressState{{Address: at(counter, "x"), Values: []statestore.StateValue{state("n", "1")}}}})); !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("commit after release: %v, want ErrFenced", err)
	}
	if err := a.store.Renew(t.Context(), a.claim.Fence); !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("renew after release: %v, want ErrFenced", err)
	}
	again := f.ownWith(t, a.store, a.member)
	same(t, "states", []statestore.Loaded{{}}, again.states(at(counter, "x")))
	again.commit(statestore.Commit{})
	if err := again.store.Release(t.Context(), a.claim.Fence); err != nil && !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("release under an old fence: %v", err)
	}
	again.commit(statestore.Commit{}) // it has released nothing
}
