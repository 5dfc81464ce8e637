package memory_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
	"github.com/stategate/stategate/statestore/storetest"
)

func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) *storetest.Fixture {
		const lease = 2 * time.Second // a busy machine must be able to renew it in time
		first := memory.New(memory.Config{Lease: lease})
		faults := map[statestore.Store]*memory.Fault{}
		return &storetest.Fixture{
			Lease: lease,
			Open: func(*testing.T) statestore.Store {
				next := new(memory.Fault)
				s := first.Open(memory.Faults{Commit: func(*statestore.Commit) memory.Fault {
					f := *next
					*next = memory.FaultNone
					return f
				}})
				faults[s] = next
				return s
			},
			Doubt: func(_ *testing.T, s statestore.Store, done bool) {
				*faults[s] = memory.FaultLost
				if done {
					*faults[s] = memory.FaultDone
				}
			},
		}
	})
}

// clock is a clock that only the test moves.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func member(id string) statestore.Member { return statestore.Member{ID: id} }

func TestLeaseByInjectedClock(t *testing.T) {
	c := &clock{now: time.Unix(1000, 0)}
	s := memory.New(memory.Config{Lease: time.Minute, Now: c.Now})
	a, ok := s.TryAcquire(member("a"), nil)
	if !ok {
		t.Fatal("nobody owned the store")
	}
	c.now = c.now.Add(59 * time.Second)
	if _, ok := s.TryAcquire(member("b"), nil); ok {
		t.Fatal("taken over before the lease ended")
	}
	if err := s.Renew(t.Context(), a.Fence); err != nil {
		t.Fatal(err)
	}
	c.now = c.now.Add(59 * time.Second)
	if _, ok := s.TryAcquire(member("b"), nil); ok {
		t.Fatal("taken over although the lease was renewed")
	}
	c.now = c.now.Add(time.Second)
	if _, ok := s.TryAcquire(member("b"), nil); !ok {
		t.Fatal("not taken over after the lease")
	}
}

// A commit that is still on its way lands when the former owner asks, and never behind a claim.
func TestLateCommit(t *testing.T) {
	late := func(*statestore.Commit) memory.Fault { return memory.FaultLate }
	for _, takenOver := range []bool{false, true} {
		s := memory.New(memory.Config{Faults: memory.Faults{Commit: late}, Lease: time.Nanosecond})
		a, _ := s.TryAcquire(member("a"), nil)
		err := s.Commit(t.Context(), &statestore.Commit{Fence: a.Fence, Number: 1, NextNumber: 9})
		if !errors.Is(err, statestore.ErrDoubt) {
			t.Fatalf("commit: %v, want ErrDoubt", err)
		}
		if takenOver {
			b, ok := s.TryAcquire(member("b"), nil)
			if !ok || b.NextNumber != 1 {
				t.Fatalf("claim %+v, %v", b, ok)
			}
			s.Land()
			if c, _ := s.TryAcquire(member("b"), nil); c.NextNumber != 1 {
				t.Error("a fenced commit landed")
			}
			continue
		}
		if n, err := s.LastCommit(t.Context(), a.Fence); n != 1 || err != nil {
			t.Errorf("last commit %d, %v; want 1", n, err)
		}
	}
}

func TestFaults(t *testing.T) {
	broken := errors.New("broken")
	s := memory.New(memory.Config{Faults: memory.Faults{
		Commit: func(*statestore.Commit) memory.Fault { return memory.FaultUnavailable },
		Call: func(name string) error {
			if name == "states" {
				return broken
			}
			return nil
		},
	}})
	a, _ := s.TryAcquire(member("a"), nil)
	if err := s.Commit(t.Context(), &statestore.Commit{Fence: a.Fence, Number: 1, NextNumber: 1}); !errors.Is(err, statestore.ErrUnavailable) {
		t.Errorf("commit: %v, want ErrUnavailable", err)
	}
	if _, err := s.States(t.Context(), nil); !errors.Is(err, broken) {
		t.Errorf("states: %v, want the fault", err)
	}
	if err := s.Open(memory.Faults{}).Commit(t.Context(), &statestore.Commit{Fence: a.Fence, Number: 1, NextNumber: 1}); err != nil {
		t.Errorf("another handle: %v", err)
	}
}

// Outputs that leave a gap in their lane are refused with everything else in the commit.
func TestOutputsContinueTheirLane(t *testing.T) {
	s := memory.New(memory.Config{})
	a, _ := s.TryAcquire(member("a"), []string{"e"})
	for _, lane := range []string{"e", "unknown"} {
		c := &statestore.Commit{Fence: a.Fence, Number: 1, NextNumber: 5, Outputs: []statestore.OutputPack{{Lane: statestore.LaneID{Egress: lane}, First: 2}}}
		if err := s.Commit(t.Context(), c); err == nil || errors.Is(err, statestore.ErrFenced) {
			t.Errorf("lane %q: %v, want a final error", lane, err)
		}
	}
	if n, _ := s.LastCommit(t.Context(), a.Fence); n != 0 {
		t.Errorf("last commit %d, want 0", n)
	}
}
