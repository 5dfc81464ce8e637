package simulation_test

import (
	"fmt"
	"maps"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

// shadow is what the states must be, kept beside the machine from the calls that were answered alone. It is copied with each
// commit, so that after a crash the machine is held to what was durable.
type shadow struct {
	addresses map[api.Address]shadowAddress
	applied   map[int]application // by node
}

type shadowAddress struct {
	log    []int // never changed in place
	write  mark
	invoke mark
}

type mark struct {
	set     bool
	node    int
	touched int64
}

// application is when a node's effects came into memory.
type application struct {
	step, order int // within the life
	now         int64
}

func newShadow() *shadow {
	return &shadow{addresses: map[api.Address]shadowAddress{}, applied: map[int]application{}}
}

func (s *shadow) clone() *shadow {
	return &shadow{addresses: maps.Clone(s.addresses), applied: maps.Clone(s.applied)}
}

// started judges a call that begins now: its states are exactly what they must be.
func (s *shadow) started(w *world, c *machine.Call, now int64) error {
	a := s.addresses[c.Target]
	if a.write.set && a.write.touched+w.ttlW <= now {
		a.write = mark{}
	}
	if a.invoke.set && a.invoke.touched+w.ttlI <= now {
		a.invoke = mark{}
	}
	s.addresses[c.Target] = a
	for _, have := range c.States {
		switch have.Name {
		case stateLog:
			if got := decodeLog(have.Value.Value); !slices.Equal(got, a.log) {
				return fmt.Errorf("call of %v carries log %v, want %v", c.Target, got, a.log)
			}
		case stateWrite, stateInvoke:
			want := a.write
			if have.Name == stateInvoke {
				want = a.invoke
			}
			if have.Set != want.set || want.set && string(have.Value.Value) != w.nodes[want.node].mark() {
				return fmt.Errorf("call of %v at %d carries state %s %v %q, want %+v (time to live %d, %d)",
					c.Target, now, have.Name, have.Set, have.Value.Value, want, w.ttlW, w.ttlI)
			}
		}
	}
	return nil
}

func count(log []int, id int) (n int) {
	for _, have := range log {
		if have == id {
			n++
		}
	}
	return n
}

// replied takes over a reply that the machine must have accepted.
func (s *shadow) replied(w *world, c *machine.Call, built, now int64, step int) error {
	a := s.addresses[c.Target]
	log := slices.Clone(a.log)
	for i := range c.Messages {
		n := w.node(&c.Messages[i])
		log = append(log, n.id)
		if count(log, n.id) > n.times() {
			return fmt.Errorf("node %d runs twice at %v", n.id, c.Target)
		}
		s.applied[n.id] = application{step, len(s.applied), now}
		if n.writes() {
			a.write = mark{true, n.id, now}
			a.invoke = mark{true, n.id, now}
		}
		if n.id%17 == 5 {
			a.invoke = mark{}
		}
	}
	if a.invoke.set {
		a.invoke.touched = max(a.invoke.touched, built)
	}
	a.log = log
	s.addresses[c.Target] = a
	return nil
}
