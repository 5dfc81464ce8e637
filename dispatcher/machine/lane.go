package machine

import (
	"fmt"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// lane is one egress's stream of outputs. Its numbers come from its row in the store and from nowhere else.
type lane struct {
	id     statestore.LaneID
	outbox bool
	next   uint64

	started bool // its first cursor is written, for what is shown

	gathered      []api.Output // since the last cut, from number next on
	gatheredBytes int
	room          int // for what gathers next: about as much as last time

	bytes     int64 // committed or about to be, and not delivered
	chunks    fifo[laneChunk]
	delivered uint64 // outputs below are delivered
	trimmed   uint64 // outputs below are forgotten by the store

	dead          *deadTotal
	refused       []api.DeadLetter // that wait for room among them
	refusedTokens []uint64
}

// laneChunk is what one cut added to a lane.
type laneChunk struct {
	end   uint64
	bytes int64
	atMS  int64
}

// packBytes splits a cut's outputs into packs of about this size, so that no row grows without bound.
const packBytes = 4 << 20

// gatheredRoomMax bounds the room that is made before it is needed.
const gatheredRoomMax = 16 << 10

func (m *Machine) addLane(l *lane) {
	l.dead = m.deadOf(api.OriginEgress(l.id.Egress))
	m.lanes[l.id.Egress] = l
	m.laneList = append(m.laneList, l)
}

// claimed spreads what is stored evenly over its numbers: how large each output is the claim does not say, and room must not
// wait for the last of them.
func (l *lane) claimed(bytes, now int64) {
	const parts = 64
	count := l.next - l.delivered
	for i := uint64(1); i <= parts && bytes > 0 && count > 0; i++ {
		end, part := l.delivered+count*i/parts, bytes/parts
		if i == parts {
			end, part = l.next, bytes-part*(parts-1)
		}
		l.chunks.push(laneChunk{end: end, bytes: part, atMS: now})
	}
}

// output gathers a record for its egress. One for an egress that the module does not declare is set aside, alone.
func (m *Machine) output(from api.Address, o *Output, trace *api.Trace) {
	l := m.lanes[o.Egress]
	if l == nil {
		m.setAside(api.DeadLetter{
			Kind: api.DeadOutput, From: cutText(o.Egress), Reason: "unknown egress",
			Detail: fmt.Sprintf("the module declares no egress %q", cutText(o.Egress)), Address: from, TypeName: o.Value.TypeName, Value: o.Value.Value, NoValue: !o.Value.HasValue,
		}, m.deadOf(api.OriginFunction(from.Type)))
		return
	}
	out := api.Output{Sender: from, Value: o.Value, Trace: trace}
	size := out.Size()
	if l.gathered == nil {
		l.gathered = make([]api.Output, 0, l.room)
	}
	if n := len(l.gathered); n == cap(l.gathered) {
		l.gathered = slices.Grow(l.gathered, max(n, 1))
	}
	l.gathered = append(l.gathered, out)
	l.gatheredBytes += size
	l.bytes += int64(size)
	m.effects++
	m.effectBytes += size
	m.effect(true)
}

// cutLane turns what was gathered into packs.
func (m *Machine) cutLane(l *lane) []statestore.OutputPack {
	var packs []statestore.OutputPack
	for start := 0; start < len(l.gathered); {
		end, bytes := start, 0
		for end < len(l.gathered) && (end == start || bytes < packBytes) {
			bytes += l.gathered[end].Size()
			end++
		}
		packs = append(packs, statestore.OutputPack{Lane: l.id, First: l.next, Outputs: l.gathered[start:end:end]})
		l.next += uint64(end - start)
		l.chunks.push(laneChunk{end: l.next, bytes: int64(bytes), atMS: m.now})
		start = end
	}
	l.room = min(len(l.gathered), gatheredRoomMax)
	l.gathered, l.gatheredBytes = nil, 0
	return packs
}

// Delivered tells that a lane's outputs below a number are delivered or set aside. The store forgets them with some later cut.
func (m *Machine) Delivered(id statestore.LaneID, below uint64) {
	l := m.lanes[id.Egress]
	if l == nil || below <= l.delivered {
		return
	}
	l.delivered = below
	for l.chunks.len() > 0 && l.chunks.front().end <= below {
		l.bytes -= l.chunks.pop().bytes
	}
	if l.outbox {
		m.lazy()
	}
	if m.choke {
		m.judgeStore()
	}
}

// LaneStarted tells that a lane has written its first cursor.
func (m *Machine) LaneStarted(id statestore.LaneID, token uint64) {
	if l := m.lanes[id.Egress]; l != nil {
		l.started = true
	}
	m.laneStarts = append(m.laneStarts, id)
	m.waitFor(token)
}
