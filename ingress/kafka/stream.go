package kafka

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"github.com/stategate/stategate/api"
)

// stream is one partition while it is fetched from one broker: from where its reader has opened it to the first error. Where to
// go on then, and whom to ask, is the reader's to find out.
type stream struct {
	source        api.Source
	topic         *Topic
	committedOnly bool
	epoch         int32 // of the leader; -1 where it is not known
	broker        int32 // that it is read from
	replica       bool  // that is not the leader
	until         time.Time
	sizeMin       int32 // bytes of a fetch, where no record needs more and no fewer are enough

	buffer *buffer
	end    atomic.Int64 // of the log, as the last fetch has said
	alone  atomic.Bool  // it is asked for alone: an answer for several partitions could not be read, or brought nothing of it

	// The fetcher's own from open on.
	next   int64  // to fetch
	fit    int32  // bytes of a fetch that brings about as much as the buffer wants at a time; at most sizeMin
	size   int32  // bytes of the next fetch
	round  uint64 // number of its last fetch
	missed int    // fetches in a row that brought nothing of what there is
	// careful is how many more fetches that bring something are for one message set each. After one that the library could not read, for this
	// partition alone: those before the one at fault are to be read.
	careful int
}

// carefulFetches is how many message sets are read one by one once a fetch could not be read.
const carefulFetches = 100

// missedMax is how many fetches may bring nothing of what a partition has, as others use them up or it came too late for them, before
// it has one for itself.
const missedMax = 3

// fetchBytesMax is how large a fetch becomes that brings nothing; a larger max.partition.fetch.bytes counts. It is within what the library
// takes as an answer (100 MiB). A batch that is larger comes all the same: a broker sends one at least.
const fetchBytesMax int32 = 48 << 20

// What ends a stream.
var (
	// errClosed says that the broker has nothing at the offset; the next attempt finds out why.
	errClosed = errors.New("the offset is out of range")
	// errLeader says that the time to read from a replica is over: the leader says anew from whom to read.
	errLeader = errors.New("the leader is to be asked again")
)

// elsewhere says that the leader wants the partition to be read from another broker.
type elsewhere struct{ broker int32 }

func (*elsewhere) Error() string { return "a replica is nearer" }

// unreadable is an answer that came and cannot be understood.
type unreadable struct {
	cause error
	alone bool // it was for one partition
}

func (u *unreadable) Error() string { return "fetch: " + u.cause.Error() }
func (u *unreadable) Unwrap() error { return u.cause }

// answer is what a fetch has brought for one of the partitions that it asked for.
type answer struct {
	block  *sarama.FetchResponseBlock // without batches
	set    batchSet                   // they; behind what the library has read of formats before, if both have come
	at     time.Time
	single bool // the partition was asked for alone
}

// take puts what a fetch has brought into the buffer. An error ends the stream.
func (s *stream) take(a *answer, u *unpacker) error {
	if a.block.Err != sarama.ErrNoError {
		if a.block.Err == sarama.ErrOffsetOutOfRange && !s.replica {
			return errClosed // a replica that lags behind says it, too
		}
		return a.block.Err
	}
	s.end.Store(a.block.HighWaterMarkOffset)
	held := a.tally()
	out := packer{source: s.source, topic: s.topic, left: held.records, recordsMax: s.buffer.recordsMax, bytesMax: s.buffer.bytesMax}
	next, err := u.walk(a, s.next, s.committedOnly, &out)
	parcels := out.parcels()
	if err != nil {
		s.buffer.put(parcels, next)
		return &unreadable{cause: err}
	}
	if s.careful == 0 {
		s.refit(a.block, held.batches, &out, next)
	}
	if err := s.judge(a, held.cut, next); err != nil {
		return &unreadable{err, a.single}
	}
	s.next = next
	s.buffer.put(parcels, next)
	switch {
	case a.block.PreferredReadReplica >= 0 && a.block.PreferredReadReplica != s.broker:
		return &elsewhere{a.block.PreferredReadReplica}
	case s.replica && a.at.After(s.until):
		return errLeader
	}
	return nil
}

// A fetch is to bring about half of the records that the buffer takes, or a quarter of the bytes, or one batch. In how many bytes they come
// is seen when they have come: records may be small, or compressed to a tenth. So the first fetch is small.
const fitFirst = 8 << 10

// refit judges by what a fetch has brought how large the next one is to be.
func (s *stream) refit(block *sarama.FetchResponseBlock, batches int, out *packer, next int64) {
	part := max(2*float64(out.records)/float64(s.buffer.recordsMax), 4*float64(out.bytes)/float64(s.buffer.bytesMax))
	if out.batches < batches {
		part *= float64(batches) / float64(out.batches) // the packer was full before the end
	}
	switch {
	case part > 1 && batches > 1:
		one := s.fit / int32(batches)
		s.fit = max(one+one/2, int32(float64(s.fit)/part)) // with less there would be nothing but the beginning of one
		s.size = s.fit
	case part < 0.5 && s.visibleEnd(block) > next:
		s.fit = int32(min(2*int64(s.fit), int64(s.sizeMin)))
	}
}

// judge sees to it that a partition for which there is something comes on: what does not fit beside others is asked for alone, and
// what is too large for a fetch makes it larger: a batch that is, or messages of old formats that nothing is left of.
func (s *stream) judge(a *answer, cut bool, next int64) error {
	waits := next == s.next && a.block.PreferredReadReplica < 0 && (cut || s.visibleEnd(a.block) > next)
	if !waits {
		s.missed = 0
		s.size = max(s.fit, s.size/2)
		if s.careful--; s.careful <= 0 || s.visibleEnd(a.block) <= next {
			s.careful = 0
		} else {
			s.size = 1 // a broker sends one batch at least
		}
		s.alone.Store(s.careful > 0)
		return nil
	}
	s.missed++
	if a.single {
		largest := max(fetchBytesMax, s.sizeMin)
		if s.size >= largest {
			return fmt.Errorf("a fetch of %d bytes from offset %d on brings no record, and there are some before %d", s.size, next, s.visibleEnd(a.block))
		}
		s.size = int32(min(2*int64(s.size), int64(largest)))
	}
	if cut || s.missed >= missedMax {
		s.alone.Store(true)
	}
	return nil
}

// visibleEnd is up to where a fetch may bring records.
func (s *stream) visibleEnd(block *sarama.FetchResponseBlock) int64 {
	if s.committedOnly {
		return min(block.HighWaterMarkOffset, block.LastStableOffset)
	}
	return block.HighWaterMarkOffset
}

// packer makes parcels of records that come one by one.
type packer struct {
	source api.Source
	topic  *Topic
	left   int // at most so many come
	// It is full with so much; 0: never. It takes the rest of the batch with which it is.
	recordsMax, bytesMax int

	records, bytes int // that it has, as a buffer counts them
	batches        int // that were looked at
	full           []parcel
	last           parcel
	values         slab
}

// isFull reports whether no more batches are to be put into it.
func (p *packer) isFull() bool {
	return p.recordsMax > 0 && p.records >= p.recordsMax || p.bytesMax > 0 && p.bytes >= p.bytesMax
}

// overflows reports whether it holds so much that not even the rest of a batch is to be put into it.
func (p *packer) overflows() bool { return p.bytesMax > 0 && p.bytes >= partFactor*p.bytesMax }

func (p *packer) add(m *entry) {
	bytes := m.bytes()
	p.records++
	p.bytes += bytes + recordOverhead
	if !p.last.holds(1, bytes+recordOverhead) {
		p.full = append(p.full, p.last)
		p.last = parcel{}
	}
	n := len(p.last.records)
	if n == 0 {
		p.last.records = make([]api.Record, 0, max(1, min(p.left, batchRecordsMax, 1+batchBytesMax/(bytes+recordOverhead))))
	}
	if n == cap(p.last.records) {
		p.last.records = slices.Grow(p.last.records, 1)
	}
	p.left--
	p.last.records = p.last.records[:n+1]
	if skipped := record(&p.last.records[n], p.source, p.topic, m, &p.values); skipped != "" {
		p.last.skipped = append(p.last.skipped, skipped)
	}
	p.last.bytes += bytes
}

func (p *packer) parcels() []parcel {
	if len(p.last.records) == 0 {
		return p.full
	}
	return append(p.full, p.last)
}
