package kafka

import (
	"errors"
	"testing"
)

// pack is n records of size bytes each, from an offset on, as a fetch brings them.
func pack(from int64, n, size int) []parcel {
	p := packer{topic: &Topic{}, left: n}
	for i := range int64(n) {
		p.add(&entry{offset: from + i, key: []byte{}, value: make([]byte, size)})
	}
	return p.parcels()
}

func TestBufferBounds(t *testing.T) {
	resumes := 0
	b := newBuffer(10, 4<<20, 0)
	b.resume = func() { resumes++ }
	next := int64(0)
	put := func(n, size int) {
		b.put(pack(next, n, size), next+int64(n))
		next += int64(n)
	}
	put(9, 1)
	if _, paused := b.isPaused(); paused {
		t.Error("paused below the bound")
	}
	put(3, 1)
	if _, paused := b.isPaused(); !paused {
		t.Error("not paused at the bound")
	}
	p, ok, err := b.take()
	if len(p.records) != 12 || !ok || err != nil || resumes != 1 {
		t.Errorf("got %d records, %v, error %v, %d resumes, want 12, true, nil, 1", len(p.records), ok, err, resumes)
	}
	put(4, 1<<20) // the byte bound, each a parcel of its own
	if _, paused := b.isPaused(); !paused {
		t.Error("not paused at the byte bound")
	}
	for i, want := range []int{1, 1, 2, 2} {
		if through, ok := b.passed(); ok {
			t.Errorf("passed %d while something is held", through)
		}
		if p, _, _ := b.take(); len(p.records) != 1 || resumes != want {
			t.Errorf("take %d: got %d records, %d resumes, want 1, %d", i, len(p.records), resumes, want)
		}
	}
	b.put(nil, next+5) // nothing that a reader is shown
	if through, ok := b.passed(); !ok || through != next+5 {
		t.Errorf("passed %d, %v, want %d", through, ok, next+5)
	}
	next += 5
	put(2, 10)
	gone := errors.New("gone")
	b.close(gone)
	b.close(errors.New("too late"))
	if p, _, err := b.take(); len(p.records) != 2 || err != nil {
		t.Errorf("got %d records, error %v, want 2, nil: what is held is handed out first", len(p.records), err)
	}
	if _, ok, err := b.take(); ok || err != gone {
		t.Errorf("got %v, error %v, want false, the first reason", ok, err)
	}
	if b.bytes != 0 || b.records != 0 {
		t.Errorf("got %d records of %d bytes left, want none", b.records, b.bytes)
	}
}

// What comes one by one leaves together, and what comes together in parts of the size that the engine likes.
func TestBufferBatches(t *testing.T) {
	for name, fill := range map[string]func(b *buffer, n int){
		"together": func(b *buffer, n int) { b.put(pack(0, n, 0), int64(n)) },
		"one by one": func(b *buffer, n int) {
			for i := range int64(n) {
				b.put(pack(i, 1, 0), i+1)
			}
		},
	} {
		b := newBuffer(1<<20, 1<<30, 0)
		fill(b, 2*batchRecordsMax+1)
		next := int64(0)
		for _, want := range []int{batchRecordsMax, batchRecordsMax, 1} {
			p, _, _ := b.take()
			if len(p.records) != want {
				t.Errorf("%s: got a parcel of %d, want %d", name, len(p.records), want)
			}
			for _, r := range p.records {
				if r.Offset != next {
					t.Fatalf("%s: got offset %d, want %d", name, r.Offset, next)
				}
				next++
			}
		}
		if b.bytes != 0 || b.records != 0 {
			t.Errorf("%s: got %d records of %d bytes left, want none", name, b.records, b.bytes)
		}
	}
}
