package playground

import (
	"context"
	"slices"
	"time"

	"github.com/stategate/stategate/statestore"
)

// topic is what waits to be fetched of one topic: in memory, and, when it is behind, in the store.
type topic struct {
	turn chan struct{} // holds a token while somebody fetches: they take their turns

	queue  []waiting
	bytes  int
	behind bool   // more of it is in the store, from number next on
	next   uint64 // while behind: all below have been looked at for it
}

// waiting is a record that waits to be fetched.
type waiting struct {
	number  uint64
	payload string
	at      time.Time // when this member has seen it first
}

// recordOverhead is what a record costs in memory beside its payload, in bytes.
const recordOverhead = 100

func (w *waiting) size() int { return recordOverhead + len(w.payload) }

// file puts an output that was just sorted behind its topic's others. The caller holds r.mu.
func (r *Relay) file(n uint64, rec record, now time.Time) {
	t := r.topics[rec.topic]
	if t.behind {
		return
	}
	if !r.push(t, waiting{number: n, payload: rec.payload, at: now}) {
		t.behind, t.next = true, n
	}
}

// push takes a record into memory if there is room; one alone always has some.
func (r *Relay) push(t *topic, w waiting) bool {
	if len(t.queue) > 0 && t.bytes+w.size() > r.share {
		return false
	}
	t.queue = append(t.queue, w)
	t.bytes += w.size()
	return true
}

// fetch takes the oldest record of a topic out; ok is false when there is none. Whoever fetches it says whether it has arrived: finish, or
// putBack.
func (r *Relay) fetch(ctx context.Context, name string, t *topic) (w waiting, ok bool, err error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return w, false, ctx.Err()
	}
	for {
		r.mu.Lock()
		if len(t.queue) > 0 {
			w = t.queue[0]
			t.queue[0] = waiting{}
			t.queue = t.queue[1:]
			t.bytes -= w.size()
			r.mu.Unlock()
			return w, true, nil
		}
		behind, from := t.behind, t.next
		r.mu.Unlock()
		if !behind {
			return w, false, nil
		}
		packs, err := r.read(ctx, from)
		if err != nil {
			return w, false, err
		}
		r.readBack(name, t, packs)
	}
}

// readBack looks through outputs for those of a topic that is behind, as far as they are sorted.
func (r *Relay) readBack(name string, t *topic, packs []statestore.OutputPack) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range packs {
		p := &packs[i]
		t.next = max(t.next, min(p.First, r.sorted)) // what lay between was done, and is gone
		for j := range p.Outputs {
			n := p.First + uint64(j)
			if n < t.next {
				continue
			}
			if n >= r.sorted {
				break
			}
			if !r.done.Contains(int64(n)) && !slices.Contains(p.Refused, n) {
				rec, problem := decode(&p.Outputs[j].Value)
				if problem == nil && rec.topic == name && !r.push(t, waiting{number: n, payload: rec.payload, at: now}) {
					t.next = n
					return
				}
			}
			t.next = n + 1
		}
	}
	if len(packs) == 0 { // all of them were done, and are gone
		t.next = r.sorted
	}
	if t.next >= r.sorted {
		t.behind = false
	}
}

// putBack puts a record in front again whose fetcher has not got it.
func (r *Relay) putBack(t *topic, w waiting) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, _ := slices.BinarySearchFunc(t.queue, w.number, func(have waiting, n uint64) int {
		if have.number < n {
			return -1
		}
		return 1
	})
	t.queue = slices.Insert(t.queue, at, w)
	t.bytes += w.size()
}
