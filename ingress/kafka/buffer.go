package kafka

import (
	"sync"
	"time"

	"github.com/stategate/stategate/api"
)

const (
	batchRecordsMax = 512     // records of one Arrive
	batchBytesMax   = 1 << 20 // bytes of one Arrive; a larger record goes alone
	recordOverhead  = 200     // what a buffered record costs beside its key, value and headers
)

// parcel is what one Arrive takes.
type parcel struct {
	records []api.Record
	bytes   int      // of keys, values and headers
	skipped []string // for each record that the module says to pass over, why
}

func (p *parcel) size() int { return p.bytes + recordOverhead*len(p.records) }

// holds reports whether so much more goes into the parcel.
func (p *parcel) holds(records, size int) bool {
	return len(p.records) == 0 || len(p.records)+records <= batchRecordsMax && p.size()+size <= batchBytesMax
}

// add puts what another one holds behind it.
func (p *parcel) add(more parcel) {
	p.records = append(p.records, more.records...)
	p.bytes += more.bytes
	p.skipped = append(p.skipped, more.skipped...)
}

// buffer holds what one partition has read and not yet handed over. One goroutine puts and never waits, one takes; nothing is
// fetched while more than the bound is held.
type buffer struct {
	recordsMax, bytesMax int
	resume               func()        // fetching may go on; whoever fetches sets it
	filled               chan struct{} // capacity 1: something was put, or the buffer was closed

	mu      sync.Mutex
	queue   []parcel
	records int
	bytes   int
	paused  time.Time // since when; zero: it is not
	through int64     // all that a reader is shown before it was put
	err     error     // why nothing more will be put
}

func newBuffer(recordsMax, bytesMax int, from int64) *buffer {
	return &buffer{recordsMax: recordsMax, bytesMax: bytesMax, through: from, filled: make(chan struct{}, 1)}
}

// put takes over what was read up to an offset, which may be nothing that a reader is shown. Where little came at a time it
// leaves together.
func (b *buffer) put(parcels []parcel, through int64) {
	b.mu.Lock()
	for _, p := range parcels {
		if last := len(b.queue) - 1; last >= 0 && b.queue[last].holds(len(p.records), p.size()) {
			b.queue[last].add(p)
		} else {
			b.queue = append(b.queue, p)
		}
		b.records += len(p.records)
		b.bytes += p.size()
	}
	b.through = through
	if b.paused.IsZero() && (b.records >= b.recordsMax || b.bytes >= b.bytesMax) {
		b.paused = time.Now()
	}
	b.mu.Unlock()
	if len(parcels) > 0 {
		b.signal()
	}
}

// close says that nothing more will be put, and why; the first reason counts.
func (b *buffer) close(err error) {
	b.mu.Lock()
	if b.err == nil {
		b.err = err
	}
	b.mu.Unlock()
	b.signal()
}

func (b *buffer) signal() {
	select {
	case b.filled <- struct{}{}:
	default:
	}
}

// take answers the next parcel; ok is false when there is none now, err why there will be none.
func (b *buffer) take() (p parcel, ok bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.queue) == 0 {
		return p, false, b.err
	}
	p, b.queue[0] = b.queue[0], parcel{}
	b.queue = b.queue[1:]
	b.records -= len(p.records)
	b.bytes -= p.size()
	if len(b.queue) == 0 {
		b.queue = nil
	}
	if !b.paused.IsZero() && b.records <= b.recordsMax/2 && b.bytes <= b.bytesMax/2 {
		b.paused = time.Time{}
		b.resume()
	}
	return p, true, nil
}

// isPaused reports whether nothing may be fetched, and since when.
func (b *buffer) isPaused() (since time.Time, paused bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.paused, !b.paused.IsZero()
}

// passed answers the offset before which there is nothing more to take, if there is nothing to take.
func (b *buffer) passed() (through int64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.through, len(b.queue) == 0
}
