package endpoint

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// budget bounds the memory of large replies: what all calls of a pool hold together, from the first byte until whoever called is done
// with what it made of it. One alone always has room.
//
// Two ways lead to it. The reply of an ordinary call takes as it grows, and fails when there is no room: it is asked for again later.
// An answer of a bulk waits, and takes all that it will need at once: who waits holds nothing, so nobody waits for somebody who waits. That is on the word of the
// endpoint, so its pace is watched.
type budget struct {
	bytesMax int64
	tick     time.Duration // of who judges the pace of answers

	mu      sync.Mutex
	used    int64     // guarded by mu
	wanted  uint64    // how often somebody had to wait for room, or went without; guarded by mu
	waiting list.List // of *place, the first come first; guarded by mu
}

// place is that of somebody who waits for room.
type place struct {
	bytes int64
	given chan struct{} // closed when the room is the holder's
}

// repliesBytesMax is the budget of a pool by default. Decoding takes as much again.
const repliesBytesMax = 64 << 20

// Bound sets the budget of large replies, in bytes; 0 leaves it at 64 MiB. It comes before the first call.
func (p *Pool) Bound(bytes int64) {
	if bytes > 0 {
		p.replies.bytesMax = bytes
	}
}

// take adds to what its holder has already, and reports whether there was room.
func (b *budget) take(held, more int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+more > b.bytesMax && b.used > held {
		b.wanted++
		return false
	}
	b.used += more
	return true
}

// wait takes as soon as there is room and all that came before have theirs, and reports whether that was before ctx or the pool ended.
func (b *budget) wait(ctx, pool context.Context, bytes int64) bool {
	b.mu.Lock()
	p := &place{bytes: bytes, given: make(chan struct{})}
	e := b.waiting.PushBack(p)
	if b.admitLocked(); b.waiting.Len() > 0 {
		b.wanted++
	}
	b.mu.Unlock()
	select {
	case <-p.given:
		return true
	case <-ctx.Done():
	case <-pool.Done():
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-p.given:
		b.used -= bytes
	default:
		b.waiting.Remove(e)
	}
	b.admitLocked()
	return false
}

// pressed says how often room was wanted, and whether somebody waits for it now.
func (b *budget) pressed() (wanted uint64, waiting bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wanted, b.waiting.Len() > 0
}

// admitLocked gives room to those who wait, in their order.
func (b *budget) admitLocked() {
	for e := b.waiting.Front(); e != nil; e = b.waiting.Front() {
		p := e.Value.(*place)
		if b.used > 0 && b.used+p.bytes > b.bytesMax {
			return
		}
		b.used += p.bytes
		close(p.given)
		b.waiting.Remove(e)
	}
}

func (b *budget) give(bytes int64) {
	if bytes == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= bytes
	b.admitLocked()
}

// weight is what a reply's memory counts: small ones are bounded by the number of calls.
func weight(capacity int) int64 {
	if capacity <= firstBytesMax+1 {
		return 0
	}
	return int64(capacity)
}

// Room is what a reply that Call has answered counts in the pool's budget of large replies; of most it is 0. Whoever called gives it
// back with Release.
func Room(reply []byte) int64 { return weight(cap(reply)) }

// Release gives back the room of replies, when nothing that was made of them is waiting for somebody any more.
func (p *Pool) Release(room int64) { p.replies.give(room) }
