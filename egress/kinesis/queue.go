package kinesis

import (
	"sync"
	"time"

	"github.com/stategate/stategate/statestore"
)

// queue holds what was offered and not yet taken: a run of packs without gaps. What does not fit is left out and has to be read from
// the store: it is whatever lies between next and the first pack, or between the last one and end.
type queue struct {
	bound int64         // of bytes
	wake  chan struct{} // capacity 1: there may be something to take

	mu      sync.Mutex
	packs   []held
	bytes   int64     // of packs
	next    uint64    // first number that was not taken
	end     uint64    // number behind the highest that is known to be committed
	settled uint64    // all below are delivered or set aside
	oldest  time.Time // since when something has been neither; zero: nothing is
	seen    uint64    // end when the oldest that is not settled was last looked for
	seenAt  time.Time
}

// held is a pack in memory.
type held struct {
	statestore.OutputPack
	bytes int64
}

func (h *held) end() uint64 { return h.First + uint64(len(h.Outputs)) }

func weigh(p statestore.OutputPack) held {
	h := held{OutputPack: p}
	for i := range p.Outputs {
		h.bytes += int64(p.Outputs[i].Size())
	}
	return h
}

// newQueue is a queue whose outputs from next up to end are only in the store.
func newQueue(next, end uint64, bound int64) *queue {
	q := &queue{bound: bound, wake: make(chan struct{}, 1), next: next, end: end, settled: next}
	if next < end {
		q.oldest = time.Now()
		q.seen, q.seenAt = end, q.oldest
		q.wake <- struct{}{}
	}
	return q
}

// offer takes a pack that follows what was offered before.
func (q *queue) offer(pack statestore.OutputPack, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if pack.First < q.end { // read from the store already
		known := min(q.end-pack.First, uint64(len(pack.Outputs)))
		pack.First, pack.Outputs = pack.First+known, pack.Outputs[known:]
	}
	if len(pack.Outputs) == 0 {
		return
	}
	if q.oldest.IsZero() {
		q.oldest = now
		q.seen, q.seenAt = pack.First+uint64(len(pack.Outputs)), now
	}
	h := weigh(pack)
	n := len(q.packs)
	follows := n > 0 && q.packs[n-1].end() == h.First || n == 0 && q.next == h.First
	if follows && q.bytes+h.bytes <= q.bound {
		q.packs = append(q.packs, h)
		q.bytes += h.bytes
	}
	q.end = h.end()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take moves outputs from memory: at most count, and only one when that alone is more than bytes. behind says instead that the
// next ones are only in the store, from number next on.
func (q *queue) take(count, bytes int) (items []*item, next uint64, behind bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	full := false
	for len(q.packs) > 0 && len(items) < count && !full {
		p := &q.packs[0]
		if p.First > q.next {
			break
		}
		refused := p.Refused
		for i := q.next - min(p.First, q.next); i < uint64(len(p.Outputs)) && len(items) < count; i++ {
			for len(refused) > 0 && refused[0] < q.next {
				refused = refused[1:]
			}
			if bytes -= p.Outputs[i].Size(); bytes < 0 && len(items) > 0 {
				full = true
				break
			}
			items = append(items, &item{number: q.next, output: &p.Outputs[i], aside: len(refused) > 0 && refused[0] == q.next})
			q.next++
		}
		if q.next >= p.end() {
			q.bytes -= p.bytes
			q.packs[0] = held{}
			q.packs = q.packs[1:]
		}
	}
	return items, q.next, len(items) == 0 && q.next < q.end
}

// readBack puts packs in front that were read from the store, from next on; they may take the queue above its bound, by one
// read. ok is false when next is not among them.
func (q *queue) readBack(packs []statestore.OutputPack) (ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var front []held
	at := q.next
	for _, p := range packs {
		h := weigh(p)
		if h.end() <= at {
			continue
		}
		if h.First > at || len(q.packs) > 0 && h.First >= q.packs[0].First {
			break
		}
		q.bytes += h.bytes
		front = append(front, h)
		at = h.end()
	}
	q.packs = append(front, q.packs...)
	q.end = max(q.end, at)
	return len(front) > 0
}

// delivered notes that all below are delivered or set aside. Of the age of the oldest that is not, it knows no more than that it came
// after the last time at which it looked.
func (q *queue) delivered(below uint64, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.settled = max(q.settled, below)
	switch {
	case q.settled >= q.end:
		q.oldest = time.Time{}
	case q.settled >= q.seen:
		q.oldest = q.seenAt
		q.seen, q.seenAt = q.end, now
	}
}

// pending is how many outputs are not delivered and how long the oldest has waited, at most.
func (q *queue) pending(now time.Time) (outputs int64, oldest time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.settled >= q.end || q.oldest.IsZero() {
		return 0, 0
	}
	return int64(q.end - q.settled), max(now.Sub(q.oldest), 0)
}
