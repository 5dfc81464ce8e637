package kafka

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// TestQueueKeepsOrderAndBound plays random offers, takes, reads and seeks against an outbox: what is taken has no gap, every refused
// output is marked, and memory stays within its bound and one read.
func TestQueueKeepsOrderAndBound(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		playQueue(t, rng)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func playQueue(t *testing.T, rng *rand.Rand) {
	const bound, read = 400, 200
	var store []statestore.OutputPack
	end, refused := uint64(1), map[uint64]bool{}
	commit := func() statestore.OutputPack {
		p := statestore.OutputPack{First: end, Outputs: make([]api.Output, 1+rng.IntN(5))}
		for i := range p.Outputs {
			p.Outputs[i].Value.Value = make([]byte, rng.IntN(60))
		}
		end += uint64(len(p.Outputs))
		store = append(store, p)
		return p
	}
	for range rng.IntN(4) { // what was there at the claim
		p := commit()
		refused[p.First] = true
	}
	outputs := func(from uint64, bytes int) (packs []statestore.OutputPack) {
		for _, p := range store {
			if p.First+uint64(len(p.Outputs)) <= from {
				continue
			}
			for i := range p.Outputs {
				bytes -= p.Outputs[i].Size()
				if n := p.First + uint64(i); refused[n] {
					p.Refused = append(p.Refused, n)
				}
			}
			if packs = append(packs, p); bytes < 0 {
				break
			}
		}
		return packs
	}
	now := time.Unix(1000, 0)
	q := newQueue(1, end, bound)
	next := uint64(1)
	take := func() {
		items, at, behind := q.take(nil, 1+rng.IntN(8), rng.IntN(150))
		if behind {
			if at != next || !q.readBack(outputs(at, read)) {
				t.Errorf("it asks for %d, want %d, or what it asked for is not taken", at, next)
			}
			return
		}
		for i := range items {
			if items[i].number != next || items[i].aside != refused[items[i].number] {
				t.Errorf("took %d (aside %v), want %d", items[i].number, items[i].aside, next)
			}
			next = items[i].number + 1
		}
		q.delivered(next)
	}
	for range 200 {
		switch rng.IntN(5) {
		case 0, 1:
			q.offer(commit(), now)
		case 2, 3:
			take()
		case 4:
			if rng.IntN(20) == 0 && next < end {
				next += rng.Uint64N(end - next)
				q.seek(next)
			}
		}
		now = now.Add(time.Duration(rng.IntN(300)) * time.Millisecond)
		if limit := int64(bound + read + 5*200); q.bytes > limit {
			t.Errorf("%d bytes are held", q.bytes)
		}
	}
	for range 1000 {
		if next == end {
			break
		}
		take()
	}
	if n, age := q.pending(now); next != end || !q.idle() || n != 0 || age != 0 {
		t.Errorf("took all below %d of %d; %d outputs of age %s are pending", next, end, n, age)
	}
	var left int64
	for _, p := range q.packs {
		left += p.bytes
	}
	if left != q.bytes {
		t.Errorf("%d bytes are counted, %d are there", q.bytes, left)
	}
}

// TestQueueMarksRefused: what an earlier owner has set aside is not sent again.
func TestQueueMarksRefused(t *testing.T) {
	q := newQueue(3, 7, 1000)
	if !q.readBack([]statestore.OutputPack{{First: 1, Outputs: make([]api.Output, 6), Refused: []uint64{2, 4, 6}}}) {
		t.Fatal("it is not taken")
	}
	items, _, _ := q.take(nil, 10, 1000)
	var aside []uint64
	for i := range items {
		if items[i].aside {
			aside = append(aside, items[i].number)
		}
	}
	if want := []uint64{4, 6}; !slices.Equal(aside, want) || len(items) != 4 {
		t.Errorf("%d items, aside %v, want 4 and %v", len(items), aside, want)
	}
}

// TestQueueTellsItsAge: the oldest output that is not delivered decides, to about a tenth of a second.
func TestQueueTellsItsAge(t *testing.T) {
	q := newQueue(1, 1, unbounded)
	at := func(ms int) time.Time { return time.UnixMilli(int64(1_000_000 + ms)) }
	for i := range 5 {
		q.offer(statestore.OutputPack{First: uint64(1 + i), Outputs: make([]api.Output, 1)}, at(200*i))
	}
	for delivered, want := range map[uint64]time.Duration{1: 1000, 2: 800, 4: 400} {
		q := &queue{packs: q.packs, end: q.end, settled: q.settled, ages: slices.Clone(q.ages)}
		q.delivered(delivered)
		if n, age := q.pending(at(1000)); age != want*time.Millisecond || n != int64(6-delivered) {
			t.Errorf("delivered below %d: %d pending, oldest %s, want %d ms", delivered, n, age, want)
		}
	}
}
