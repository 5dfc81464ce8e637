package playground

import (
	"context"
	"fmt"
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
func (r *Relay) file(n uint64, t *topic, payload func() string, now time.Time) {
	if t.behind {
		return
	}
	if !r.push(t, waiting{number: n, payload: payload(), at: now}) {
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

// unsorted is the error of a fetch that cannot say yet whether its topic has a record.
type unsorted struct{ left uint64 } // outputs that are to be looked at

func (e *unsorted) Error() string { return fmt.Sprintf("%d outputs are not looked at", e.left) }

// fetch takes the oldest record of a topic out; ok is false when there is none among all that was committed when it was asked. Whoever
// fetches it says whether it has arrived: finish, or putBack.
func (r *Relay) fetch(ctx context.Context, name string, t *topic) (w waiting, ok bool, err error) {
	r.mu.Lock()
	known := r.known
	r.mu.Unlock()
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return w, false, r.left(t)
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
		behind, from, sorted := t.behind, t.next, r.sorted
		if r.looked == nil {
			r.looked = make(chan struct{})
		}
		looked := r.looked
		r.mu.Unlock()
		switch {
		case behind:
			packs, err := r.read(ctx, from)
			if ctx.Err() != nil {
				return w, false, r.left(t)
			} else if err != nil {
				return w, false, err
			}
			r.readBack(name, t, packs, sorted)
		case sorted >= known:
			return w, false, nil
		default:
			select {
			case <-looked:
			case <-ctx.Done():
				return w, false, r.left(t)
			}
		}
	}
}

// left says how much must be looked at before anything can be said of a topic that has nothing in memory.
func (r *Relay) left(t *topic) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	from := r.sorted
	if t.behind {
		from = t.next
	}
	return &unsorted{r.known - min(from, r.known)}
}

// readBack looks through outputs for those of a topic that is behind, as far as they are sorted. sorted is what was before the store was
// asked: what has been sorted since stands in no pack and is not gone.
func (r *Relay) readBack(name string, t *topic, packs []statestore.OutputPack, sorted uint64) {
	now := time.Now()
reading:
	for i := range packs {
		for j := range packs[i].Outputs {
			if !r.readOutput(name, t, &packs[i], j, now) {
				break reading
			}
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(packs) == 0 { // all of them were done, and are gone
		t.next = max(t.next, sorted)
	}
	if t.next >= r.sorted {
		t.behind = false
	}
}

// readOutput looks at one of them, and reports whether the next one's turn has come. Others go on while it is decoded.
func (r *Relay) readOutput(name string, t *topic, p *statestore.OutputPack, at int, now time.Time) bool {
	n := p.First + uint64(at)
	r.mu.Lock()
	t.next = max(t.next, min(p.First, r.sorted)) // what lay between was done, and is gone
	old, unsorted := n < t.next, n >= r.sorted
	done := r.done.Contains(int64(n)) || slices.Contains(p.Refused, n)
	r.mu.Unlock()
	if old || unsorted {
		return old // once one is not sorted none behind it is looked at: it may be sorted by then, and this one passed over
	}
	text, mine := "", false
	if !done {
		rec, problem := decode(&p.Outputs[at].Value)
		if mine = problem == nil && rec.topic == name; mine {
			text = rec.text()
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if mine && !r.push(t, waiting{number: n, payload: text, at: now}) {
		t.next = n
		return false
	}
	t.next = n + 1
	return true
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
