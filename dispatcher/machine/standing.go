package machine

import (
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// FunctionState is what is known of a function type beside what waits for it.
type FunctionState struct {
	Name        api.FunctionType
	Declared    bool
	Endpoint    string // scheme, host and path
	States      []statestore.StateSpec
	DeadLetters int64
}

// Functions are all that the machine knows, sorted by name.
func (m *Machine) Functions() []FunctionState {
	out := make([]FunctionState, 0, len(m.functionList))
	for _, f := range m.functionList {
		if f.name != OnceType {
			out = append(out, FunctionState{f.name, f.declared, f.gate.key, f.specs, f.dead.letters})
		}
	}
	slices.SortFunc(out, func(a, b FunctionState) int { return strings.Compare(a.Name.String(), b.Name.String()) })
	return out
}

// SourceState is what becomes of one partition of an ingress.
type SourceState struct {
	ID         api.Source
	Unfinished int    // messages that only the source can replay
	OldestMS   int64  // age of the oldest of them
	WaitsFor   string // as in IngressState.Paused; "": it brings records
}

// Sources are all of one ingress.
func (m *Machine) Sources(ingress string) []SourceState {
	var out []SourceState
	for _, s := range m.sourceList {
		if s.id.Ingress != ingress {
			continue
		}
		state := SourceState{ID: s.id, Unfinished: s.pending, OldestMS: m.oldestOf(s)}
		if s.full {
			state.WaitsFor = m.pauseOf(s)
		}
		out = append(out, state)
	}
	slices.SortFunc(out, func(a, b SourceState) int { return compareSources(a.ID, b.ID) })
	return out
}

func compareSources(a, b api.Source) int {
	if c := strings.Compare(a.Topic, b.Topic); c != 0 {
		return c
	}
	return int(a.Partition) - int(b.Partition)
}

// oldestOf is the age of the oldest record of a source that is not finished, in milliseconds.
func (m *Machine) oldestOf(s *source) (ms int64) {
	for t := range s.waiting {
		for _, msg := range s.waiting[t].all() {
			if msg.source == s {
				ms = max(ms, m.now-msg.arrived)
				break
			}
		}
	}
	return ms
}

// LaneState is one stream of outputs.
type LaneState struct {
	ID        statestore.LaneID
	Next      uint64 // number of the next output
	Delivered uint64 // all below is delivered or set aside
	Trimmed   uint64 // all below is forgotten by the store
	Bytes     int64  // that wait
	OldestMS  int64  // age of the oldest that waits, or of the claim
	Started   bool   // its first cursor is written
	Strange   bool   // the module does not declare an egress that keeps its outputs so: nobody delivers them
}

// Lanes are those that outputs may be in, in the order of their egresses; those of egresses that the module does not declare so come last.
func (m *Machine) Lanes() []LaneState {
	out := make([]LaneState, 0, len(m.laneList))
	for _, id := range sortedKeys(m.lanes) {
		l := m.lanes[id]
		state := LaneState{ID: l.id, Next: l.next + uint64(len(l.gathered)), Delivered: max(l.delivered, 1), Trimmed: max(l.trimmed, 1), Bytes: l.bytes, Started: l.started}
		if l.chunks.len() > 0 {
			state.OldestMS = m.now - l.chunks.front().atMS
		}
		out = append(out, state)
	}
	for i := range m.strangers {
		l := &m.strangers[i]
		out = append(out, LaneState{ID: l.LaneID, Next: l.Next, Delivered: l.Low, Trimmed: l.Low, Bytes: l.Bytes, Started: l.Started, Strange: true})
	}
	return out
}
