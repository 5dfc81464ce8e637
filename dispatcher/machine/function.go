package machine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// function is what the machine knows of one function type.
type function struct {
	name     api.FunctionType
	cfg      Function
	declared bool
	gate     *gate
	dead     *deadTotal
	specs    []statestore.StateSpec // in the order in which they became known
	dirty    bool
	heard    bool // it has answered in this incarnation: the specs are what it declares now

	kept      int64 // messages that no source replays, in memory
	keptBytes int64
	stored    int64 // messages that are only in the store
	storedBy  int64 // the same in bytes

	strangers    map[string]*stranger // of a function that the module does not declare, by id; as they were claimed
	unlisted     int64                // addresses beside them, of which no more is known
	strange      int64                // messages that wait in packs for all of them
	strangeBytes int64

	stateMean  int // what the states of an address weigh that is loaded, about
	loadsOut   int // addresses whose states are asked for
	loadWindow int // how many of them there may be; 0: nothing has been loaded yet
	loadBytes  int // that the loads which are out may bring of them, about
	busyBytes  int // states of its cells that are not at rest
	toLoad     []*cell
	shortSince int64 // since when those wait for room; 0: they do not

	paused    bool        // an operator wants it not to be called
	held      fifo[*cell] // whose calls wait for the end of a pause, and some that do not any more
	heldSweep int         // how many must stand there before they are looked through

	events   fifo[event] // from outside, that wait for room
	eventful bool        // it stands in the machine's list of those that have some

	cursor    []byte // where the walk over its spilled addresses stands
	walking   bool   // a page is asked for
	forgot    bool   // cells were forgotten during the walk, maybe behind its cursor
	unwatched bool   // addresses may have spilled mail that no cell in memory knows of
	queued    bool   // it stands in the machine's queue of such functions
}

func (m *Machine) function(t api.FunctionType) *function {
	f := m.functions[t]
	if f != nil {
		return f
	}
	f = &function{name: t}
	f.cfg, f.declared = m.cfg.Function(t)
	f.declared = f.declared || t == OnceType // the machine serves it itself
	f.cfg.defaults()
	f.gate = m.gate(f.cfg.Endpoint)
	f.dead = m.deadOf(api.OriginFunction(t))
	_, f.paused = m.pauses.functions[t]
	m.functions[t] = f
	m.functionList = append(m.functionList, f)
	return f
}

// functionConfig says how a type is called, and remembers nothing of a type that it sees for the first time: names come from
// replies, and those of functions that are never called must not gather.
func (m *Machine) functionConfig(t api.FunctionType) (Function, bool) {
	if f := m.functions[t]; f != nil {
		return f.cfg, f.declared
	}
	return m.cfg.Function(t)
}

// keptCount counts a message that no source replays, in or out.
func (f *function) keptCount(msg *message, n int64) {
	if msg.source == nil {
		f.kept += n
		f.keptBytes += n * int64(msg.size)
	}
}

// overKept reports whether no more records may be kept for the function.
func (m *Machine) overKept(f *function) bool { return f.keptBytes+f.storedBy >= m.cfg.KeptBytesMax }

// choked reports whether all sources must wait: a bound of the store is reached to which any of them may lead.
func (m *Machine) choked() bool {
	for _, l := range m.laneList {
		if l.bytes >= m.cfg.OutboxBytesMax {
			return true
		}
	}
	return m.heavy
}

// overStored looks through all functions, which may be many: now and then.
func (m *Machine) overStored() bool {
	var sum int64
	for _, f := range m.functionList {
		sum += f.keptBytes + f.storedBy
	}
	return sum >= m.cfg.StoredBytesMax
}

// cutText bounds what is remembered of texts that others have written: names in a reply may be as long as the reply.
func cutText(s string) string {
	const textMax = 2048
	if len(s) <= textMax {
		return s
	}
	return strings.ToValidUTF8(s[:textMax], "") + "..."
}

func (f *function) spec(name string) *statestore.StateSpec {
	i := slices.IndexFunc(f.specs, func(s statestore.StateSpec) bool { return s.Name == name })
	if i < 0 {
		return nil
	}
	return &f.specs[i]
}

// carried are the states that its calls carry: none until it has answered once in this incarnation. It names those that it misses,
// before any code of its user runs, and so it is heard when it declares another type or expiration than the store remembers. An
// SDK asks by names only: given the states of old it would never tell, and might read a value of another type.
func (f *function) carried() []statestore.StateSpec {
	if !f.heard {
		return nil
	}
	return f.specs
}

// learn registers the states that a function asked for. It fails when a name is known with another type; what one reply
// asks for is learned as a whole or not at all.
func (m *Machine) learn(f *function, missing []statestore.StateSpec) error {
	specs := slices.Clone(f.specs)
	for _, want := range missing {
		if len(want.Name) > api.NameBytesMax || len(want.TypeName) > api.TypeNameBytesMax {
			return fmt.Errorf("declares a state with a name of %d bytes and a type name of %d: at most %d and %d are allowed",
				len(want.Name), len(want.TypeName), api.NameBytesMax, api.TypeNameBytesMax)
		}
		i := slices.IndexFunc(specs, func(s statestore.StateSpec) bool { return s.Name == want.Name })
		switch {
		case i < 0 && len(specs) >= api.StatesPerFunction:
			return fmt.Errorf("declares more than %d states", api.StatesPerFunction)
		case i < 0:
			specs = append(specs, want)
		case specs[i].TypeName != want.TypeName:
			return fmt.Errorf("declares state %q with type %q, but it is known with type %q: rename the state or restore its type", want.Name, want.TypeName, specs[i].TypeName)
		default:
			specs[i] = want
		}
	}
	if !slices.Equal(specs, f.specs) {
		f.specs = specs
		m.noteExpiring(specs)
		m.effect(false)
		if !f.dirty {
			f.dirty = true
			m.dirtyFunctions = append(m.dirtyFunctions, f)
		}
	}
	return nil
}

func findValue(values []statestore.StateValue, name string) (int, bool) {
	return slices.BinarySearchFunc(values, name, func(v statestore.StateValue, n string) int { return strings.Compare(v.Name, n) })
}
