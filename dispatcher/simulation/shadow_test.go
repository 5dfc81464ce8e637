package simulation_test

import (
	"fmt"
	"maps"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// shadow is what the states must be, kept beside the machine from the calls that were answered alone. It is copied with each
// commit, so that whoever begins on the store is held to what the store has.
type shadow struct {
	addresses map[api.Address]shadowAddress
	applied   map[int]application       // by node
	kept      map[int]bool              // nodes that a commit has kept as messages: no source need bring them
	aside     map[int]bool              // nodes for a function that the module of who got them did not declare
	letters   map[uint64]api.DeadLetter // that were set aside
	unheard   map[string]bool           // clients whose message was set aside, by the id of their address
	discarded map[uint64]bool           // dead letters that are gone; false: they were replayed
	paused    map[statestore.Pause]bool // by what they are of
	skipped   map[int]bool              // nodes that an operator has set aside
	revived   map[int]bool              // nodes that were replayed
	anew      map[string]bool           // outputs that were replayed
	acts      uint64                    // number of the next act
	old       bool                      // the old source is known
	numbers   map[uint64]int            // nodes, and 1, by the numbers under which they are kept
	highest   uint64                    // number of a message that a commit has told
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
	step, order int   // within the life
	now         int64 // by the clock of who called
	latest      int64 // by the clock that was farthest
}

func newShadow() *shadow {
	return &shadow{addresses: map[api.Address]shadowAddress{}, applied: map[int]application{}, kept: map[int]bool{}, aside: map[int]bool{}, discarded: map[uint64]bool{}, letters: map[uint64]api.DeadLetter{}, unheard: map[string]bool{},
		paused: map[statestore.Pause]bool{}, skipped: map[int]bool{}, numbers: map[uint64]int{}, revived: map[int]bool{}, anew: map[string]bool{}, acts: 1}
}

func (s *shadow) clone() *shadow {
	return &shadow{addresses: maps.Clone(s.addresses), applied: maps.Clone(s.applied), kept: maps.Clone(s.kept), aside: maps.Clone(s.aside), discarded: maps.Clone(s.discarded), letters: maps.Clone(s.letters), unheard: maps.Clone(s.unheard),
		paused: maps.Clone(s.paused), skipped: maps.Clone(s.skipped), numbers: maps.Clone(s.numbers), revived: maps.Clone(s.revived), anew: maps.Clone(s.anew), acts: s.acts, old: s.old, highest: s.highest}
}

// fits judges a state that may expire. Clocks of members differ: a value is gone once one of them has found it expired, and
// whether any has that is none of the model's business as long as one could.
func (m *mark) fits(w *world, ttl, now, latest int64, set bool, value []byte) (bool, mark) {
	switch {
	case !m.set || m.touched+ttl <= now:
		return !set, mark{}
	case set:
		return string(value) == w.nodes[m.node].mark(), *m
	case m.touched+ttl <= latest:
		return true, mark{}
	}
	return false, *m
}

// started judges a call that begins now: its states are exactly what they must be.
func (s *shadow) started(w *world, c *machine.Call, now, latest int64) error {
	a := s.addresses[c.Target]
	carried := map[string]machine.CallState{}
	for _, have := range c.States {
		carried[have.Name] = have
	}
	if have, ok := carried[stateLog]; ok {
		if got := decodeLog(have.Value.Value); !slices.Equal(got, a.log) {
			return fmt.Errorf("call of %v carries log %v, want %v", c.Target, got, a.log)
		}
	}
	for name, of := range map[string]*mark{stateWrite: &a.write, stateInvoke: &a.invoke} {
		have, ok := carried[name]
		ttl := w.ttl(name)
		if !ok {
			if of.set && of.touched+ttl <= now {
				*of = mark{}
			}
			continue
		}
		fits, next := of.fits(w, ttl, now, latest, have.Set, have.Value.Value)
		if !fits {
			return fmt.Errorf("call of %v at %d carries state %s %v %.20q, want %+v (time to live %d)", c.Target, now, name, have.Set, have.Value.Value, *of, ttl)
		}
		*of = next
	}
	s.addresses[c.Target] = a
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
func (s *shadow) replied(w *world, c *machine.Call, built, now, latest int64, step int) error {
	a := s.addresses[c.Target]
	log := slices.Clone(a.log)
	for i := range c.Messages {
		n := w.node(&c.Messages[i])
		log = append(log, n.id)
		if count(log, n.id) > n.times() {
			return fmt.Errorf("node %d runs twice at %v", n.id, c.Target)
		}
		s.applied[n.id] = application{step, len(s.applied), now, latest}
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

// numbered notes the number of a message that the store is told of.
func (s *shadow) numbered(n uint64) { s.highest = max(s.highest, n) }
