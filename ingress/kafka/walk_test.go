package kafka

import (
	"slices"
	"testing"

	"github.com/IBM/sarama"
)

func TestWalk(t *testing.T) {
	data := func(first int64, n int, producer int64, transactional bool) *sarama.Records {
		b := &sarama.RecordBatch{FirstOffset: first, LastOffsetDelta: int32(n - 1), ProducerID: producer, IsTransactional: transactional}
		for i := range n {
			b.Records = append(b.Records, &sarama.Record{OffsetDelta: int64(i), Key: []byte("k"), Value: []byte("v")})
		}
		return &sarama.Records{RecordBatch: b}
	}
	marker := func(at, producer int64, kind byte) *sarama.Records {
		return &sarama.Records{RecordBatch: &sarama.RecordBatch{FirstOffset: at, ProducerID: producer, Control: true, IsTransactional: true,
			Records: []*sarama.Record{{Key: []byte{0, 0, 0, kind}}}}}
	}
	const abort, commit = 0, 1
	set := func(version int8, offsets ...int64) *sarama.MessageSet {
		s := &sarama.MessageSet{}
		for _, o := range offsets {
			s.Messages = append(s.Messages, &sarama.MessageBlock{Offset: o, Msg: &sarama.Message{Version: version}})
		}
		return s
	}
	messages := func(version int8, offsets ...int64) *sarama.Records {
		return &sarama.Records{MsgSet: set(version, offsets...)}
	}
	wrapped := func(version int8, outer int64, inner ...int64) *sarama.Records {
		return &sarama.Records{MsgSet: &sarama.MessageSet{Messages: []*sarama.MessageBlock{
			{Offset: outer, Msg: &sarama.Message{Version: version, Set: set(version, inner...)}}}}}
	}
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
		want    []int64 // of these offsets records
		next    int64
	}{
		{name: "nothing", next: 10},
		{name: "a commit marker", sets: []*sarama.Records{marker(10, 1, commit)}, next: 11},
		{name: "the batch before, then a marker", sets: []*sarama.Records{data(5, 5, 1, true), marker(10, 1, commit)}, next: 11},
		{name: "a record", sets: []*sarama.Records{marker(10, 1, commit), data(11, 1, -1, false)}, want: []int64{11}, next: 12},
		{name: "a record in the middle of its batch", sets: []*sarama.Records{data(8, 5, -1, false)}, want: []int64{10, 11, 12}, next: 13},
		{name: "aborted", sets: []*sarama.Records{data(10, 3, 7, true), marker(13, 7, abort)}, aborted: []*sarama.AbortedTransaction{aborted(7, 10)}, next: 14},
		{name: "aborted before", sets: []*sarama.Records{data(10, 3, 7, true), marker(13, 7, abort)}, aborted: []*sarama.AbortedTransaction{aborted(7, 2)}, next: 14},
		{name: "aborted, dirty reader", sets: []*sarama.Records{data(10, 3, 7, true), marker(13, 7, abort)}, aborted: []*sarama.AbortedTransaction{aborted(7, 10)}, dirty: true,
			want: []int64{10, 11, 12}, next: 14},
		{name: "aborted, then committed by the same producer", sets: []*sarama.Records{data(10, 3, 7, true), marker(13, 7, abort), data(14, 1, 7, true), marker(15, 7, commit)},
			aborted: []*sarama.AbortedTransaction{aborted(7, 10)}, want: []int64{14}, next: 16},
		{name: "aborted twice, committed between", sets: []*sarama.Records{data(10, 1, 7, true), marker(11, 7, abort), data(12, 1, 7, true), marker(13, 7, commit), data(14, 1, 7, true), marker(15, 7, abort)},
			aborted: []*sarama.AbortedTransaction{aborted(7, 14), aborted(7, 10)}, want: []int64{12}, next: 16},
		{name: "two aborted, out of order", sets: []*sarama.Records{data(10, 1, 7, true), data(11, 1, 8, true), marker(12, 8, abort), marker(13, 7, abort)},
			aborted: []*sarama.AbortedTransaction{aborted(8, 11), aborted(7, 10)}, next: 14},
		{name: "another producer is aborted", sets: []*sarama.Records{data(10, 1, 7, true)}, aborted: []*sarama.AbortedTransaction{aborted(8, 10)}, want: []int64{10}, next: 11},
		{name: "interleaved", sets: []*sarama.Records{data(10, 2, 7, true), data(12, 2, 8, true), data(14, 1, 7, true), data(15, 1, -1, false), marker(16, 8, commit), data(17, 1, 7, true), marker(18, 7, abort)},
			aborted: []*sarama.AbortedTransaction{aborted(7, 10)}, want: []int64{12, 13, 15}, next: 19},
		{name: "plain record of an aborting producer", sets: []*sarama.Records{data(10, 1, 7, false)}, aborted: []*sarama.AbortedTransaction{aborted(7, 10)}, want: []int64{10}, next: 11},
		{name: "compacted away", sets: []*sarama.Records{empty}, next: 15},
		{name: "cut off", sets: []*sarama.Records{partial}, aborted: []*sarama.AbortedTransaction{aborted(1, 10)}, next: 10},
		{name: "cut off after a record", sets: []*sarama.Records{data(10, 1, -1, false), partial}, want: []int64{10}, next: 11},
		{name: "old format, empty", sets: []*sarama.Records{{MsgSet: &sarama.MessageSet{}}}, next: 10},
		{name: "old format", sets: []*sarama.Records{messages(0, 9, 10, 12)}, want: []int64{10, 12}, next: 13},
		{name: "second old format", sets: []*sarama.Records{messages(1, 9, 10, 12)}, want: []int64{10, 12}, next: 13},
		{name: "old format, compressed", sets: []*sarama.Records{wrapped(0, 11, 9, 10, 11)}, want: []int64{10, 11}, next: 12},
		{name: "second old format, compressed", sets: []*sarama.Records{wrapped(1, 13, 0, 1, 4)}, want: []int64{10, 13}, next: 14},
		{name: "old format, then the new one", sets: []*sarama.Records{messages(1, 10, 11), data(12, 1, -1, false)}, want: []int64{10, 11, 12}, next: 13},
	} {
		a := answered(&sarama.FetchResponseBlock{RecordsSet: c.sets, AbortedTransactions: c.aborted})
		out := packer{topic: &Topic{}, left: a.tally().records}
		next, err := new(unpacker).walk(a, 10, !c.dirty, &out)
		var got []int64
		for _, p := range out.parcels() {
			for _, r := range p.records {
				got = append(got, r.Offset)
			}
		}
		if err != nil || next != c.next || !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, next %d, %v, want %v, %d", c.name, got, next, err, c.want, c.next)
		}
	}
	bad := marker(10, 1, commit)
	bad.RecordBatch.Records[0].Key = []byte{1}
	if _, err := new(unpacker).walk(answered(&sarama.FetchResponseBlock{RecordsSet: []*sarama.Records{bad}}), 10, true, &packer{}); err == nil {
		t.Error("a marker without a type: got no error")
	}
	apart := &answer{block: &sarama.FetchResponseBlock{RecordsSet: []*sarama.Records{data(10, 1, -1, false)}}}
	if _, err := new(unpacker).walk(apart, 10, true, &packer{}); err == nil {
		t.Error("a batch that was not kept back: got no error")
	}
}
