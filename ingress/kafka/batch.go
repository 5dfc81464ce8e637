package kafka

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/IBM/sarama"
)

// walk packs each record of a fetch from an offset on that a reader is shown, in order, and answers the offset after all that the
// fetch held, also of what nobody is shown: markers of transactions, records of those that were aborted (where committedOnly). It ends
// behind the batch with which the packer is full: the rest is fetched again, when there is room.
func walk(block *sarama.FetchResponseBlock, from int64, committedOnly bool, out *packer) (next int64, err error) {
	next = from
	aborted := newAborted(block.AbortedTransactions)
	for _, set := range block.RecordsSet {
		if out.isFull() {
			break
		}
		out.batches++
		if set.MsgSet != nil {
			next = walkMessages(set.MsgSet, next, out)
			continue
		}
		batch := set.RecordBatch
		if batch == nil || batch.PartialTrailingRecord {
			break
		}
		last := batch.LastOffset()
		aborted.upTo(last)
		switch {
		case batch.Control:
			aborts, err := isAbortMarker(batch)
			if err != nil {
				return from, err
			}
			if aborts {
				delete(aborted.open, batch.ProducerID)
			}
		case committedOnly && batch.IsTransactional && aborted.open[batch.ProducerID]:
		default:
			for _, r := range batch.Records {
				// A fetch may begin in the middle of a batch.
				if offset := batch.FirstOffset + r.OffsetDelta; offset >= next {
					out.add(&entry{offset: offset, key: r.Key, value: r.Value, headers: r.Headers})
				}
			}
		}
		next = max(next, last+1)
	}
	return next, nil
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

// isAbortMarker reads a control record's key: version, then type (0 is abort, 1 is commit).
func isAbortMarker(batch *sarama.RecordBatch) (bool, error) {
	if len(batch.Records) == 0 {
		return false, nil // its record was compacted away
	}
	key := batch.Records[0].Key
	if len(key) < 4 {
		return false, fmt.Errorf("control record at %d: key of %d bytes", batch.FirstOffset, len(key))
	}
	return binary.BigEndian.Uint16(key[2:]) == 0, nil
}

// wholeBatches counts what a fetch holds of them to the end.
func wholeBatches(block *sarama.FetchResponseBlock) (n int) {
	for _, set := range block.RecordsSet {
		if set.MsgSet != nil || set.RecordBatch != nil && !set.RecordBatch.PartialTrailingRecord {
			n++
		}
	}
	return n
}

// cutOff reports whether a fetch holds nothing but the beginning of a batch that is larger than it.
func cutOff(block *sarama.FetchResponseBlock) bool {
	if block.Partial {
		return true
	}
	if len(block.RecordsSet) == 0 {
		return false
	}
	first := block.RecordsSet[0]
	if set := first.MsgSet; set != nil {
		return len(set.Messages) == 0 && set.PartialTrailingMessage
	}
	return first.RecordBatch != nil && first.RecordBatch.PartialTrailingRecord
}

// held is how many records a fetch holds, shown or not.
func held(block *sarama.FetchResponseBlock) (n int) {
	for _, set := range block.RecordsSet {
		switch {
		case set.MsgSet != nil:
			n += len(set.MsgSet.Messages)
		case set.RecordBatch != nil && !set.RecordBatch.Control:
			n += len(set.RecordBatch.Records)
		}
	}
	return n
}
