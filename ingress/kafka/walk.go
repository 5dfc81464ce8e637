package kafka

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/IBM/sarama"
)

// partFactor is of how many buffers' bytes one batch may fill the packer: it is put together with what a buffer holds, and a batch may
// be a thousand times as large as it is on the wire. What is behind that is fetched again.
const partFactor = 4

// unpacker takes batches apart, one at a time. It is of one goroutine.
type unpacker struct {
	decompressor
	entry entry // used again
}

// walk packs each record of an answer from an offset on that a reader is shown, in order, and answers the offset after all that the
// answer held, also of what nobody is shown: markers of transactions, records of those that were aborted (where committedOnly). It ends
// behind the batch with which the packer is full: the rest is fetched again, when there is room. What is before an error counts.
func (u *unpacker) walk(a *answer, from int64, committedOnly bool, out *packer) (next int64, err error) {
	next = from
	for _, set := range a.block.RecordsSet {
		if out.isFull() {
			return next, nil
		}
		out.batches++
		if set.MsgSet == nil {
			return next, fmt.Errorf("from offset %d on: batches in an answer that is not understood", next)
		}
		next = walkMessages(set.MsgSet, next, out)
	}
	aborted := newAborted(a.block.AbortedTransactions)
	for set := a.set; len(set) > 0 && !out.isFull(); {
		whole, rest, err := set.first()
		if whole == nil {
			return next, err
		}
		set = rest
		head := whole.head()
		out.batches++
		if err := whole.check(&head); err != nil {
			return next, err
		}
		aborted.upTo(head.last)
		switch {
		case head.control:
			aborts, err := u.isAbortMarker(whole, &head)
			if err != nil {
				return next, err
			}
			if aborts {
				delete(aborted.open, head.producer)
			}
		case committedOnly && head.transactional && aborted.open[head.producer]:
		default:
			part, err := u.unpack(whole, &head, next, out)
			if err != nil {
				return next, err
			}
			if part > 0 {
				return part, nil
			}
		}
		next = max(next, head.last+1)
	}
	return next, nil
}

// unpack packs the records of a batch from an offset on: a fetch may begin in the middle of one. part is where the next fetch is to; 0:
// behind the batch. On an error none of its records counts.
func (u *unpacker) unpack(whole batchSet, head *batchHead, from int64, out *packer) (part int64, err error) {
	u.again = from > head.offset // what it was decompressed into is used again, not left to the collector beside as much
	b, err := u.decompress(head.codec, whole[batchHeadSize:])
	u.again = false
	if err != nil {
		return 0, fmt.Errorf("%v: %w", head, err)
	}
	records, m, last := recordBytes(b), &u.entry, int64(-1)
	before := *out
	for range head.records {
		delta, ok := records.record(m)
		if !ok || delta <= last || delta > head.last-head.offset {
			*out = before
			return 0, head.errUntrue()
		}
		last = delta
		if m.offset = head.offset + delta; m.offset < from {
			continue
		}
		if out.overflows() {
			return m.offset, nil
		}
		out.add(m)
	}
	if len(records) > 0 {
		*out = before
		return 0, head.errUntrue()
	}
	return 0, nil
}

// isAbortMarker reads a control record's key: version, then type (0 is abort, 1 is commit).
func (u *unpacker) isAbortMarker(whole batchSet, head *batchHead) (bool, error) {
	if head.records == 0 {
		return false, nil // its record was compacted away
	}
	b, err := u.decompress(head.codec, whole[batchHeadSize:])
	if err != nil {
		return false, fmt.Errorf("%v: %w", head, err)
	}
	records := recordBytes(b)
	if _, ok := records.record(&u.entry); !ok {
		return false, head.errUntrue()
	}
	if key := u.entry.key; len(key) >= 4 {
		return binary.BigEndian.Uint16(key[2:]) == 0, nil
	}
	return false, fmt.Errorf("control record at %d: key of %d bytes", head.offset, len(u.entry.key))
}

// walkMessages is walk for a set in the formats before Kafka 0.11, which old segments may still hold. Messages that were compressed
// together lie within another one; in the second of those formats their offsets are relative to that one's, which is the last's.
func walkMessages(set *sarama.MessageSet, next int64, out *packer) int64 {
	for _, outer := range set.Messages {
		inner := outer.Messages()
		for _, m := range inner {
			offset := m.Offset
			if m.Msg.Version >= 1 {
				offset += outer.Offset - inner[len(inner)-1].Offset
			}
			if offset >= next {
				out.add(&entry{offset: offset, key: m.Msg.Key, value: m.Msg.Value})
				next = offset + 1
			}
		}
		next = max(next, outer.Offset+1)
	}
	return next
}

// aborted follows which producers are inside a transaction that was aborted.
type aborted struct {
	coming []*sarama.AbortedTransaction // by their first offset
	open   map[int64]bool               // by producer
}

func newAborted(transactions []*sarama.AbortedTransaction) *aborted {
	a := &aborted{coming: transactions}
	if len(transactions) > 0 {
		a.open = map[int64]bool{}
		// Nothing promises an order.
		slices.SortFunc(a.coming, func(x, y *sarama.AbortedTransaction) int { return cmp.Compare(x.FirstOffset, y.FirstOffset) })
	}
	return a
}

// upTo opens the transactions that begin up to an offset.
func (a *aborted) upTo(offset int64) {
	for len(a.coming) > 0 && a.coming[0].FirstOffset <= offset {
		a.open[a.coming[0].ProducerID] = true
		a.coming = a.coming[1:]
	}
}

// tally counts what the answer holds.
func (a *answer) tally() (t tally) {
	t.cut = a.block.Partial
	for i, set := range a.block.RecordsSet {
		if old := set.MsgSet; old != nil {
			t.cut = t.cut || i == 0 && len(old.Messages) == 0 && old.PartialTrailingMessage
			t.batches++
			t.records += len(old.Messages)
		}
	}
	t.count(a.set)
	return t
}
