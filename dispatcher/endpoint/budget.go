package endpoint

import "sync"

// budget bounds the memory of large replies: what all calls of a pool hold together. A reply that finds no room fails, and is asked
// for again later; it never waits, for those that hold the room may take their time. One alone always has room.
type budget struct {
	bytesMax int64

	mu   sync.Mutex
	used int64 // guarded by mu
}

// repliesBytesMax is the budget of a pool. Decoding takes as much again.
const repliesBytesMax = 64 << 20

// take adds to what its holder has already, and reports whether there was room.
func (b *budget) take(held, more int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+more > b.bytesMax && b.used > held {
		return false
	}
	b.used += more
	return true
}

func (b *budget) give(bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= bytes
}

// weight is what a reply's memory counts: small ones are bounded by the number of calls.
func weight(capacity int) int64 {
	if capacity <= firstBytesMax+1 {
		return 0
	}
	return int64(capacity)
}

// Release gives back the memory of a reply that Call has answered. Whoever called must do so when it is done with it.
func (c *Client) Release(reply []byte) {
	if n := weight(cap(reply)); n > 0 {
		c.pool.replies.give(n)
	}
}
