package kafka

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/IBM/sarama"

	"github.com/stategate/stategate/api"
)

// tail remembers which end of a log was looked at in vain.
type tail struct {
	next, end int64
	at        time.Time
}

// tailAgain is how long a tail that did not change is left alone (a transaction may have been aborted meanwhile).
const tailAgain = 15 * time.Second

// passInvisible moves the position over transaction markers and aborted records at the end of the log. sarama hands out
// nothing for them, so the position would stay before them: shown as lag for ever, and taken for lost once retention has
// deleted the log up to its end.
func (r *reader) passInvisible(ctx context.Context, end int64, t *tail) error {
	if end <= r.next || (t.next == r.next && t.end == end && time.Since(t.at) < tailAgain) {
		return nil
	}
	if err := r.same(ctx); err != nil {
		return err
	}
	*t = tail{r.next, end, time.Now()}
	through, err := r.invisible(r.next)
	if err != nil {
		r.Log.Debug("kafka ingress: look at the end of the log", "source", r.source.String(), "error", err)
		return nil // the next look comes; a lasting fault shows in the fetches
	}
	if through <= r.next {
		return nil
	}
	return r.arrive(ctx, []api.Record{{Offset: through - 1}})
}

// invisible answers up to which offset nothing comes after from that a reader is shown.
func (r *reader) invisible(from int64) (int64, error) {
	broker, err := r.control.Leader(r.topic.Name, r.source.Partition)
	if err != nil {
		return 0, err
	}
	config := r.control.Config()
	request := &sarama.FetchRequest{Version: 11, MinBytes: 0, MaxWaitTime: 1, MaxBytes: config.Consumer.Fetch.MaxBytes,
		Isolation: config.Consumer.IsolationLevel, SessionEpoch: -1}
	request.AddBlock(r.topic.Name, r.source.Partition, from, config.Consumer.Fetch.Default, -1)
	response, err := broker.Fetch(request)
	if err != nil {
		_ = broker.Close()
		return 0, err
	}
	block := response.GetBlock(r.topic.Name, r.source.Partition)
	if block == nil {
		return 0, sarama.ErrIncompleteResponse
	}
	if block.Err != sarama.ErrNoError {
		return 0, block.Err
	}
	return invisibleThrough(block, from, config.Consumer.IsolationLevel == sarama.ReadCommitted)
}

// invisibleThrough walks the batches of a fetch as a reader at read_committed does.
func invisibleThrough(block *sarama.FetchResponseBlock, from int64, committedOnly bool) (int64, error) {
	through := from
	open := map[int64]bool{} // producers inside a transaction that was aborted
	pending := block.AbortedTransactions
	for _, set := range block.RecordsSet {
		batch := set.RecordBatch
		if batch == nil || batch.PartialTrailingRecord {
			break
		}
		last := batch.LastOffset()
		for len(pending) > 0 {
			least := 0
			for i := range pending {
				if pending[i].FirstOffset < pending[least].FirstOffset {
					least = i
				}
			}
			if pending[least].FirstOffset > last {
				break
			}
			open[pending[least].ProducerID] = true
			rest := append([]*sarama.AbortedTransaction(nil), pending[:least]...)
			pending = append(rest, pending[least+1:]...)
		}
		switch {
		case batch.Control:
			aborts, err := isAbortMarker(batch)
			if err != nil {
				return 0, err
			}
			if aborts {
				delete(open, batch.ProducerID)
			}
		case committedOnly && batch.IsTransactional && open[batch.ProducerID]:
		default:
			for _, record := range batch.Records {
				if batch.FirstOffset+record.OffsetDelta >= from {
					return through, nil
				}
			}
		}
		through = max(through, last+1)
	}
	return through, nil
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
