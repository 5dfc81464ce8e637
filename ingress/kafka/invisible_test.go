package kafka

import (
	"testing"

	"github.com/IBM/sarama"
)

func TestInvisibleThrough(t *testing.T) {
	data := func(first int64, n int, producer int64, transactional bool) *sarama.Records {
		b := &sarama.RecordBatch{FirstOffset: first, LastOffsetDelta: int32(n - 1), ProducerID: producer, IsTransactional: transactional}
		for i := range n {
			b.Records = append(b.Records, &sarama.Record{OffsetDelta: int64(i)})
		}
		return &sarama.Records{RecordBatch: b}
	}
	marker := func(at, producer int64, kind byte) *sarama.Records {
		return &sarama.Records{RecordBatch: &sarama.RecordBatch{FirstOffset: at, ProducerID: producer, Control: true, IsTransactional: true,
			Records: []*sarama.Record{{Key: []byte{0, 0, 0, kind}}}}}
	}
	const abort, commit = 0, 1
	empty := &sarama.Records{RecordBatch: &sarama.RecordBatch{FirstOffset: 10, LastOffsetDelta: 4}}
	partial := data(10, 3, 1, true)
	partial.RecordBatch.PartialTrailingRecord = true
	aborted := func(producer, first int64) *sarama.AbortedTransaction {
		return &sarama.AbortedTransaction{ProducerID: producer, FirstOffset: first}
	}
	for _, c := range []struct {
		name    string
		sets    []*sarama.Records
		aborted []*sarama.AbortedTransaction
		dirty   bool
		want    int64
	}{
		{name: "nothing", want: 10},
		{name: "a commit marker", sets: []*sarama.Records{marker(10, 1, commit)}, want: 11},
		{name: "the batch before, then a marker", sets: []*sarama.Records{data(5, 5, 1, true), marker(10, 1, commit)}, want: 11},
		{name: "a record", sets: []*sarama.Records{marker(10, 1, commit), data(11, 1, -1, false)}, want: 11},
		{name: "a record in the middle of its batch", sets: []*sarama.Records{data(8, 5, -1, false)}, want: 10},
		{name: "aborted", sets: []*sarama.Records{data(10, 3, 7, true), marker(13, 7, abort)}, aborted: []*sarama.AbortedTransaction{aborted(7, 10)}, want: 14},
		{name: "aborted before", sets: []*sarama.Records{data(10, 3, 7, true), marker(13, 7, abort)}, aborted: []*sarama.AbortedTransaction{aborted(7, 2)}, want: 14},
		{name: "aborted, dirty reader", sets: []*sarama.Records{data(10, 3, 7, true), marker(13, 7, abort)}, aborted: []*sarama.AbortedTransaction{aborted(7, 10)}, dirty: true, want: 10},
		{name: "aborted, then committed by the same producer", sets: []*sarama.Records{data(10, 3, 7, true), marker(13, 7, abort), data(14, 1, 7, true), marker(15, 7, commit)},
			aborted: []*sarama.AbortedTransaction{aborted(7, 10)}, want: 14},
		{name: "two aborted, out of order", sets: []*sarama.Records{data(10, 1, 7, true), data(11, 1, 8, true), marker(12, 8, abort), marker(13, 7, abort)},
			aborted: []*sarama.AbortedTransaction{aborted(8, 11), aborted(7, 10)}, want: 14},
		{name: "another producer is aborted", sets: []*sarama.Records{data(10, 1, 7, true)}, aborted: []*sarama.AbortedTransaction{aborted(8, 10)}, want: 10},
		{name: "plain record of an aborting producer", sets: []*sarama.Records{data(10, 1, 7, false)}, aborted: []*sarama.AbortedTransaction{aborted(7, 10)}, want: 10},
		{name: "compacted away", sets: []*sarama.Records{empty}, want: 15},
		{name: "cut off", sets: []*sarama.Records{partial}, aborted: []*sarama.AbortedTransaction{aborted(1, 10)}, want: 10},
		{name: "old format", sets: []*sarama.Records{{MsgSet: &sarama.MessageSet{}}}, want: 10},
	} {
		got, err := invisibleThrough(&sarama.FetchResponseBlock{RecordsSet: c.sets, AbortedTransactions: c.aborted}, 10, !c.dirty)
		if err != nil || got != c.want {
			t.Errorf("%s: got %d, %v, want %d", c.name, got, err, c.want)
		}
	}
	bad := marker(10, 1, commit)
	bad.RecordBatch.Records[0].Key = []byte{1}
	if _, err := invisibleThrough(&sarama.FetchResponseBlock{RecordsSet: []*sarama.Records{bad}}, 10, true); err == nil {
		t.Error("a marker without a type: got no error")
	}
}
