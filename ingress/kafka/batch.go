package kafka

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
)

const (
	magicAt       = 16 // where batches, and messages of the formats before, say which format they have
	batchHeadSize = 61 // of a batch, up to its records
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batchHead is what a record batch says of itself.
type batchHead struct {
	offset, last           int64 // of its first record and its last
	bytes, records         int
	codec                  codec
	control, transactional bool
	producer               int64
}

func (h *batchHead) String() string {
	return fmt.Sprintf("batch at offset %d, %d records in %d bytes", h.offset, h.records, h.bytes)
}

// errUntrue is what is wrong with a batch that is not cut off and cannot be read, where nothing better is known.
func (h *batchHead) errUntrue() error { return fmt.Errorf("%v: it does not hold what it says", h) }

// batchSet are record batches as they lie in an answer, one behind the other. The last may be cut off.
type batchSet []byte

// first answers the first batch and what is behind it. whole is nil where there is none, it is cut off, or it is no batch but of a format
// before. Lengths that no batch has are an error: nobody knows then where the next one begins.
func (s batchSet) first() (whole, rest batchSet, err error) {
	if len(s) <= magicAt || s[magicAt] < 2 {
		return nil, nil, nil
	}
	size := 12 + int64(int32(binary.BigEndian.Uint32(s[8:])))
	offset := int64(binary.BigEndian.Uint64(s))
	switch {
	case s[magicAt] > 2:
		return nil, nil, fmt.Errorf("batch at offset %d: format %d, and 2 is the last that is known", offset, s[magicAt])
	case size < batchHeadSize:
		return nil, nil, fmt.Errorf("batch at offset %d: it says that it has %d bytes", offset, size)
	case size > int64(len(s)):
		return nil, nil, nil
	}
	return s[:size], s[size:], nil
}

// head is that of a batch that is whole.
func (s batchSet) head() batchHead {
	attributes := binary.BigEndian.Uint16(s[21:])
	h := batchHead{
		offset: int64(binary.BigEndian.Uint64(s)), bytes: len(s), records: int(int32(binary.BigEndian.Uint32(s[57:]))),
		codec: codec(attributes & 7), transactional: attributes&0x10 != 0, control: attributes&0x20 != 0,
		producer: int64(binary.BigEndian.Uint64(s[43:])),
	}
	h.last = h.offset + int64(int32(binary.BigEndian.Uint32(s[23:])))
	return h
}

// check reports what of a whole batch cannot be, as far as that is seen from outside.
func (s batchSet) check(h *batchHead) error {
	switch {
	case crc32.Checksum(s[21:], castagnoli) != binary.BigEndian.Uint32(s[17:]):
		return fmt.Errorf("%v: its checksum is another one", h)
	case h.offset < 0 || h.last < h.offset || h.last == math.MaxInt64 || h.records < 0:
		return h.errUntrue()
	}
	return nil
}

// tally is how much an answer holds of a partition.
type tally struct {
	batches int // that are whole
	records int // in them, shown or not
	// cut: it holds nothing but the beginning of a batch, which is larger than what was asked for.
	cut bool
}

// count adds batches to it.
func (t *tally) count(set batchSet) {
	for len(set) > 0 {
		whole, rest, err := set.first()
		if whole == nil {
			t.cut = t.cut || t.batches == 0 && err == nil
			return
		}
		t.batches++
		if h := whole.head(); !h.control {
			t.records += max(h.records, 0)
		}
		set = rest
	}
}

// recordBytes are records as they lie in a batch: each is its length and what is in it, numbers of seven bits a byte.
type recordBytes []byte

// varint takes a number from the front. ok is false when there is none.
func (b *recordBytes) varint() (v int64, ok bool) {
	s := *b
	if len(s) > 0 && s[0] < 0x80 { // nearly all of them
		*b = s[1:]
		return int64(s[0]>>1) ^ -int64(s[0]&1), true
	}
	v, n := binary.Varint(s)
	if n <= 0 {
		return 0, false
	}
	*b = s[n:]
	return v, true
}

// take takes so many bytes, or none where n is -1.
func (b *recordBytes) take(n int64) (v []byte, ok bool) {
	s := *b
	if n < 0 || n > int64(len(s)) {
		return nil, n == -1
	}
	*b = s[n:]
	return s[:n:n], true
}

// bytes takes bytes with their length before them; nil: null.
func (b *recordBytes) bytes() (v []byte, ok bool) {
	n, ok := b.varint()
	if !ok {
		return nil, false
	}
	return b.take(n)
}

// record takes the next record, with its offset from that of its batch. Its headers are in the same memory as those that m had.
func (b *recordBytes) record(m *entry) (delta int64, ok bool) {
	n, ok := b.varint()
	if !ok || n < 0 {
		return 0, false
	}
	body, ok := b.take(n)
	if !ok || len(body) == 0 {
		return 0, false
	}
	rest := recordBytes(body[1:])   // attributes
	if _, ok = rest.varint(); !ok { // time
		return 0, false
	}
	if delta, ok = rest.varint(); !ok {
		return 0, false
	}
	if m.key, ok = rest.bytes(); !ok {
		return 0, false
	}
	if m.value, ok = rest.bytes(); !ok {
		return 0, false
	}
	headers, ok := rest.varint()
	if !ok || headers < 0 || headers > int64(len(rest)) {
		return 0, false
	}
	m.headers = m.headers[:0]
	for range headers {
		var h header
		if h.key, ok = rest.bytes(); !ok {
			return 0, false
		}
		if h.value, ok = rest.bytes(); !ok {
			return 0, false
		}
		m.headers = append(m.headers, h)
	}
	return delta, len(rest) == 0
}
