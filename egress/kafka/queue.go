package kafka

import (
	"slices"
	"sync"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// item is one output on its way.
type item struct {
	number uint64
	output *api.Output
	aside  bool // a dead letter says so in the store: nothing is to be sent

	judged bool   // the fields below are set
	record record // what to send
	reason string // set instead: why it is refused for good
	detail string

	acked bool // Kafka has it
	lost  bool // Kafka does not have it and it is given up
}

// queue holds what was offered and not yet taken: a run of packs without gaps. What does not fit is left out and has to be read from
// the store: it is whatever lies between next and the first pack, or between next and end.
type queue struct {
	bound int64         // of bytes; unbounded: none
	wake  chan struct{} // has a token when there may be something to take

	mu      sync.Mutex
	packs   []held
	bytes   int64  // of packs
	next    uint64 // first number that was not taken
	end     uint64 // number behind the highest that is known to be committed
	settled uint64 // all below are delivered or set aside
	ages    []age
}

// held is a pack in memory.
type held struct {
	statestore.OutputPack
	bytes int64
}

func (h *held) end() uint64 { return h.First + uint64(len(h.Outputs)) }

// age says when outputs from a number on were first seen.
type age struct {
	from uint64
	at   time.Time
}

const (
	unbounded = -1
	agesMax   = 1024 // beyond it every second one is forgotten: ages become coarser
	ageApart  = 100 * time.Millisecond
)

// newQueue is a queue whose outputs from next up to end are only in the store.
func newQueue(next, end uint64, bound int64) *queue {
	q := &queue{bound: bound, wake: make(chan struct{}, 1), next: next, end: end, settled: next}
	if next < end {
		q.ages = append(q.ages, age{next, time.Now()})
		q.wake <- struct{}{}
	}
	return q
}

// offer takes a pack that follows what was offered before.
func (q *queue) offer(pack statestore.OutputPack, now time.Time) {
	if len(pack.Outputs) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	h := held{OutputPack: pack}
	if h.First < q.end { // read from the store already
		known := min(q.end-h.First, uint64(len(h.Outputs)))
		h.First, h.Outputs = h.First+known, h.Outputs[known:]
	}
	if len(h.Outputs) == 0 {
		return
	}
	for i := range h.Outputs {
		h.bytes += int64(h.Outputs[i].Size())
	}
	q.seen(h.First, now)
	q.end = h.end()
	if q.fits(&h) {
		q.packs = append(q.packs, h)
		q.bytes += h.bytes
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// fits reports whether memory takes a pack: only as the next of a run without gaps.
func (q *queue) fits(h *held) bool {
	if q.bound == unbounded {
		return true
	}
	if n := len(q.packs); n > 0 && q.packs[n-1].end() != h.First {
		return false
	}
	return q.bytes+h.bytes <= q.bound
}

// seen notes the age of outputs.
func (q *queue) seen(from uint64, now time.Time) {
	n := len(q.ages)
	if n > 0 && q.settled < q.end && now.Sub(q.ages[n-1].at) < ageApart {
		return
	}
	if n >= agesMax {
		for i := range n / 2 {
			q.ages[i] = q.ages[2*i]
		}
		q.ages = q.ages[:n/2]
	}
	q.ages = append(q.ages, age{from, now})
}

// take moves outputs from memory behind the given items: at most count, and only one when that alone is more than bytes. behind says
// instead that the next ones are only in the store, from number next on.
func (q *queue) take(items []item, count, bytes int) (_ []item, next uint64, behind bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.packs) > 0 && q.packs[0].end() <= q.next {
		q.drop()
	}
	if len(q.packs) > 0 && q.bound == unbounded {
		q.next = max(q.next, q.packs[0].First) // there is no store to read from
	}
	if len(q.packs) == 0 || q.packs[0].First > q.next {
		return items, q.next, q.next < q.end
	}
	items = slices.Grow(items, q.ready(count))
	for len(q.packs) > 0 {
		p := &q.packs[0]
		if p.First > q.next {
			break
		}
		had, full := len(items), false
		items, full = cut(items, &p.OutputPack, q.next, count, &bytes)
		q.next += uint64(len(items) - had)
		if full {
			break
		}
		q.drop()
	}
	return items, q.next, false
}

// ready is how many outputs are in memory from next on, or count when there are more.
func (q *queue) ready(count int) int {
	end := q.next
	for i := range q.packs {
		if p := &q.packs[i]; p.First <= end && end-q.next < uint64(count) {
			end = max(end, p.end())
			continue
		}
		break
	}
	return min(int(end-q.next), count)
}

func (q *queue) drop() {
	q.bytes -= q.packs[0].bytes
	q.packs[0] = held{}
	q.packs = q.packs[1:]
}

// cut adds items for a pack's outputs from a number on, up to count and within bytes (the first of all always). full: there is more.
func cut(items []item, p *statestore.OutputPack, from uint64, count int, bytes *int) (more []item, full bool) {
	refused := p.Refused
	for i := int(from - p.First); i < len(p.Outputs); i++ {
		out := &p.Outputs[i]
		size := out.Size()
		if len(items) >= count || size > *bytes && len(items) > 0 {
			return items, true
		}
		*bytes -= size
		number := p.First + uint64(i)
		for len(refused) > 0 && refused[0] < number {
			refused = refused[1:]
		}
		items = append(items, item{number: number, output: out, aside: len(refused) > 0 && refused[0] == number})
	}
	return items, false
}

// readBack puts packs in front that were read from the store, from next on; they may take the queue above its bound, by one
// read. ok is false when next is not among them.
func (q *queue) readBack(packs []statestore.OutputPack) (ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var front []held
	at := q.next
	for _, p := range packs {
		h := held{OutputPack: p}
		if h.end() <= at {
			continue
		}
		if h.First > at || len(q.packs) > 0 && h.First >= q.packs[0].First {
			break
		}
		for i := range h.Outputs {
			h.bytes += int64(h.Outputs[i].Size())
		}
		q.bytes += h.bytes
		front = append(front, h)
		at = h.end()
	}
	q.packs = append(front, q.packs...)
	q.end = max(q.end, at)
	return len(front) > 0
}

// seek leaves out what is below a number.
func (q *queue) seek(to uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.next = max(q.next, to)
}

// known is the number behind the highest that is known to be committed.
func (q *queue) known() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.end
}

// idle reports whether all that is known was taken.
func (q *queue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.next >= q.end
}

// What waits to be taken.
const (
	nothing = iota
	some
	enough // for a whole transaction
)

// waiting says how much is known that was not taken.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch n := q.end - min(q.next, q.end); {
	case n == 0:
		return nothing
	case n >= batchOutputs || q.bytes >= batchBytes:
		return enough
	}
	return some
}

// delivered notes that all below are delivered or set aside.
func (q *queue) delivered(below uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.settled = max(q.settled, below)
	for len(q.ages) > 1 && q.ages[1].from <= q.settled {
		q.ages = q.ages[1:]
	}
	if q.settled >= q.end {
		q.ages = nil
	}
}

// pending is how many outputs are not delivered and how long the oldest has waited.
func (q *queue) pending(now time.Time) (outputs int64, oldest time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.settled >= q.end || len(q.ages) == 0 {
		return 0, 0
	}
	return int64(q.end - q.settled), max(now.Sub(q.ages[0].at), 0)
}
