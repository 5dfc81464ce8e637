package kafka

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/IBM/sarama"
)

func newTestStream() *stream {
	s := &stream{topic: &Topic{Routes: routes}, committedOnly: true, sizeMin: 1000, fit: 1000, size: 1000, next: 10}
	s.buffer = newBuffer(100, 1<<20, 10)
	return s
}

// A partition for which there is something that a fetch does not bring has the next one for itself, and a larger one when that brings
// nothing either; what is there for nobody changes nothing.
func TestStreamComesOn(t *testing.T) {
	batch := func(first int64, n int) *sarama.Records {
		b := &sarama.RecordBatch{FirstOffset: first, LastOffsetDelta: int32(n - 1), ProducerID: -1}
		for i := range n {
			b.Records = append(b.Records, &sarama.Record{OffsetDelta: int64(i), Key: []byte("k"), Value: []byte("v")})
		}
		return &sarama.Records{RecordBatch: b}
	}
	cut := &sarama.Records{RecordBatch: &sarama.RecordBatch{FirstOffset: 10, PartialTrailingRecord: true}}
	type step struct {
		single bool
		end    int64 // of the log
		stable int64 // before it nothing is open
		sets   []*sarama.Records
		alone  bool // afterwards
		size   int32
	}
	for name, steps := range map[string][]step{
		"nothing there":           {{end: 10, stable: 10, size: 1000}},
		"a transaction is open":   {{end: 20, stable: 10, size: 1000}, {end: 20, stable: 10, size: 1000}},
		"records":                 {{end: 12, stable: 12, sets: []*sarama.Records{batch(10, 2)}, size: 1000}},
		"records, then a cut one": {{end: 20, stable: 20, sets: []*sarama.Records{batch(10, 2), cut}, size: 1000}},
		"others use up the fetch": {{end: 20, stable: 20, size: 1000}, {end: 20, stable: 20, size: 1000},
			{end: 20, stable: 20, size: 1000, alone: true}, {single: true, end: 20, stable: 20, sets: []*sarama.Records{batch(10, 2)}, size: 1000}},
		"a large batch": {{end: 20, stable: 20, sets: []*sarama.Records{cut}, size: 1000, alone: true},
			{single: true, end: 20, stable: 20, sets: []*sarama.Records{cut}, size: 2000, alone: true},
			{single: true, end: 20, stable: 20, sets: []*sarama.Records{cut}, size: 4000, alone: true},
			{single: true, end: 20, stable: 20, sets: []*sarama.Records{batch(10, 2)}, size: 2000},
			{end: 12, stable: 12, size: 1000}},
		"batches that are empty": {{end: 20, stable: 20, size: 1000}, {end: 20, stable: 20, size: 1000},
			{end: 20, stable: 20, size: 1000, alone: true}, {single: true, end: 20, stable: 20, size: 2000, alone: true},
			{single: true, end: 20, stable: 20, sets: []*sarama.Records{batch(19, 1)}, size: 1000}},
	} {
		s := newTestStream()
		for i, step := range steps {
			a := answered(&sarama.FetchResponseBlock{HighWaterMarkOffset: step.end, LastStableOffset: step.stable, RecordsSet: step.sets, PreferredReadReplica: -1})
			a.single = step.single
			if err := s.take(a, new(unpacker)); err != nil {
				t.Fatalf("%s, %d: %v", name, i, err)
			}
			if s.alone.Load() != step.alone || s.size != step.size || s.end.Load() != step.end {
				t.Errorf("%s, %d: got alone %v, size %d, end %d, want %v, %d, %d", name, i, s.alone.Load(), s.size, s.end.Load(), step.alone, step.size, step.end)
			}
		}
	}
}

func TestStreamEnds(t *testing.T) {
	now := time.Now()
	fine := &sarama.FetchResponseBlock{PreferredReadReplica: -1}
	outOfRange := &sarama.FetchResponseBlock{PreferredReadReplica: -1, Err: sarama.ErrOffsetOutOfRange}
	for _, c := range []struct {
		name    string
		block   *sarama.FetchResponseBlock
		replica bool
		until   time.Time
		want    error
	}{
		{name: "all is well", block: fine},
		{name: "not the leader", block: &sarama.FetchResponseBlock{Err: sarama.ErrNotLeaderForPartition}, want: sarama.ErrNotLeaderForPartition},
		{name: "out of range", block: outOfRange, want: errClosed},
		{name: "out of the range of a replica", block: outOfRange, replica: true, until: now.Add(time.Minute), want: sarama.ErrOffsetOutOfRange},
		{name: "a replica for long enough", block: fine, replica: true, until: now.Add(-time.Second), want: errLeader},
		{name: "a replica for some time", block: fine, replica: true, until: now.Add(time.Second)},
	} {
		s := newTestStream()
		s.replica, s.until = c.replica, c.until
		if err := s.take(&answer{block: c.block, at: now}, new(unpacker)); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	if err := newTestStream().take(&answer{block: &sarama.FetchResponseBlock{PreferredReadReplica: 0}, at: now}, new(unpacker)); err != nil {
		t.Errorf("the one that is read is nearest: got %v", err)
	}
	var nearer *elsewhere
	if err := newTestStream().take(&answer{block: &sarama.FetchResponseBlock{PreferredReadReplica: 3}, at: now}, new(unpacker)); !errors.As(err, &nearer) || nearer.broker != 3 {
		t.Errorf("a replica is nearer: got %v", err)
	}
}

// Of an answer that holds far more than the buffer no more is kept than fills it, up to the end of a batch. The next fetch is smaller, and
// goes on there.
func TestAnswerLargerThanTheBuffer(t *testing.T) {
	for name, c := range map[string]struct{ batchRecords, valueBytes, want int }{
		"bytes":         {10, 100_000, 20},
		"records":       {30, 1, 120},
		"in one batch":  {500, 10_000, 412}, // that is larger than is packed at a time
		"all of it fit": {2, 1, 20},
	} {
		const batches = 10
		s := newTestStream()
		s.buffer.resume = func() {}
		answerFrom := func(first int) *answer {
			block := &sarama.FetchResponseBlock{HighWaterMarkOffset: 1 << 40, LastStableOffset: 1 << 40, PreferredReadReplica: -1}
			for i := range batches {
				b := &sarama.RecordBatch{FirstOffset: int64(first + i*c.batchRecords), LastOffsetDelta: int32(c.batchRecords - 1), ProducerID: -1}
				for n := range c.batchRecords {
					b.Records = append(b.Records, &sarama.Record{OffsetDelta: int64(n), Key: []byte("k"), Value: make([]byte, c.valueBytes)})
				}
				block.RecordsSet = append(block.RecordsSet, &sarama.Records{RecordBatch: b})
			}
			return answered(block)
		}
		for next := 10; next < 10+3*c.want; next += c.want {
			size := int(s.size)
			if err := s.take(answerFrom(next), new(unpacker)); err != nil {
				t.Fatal(err)
			}
			if got := s.buffer.records; got != c.want || s.next != int64(next+c.want) {
				t.Errorf("%s: got %d records, and next %d, want %d and %d", name, got, s.next, c.want, next+c.want)
			}
			if c.want < batches*c.batchRecords && next == 10 && int(s.size) > size*c.want/(batches*c.batchRecords)+size/batches {
				t.Errorf("%s: got a next fetch of %d bytes, after one of %d that brought %d records of %d", name, s.size, size, c.want, batches*c.batchRecords)
			}
			for ok := true; ok; {
				_, ok, _ = s.buffer.take()
			}
		}
	}
}

// What is cut off is asked for alone, and a fetch that brings nothing grows up to a bound; then it is an error. So is a batch that cannot be
// read, at once; what is before it counts.
func TestStreamSaysWhy(t *testing.T) {
	cut := &sarama.FetchResponseBlock{HighWaterMarkOffset: 20, LastStableOffset: 20, Partial: true, PreferredReadReplica: -1}
	fine := &sarama.FetchResponseBlock{HighWaterMarkOffset: 11, LastStableOffset: 11, PreferredReadReplica: -1}
	s := newTestStream()
	if err := s.take(&answer{block: cut}, new(unpacker)); err != nil || !s.alone.Load() {
		t.Errorf("cut off: got %v, alone %v, want it alone", err, s.alone.Load())
	}
	if err := s.take(&answer{block: fine, set: rawBatch(10, 0, 1, rawRecords("a", 0, 1)), single: true}, new(unpacker)); err != nil || s.alone.Load() {
		t.Errorf("read: got %v, alone %v, want all as ever", err, s.alone.Load())
	}
	s = newTestStream()
	bad := append(rawBatch(10, 0, 2, rawRecords("a", 0, 2)), rawBatch(12, 0, 3, rawRecords("a", 2, 4))...)
	var why *unreadable
	if err := s.take(&answer{block: cut, set: bad, single: true}, new(unpacker)); !errors.As(err, &why) || why.alone || s.buffer.records != 2 {
		t.Errorf("whole, and not what it says: got %v, and %d records, want it to be unreadable, behind 2", err, s.buffer.records)
	}
	for name, sizeMin := range map[string]int32{"small": 1000, "large": fetchBytesMax + 1, "largest": math.MaxInt32} {
		s = newTestStream()
		s.sizeMin = sizeMin
		for fetches := 0; ; fetches++ {
			err := s.take(&answer{block: cut, single: true}, new(unpacker))
			if s.size <= 0 || s.size > max(sizeMin, fetchBytesMax) || fetches > 40 {
				t.Fatalf("%s: got a fetch of %d bytes, the %dth", name, s.size, fetches)
			}
			if errors.As(err, &why) && s.size == max(sizeMin, fetchBytesMax) {
				break
			}
			if err != nil {
				t.Fatalf("%s: got %v at %d bytes", name, err, s.size)
			}
		}
	}
}

// A fetch brings about half of what the buffer takes, or one batch, however much or little comes in a byte.
func TestFetchesFitTheBuffer(t *testing.T) {
	const max = 1 << 20
	for name, c := range map[string]struct {
		batchBytes, batchRecords, recordBytes int
		want                                  int // records of a fetch, about
	}{
		"small records":              {1000, 50, 20, 500},
		"compressed to a tenth":      {1000, 50, 200, 500},
		"large batches":              {100_000, 5000, 20, 5000},
		"large batches, compressed":  {10_000, 5000, 20, 5000},
		"large records":              {100_000, 1, 100_000, 10},
		"records that fill a buffer": {900_000, 1, 5_000_000, 1},
	} {
		s := &stream{topic: &Topic{Routes: routes}, sizeMin: max, fit: fitFirst, size: fitFirst}
		s.buffer = newBuffer(1000, 4<<20, 0)
		s.buffer.resume = func() {}
		fetched, cut := 0, 0
		for round := range 60 {
			block := &sarama.FetchResponseBlock{HighWaterMarkOffset: 1 << 40, LastStableOffset: 1 << 40, PreferredReadReplica: -1}
			whole := int(s.size) / c.batchBytes
			for i := range whole {
				b := &sarama.RecordBatch{FirstOffset: s.next + int64(i*c.batchRecords), LastOffsetDelta: int32(c.batchRecords - 1), ProducerID: -1}
				for n := range c.batchRecords {
					b.Records = append(b.Records, &sarama.Record{OffsetDelta: int64(n), Key: []byte("k"), Value: make([]byte, c.recordBytes)})
				}
				block.RecordsSet = append(block.RecordsSet, &sarama.Records{RecordBatch: b})
			}
			block.RecordsSet = append(block.RecordsSet, &sarama.Records{RecordBatch: &sarama.RecordBatch{PartialTrailingRecord: true}})
			a := answered(block)
			a.single = s.alone.Load()
			if err := s.take(a, new(unpacker)); err != nil {
				t.Fatal(err)
			}
			for {
				if _, ok, _ := s.buffer.take(); !ok {
					break
				}
			}
			if round >= 30 { // it has found what fits
				fetched += whole * c.batchRecords
				if whole == 0 {
					cut++
				}
			}
		}
		if got := fetched / 30; got < c.want*4/10 || got > c.want*12/10 {
			t.Errorf("%s: a fetch of %d bytes brings %d records, want some %d", name, s.size, got, c.want)
		}
		if cut > 0 && c.batchBytes < max/2 {
			t.Errorf("%s: %d of 30 fetches have brought nothing", name, cut)
		}
	}
}
