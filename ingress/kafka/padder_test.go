package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// Many like records compress to less than a byte each. They arrive though nothing comes behind them.
func TestDenseBatch(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		const n = 20_000
		topic := k.name("in")
		k.create(topic, 2)
		client, err := kgo.NewClient(kgo.SeedBrokers(k.addresses...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxVersions(kversion.V3_0_0()),
			kgo.ProducerBatchCompression(kgo.ZstdCompression()), kgo.MaxBufferedRecords(n+1), kgo.ManualFlushing())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		at, errs := time.Now(), make(chan error, n)
		for range n {
			client.Produce(t.Context(), &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte("v"), Timestamp: at}, func(_ *kgo.Record, err error) { errs <- err })
		}
		if err := client.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range n {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
		o, e := observe(t), newEngine(t)
		run(t, k.config(o, topic), e)
		got := e.untilArrived(source(topic, 0), n)
		for i, r := range got {
			if r.Offset != int64(i) || r.ID != "k" || string(r.Value.Value) != "v" {
				t.Fatalf("record %d: got %+v", i, r)
			}
		}
		for p := range int32(2) { // what comes behind it, and beside it
			k.produce(topic, p, numbered("a", 0, 3)...)
		}
		equal(t, "behind it", ids(e.untilArrived(source(topic, 0), n+3))[n:], wantIDs("a", 0, 3))
		equal(t, "beside it", ids(e.untilArrived(source(topic, 1), 3)), wantIDs("a", 0, 3))
	})
}

// rawBatch is a batch of what is given, true or not.
func rawBatch(first int64, codec int16, records int, body []byte) []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(first))
	b = binary.BigEndian.AppendUint32(b, uint32(batchHeadSize-12+len(body)))
	b = append(b, 0, 0, 0, 0, 2, 0, 0, 0, 0) // leader's epoch, format, checksum
	b = binary.BigEndian.AppendUint16(b, uint16(codec))
	b = binary.BigEndian.AppendUint32(b, uint32(records-1))
	b = append(b, make([]byte, 16)...)                // times
	b = append(b, bytes.Repeat([]byte{0xff}, 8+2)...) // producer
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(records))
	b = append(b, body...)
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// rawRecords are records as they lie in a batch.
func rawRecords(prefix string, from, to int) (b []byte) {
	for i, r := range numbered(prefix, from, to) {
		one := []byte{0, 0} // attributes, time
		one = binary.AppendVarint(one, int64(i))
		one = append(binary.AppendVarint(one, int64(len(r.Key))), r.Key...)
		one = append(binary.AppendVarint(one, int64(len(r.Value))), r.Value...)
		one = append(one, 0)
		b = append(binary.AppendVarint(b, int64(len(one))), one...)
	}
	return b
}

// zeros is n bytes of nothing as zstd has them at best: 4 bytes for each 128 KiB.
func zeros(n int) []byte {
	const most = 128 << 10
	b := append(binary.LittleEndian.AppendUint32(nil, 0xfd2fb528), 0xe0) // the size is told, in 8 bytes
	b = binary.LittleEndian.AppendUint64(b, uint64(n))
	for n > 0 {
		head := min(n, most)<<3 | 1<<1 // one byte again and again
		if n <= most {
			head |= 1 // the last
		}
		b = append(b, byte(head), byte(head>>8), byte(head>>16), 0)
		n -= most
	}
	return b
}

// A batch that cannot be read stops its partition, and nothing else: what is in front of it arrives, and a condition says where it lies
// and what is wrong. Such are batches that would fill the memory, and ones that do not hold what they say.
func TestBatchThatCannotBeRead(t *testing.T) {
	const zstd = 4
	for name, c := range map[string]struct {
		batch []byte
		want  []string
	}{
		"larger than memory is": {rawBatch(3, zstd, 1, zeros(batchDecompressedMax+1)), []string{"batch at offset 3, 1 records in ", "larger than the configured limit"}},
		"more records than are taken from so few bytes": {rawBatch(3, zstd, denseRecordsMax+1, zeros(10_000)),
			[]string{"batch at offset 3, 1048577 records in 78 bytes: at most 1048576 are taken"}},
		"fewer records than it says":   {rawBatch(3, 0, 9, rawRecords("a", 3, 5)), []string{"batch at offset 3, 9 records in ", "does not hold what it says"}},
		"not what it says, compressed": {rawBatch(3, zstd, 9, zeros(0)), []string{"batch at offset 3, 9 records in "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := fake(t)
			k := newBroker(t, cluster.ListenAddrs())
			k.create("in", 3)
			k.produce("in", 1, numbered("a", 0, 3)...)
			k.produce("in", 1, numbered("a", 3, 5)...)
			good := rawBatch(0, 0, 3, rawRecords("a", 0, 3))
			var mu sync.Mutex
			bad := true
			cluster.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
				cluster.KeepControl()
				mu.Lock()
				defer mu.Unlock()
				for _, p := range request.(*kmsg.FetchRequest).Topics[0].Partitions {
					if p.Partition != 1 || !bad {
						continue
					}
					return fetched(request, 1, func(out *kmsg.FetchResponseTopicPartition) {
						out.HighWatermark, out.LastStableOffset = 20, 20
						switch {
						case p.FetchOffset >= 3:
							out.RecordBatches = c.batch
						case int(p.PartitionMaxBytes) < len(good):
							out.RecordBatches = good
						default:
							out.RecordBatches = append(bytes.Clone(good), c.batch...)
						}
					}), nil, true
				}
				return nil, nil, false
			})
			o, e := observe(t), newEngine(t)
			run(t, k.config(o, "in"), e)
			o.until(fmt.Sprintf("a condition with %q", c.want), func() bool {
				for key, text := range o.active {
					if strings.HasSuffix(key, "in/1: "+cannotBeRead) && !slices.ContainsFunc(c.want, func(want string) bool { return !strings.Contains(text, want) }) {
						return true
					}
				}
				return false
			})
			for _, p := range []int32{0, 2} {
				k.produce("in", p, numbered("a", 0, 3)...)
				equal(t, "another partition", ids(e.untilArrived(source("in", p), 3)), wantIDs("a", 0, 3))
			}
			equal(t, "in front of it", ids(e.untilArrived(source("in", 1), 3)), wantIDs("a", 0, 3))
			mu.Lock()
			bad = false
			mu.Unlock()
			equal(t, "records", ids(e.untilArrived(source("in", 1), 5)), wantIDs("a", 0, 5))
			o.untilRecovered(cannotBeRead)
		})
	}
}

// answerFrame is an answer to a fetch of one partition as it comes over the wire.
func answerFrame(version int16, records []byte, aborted int) []byte {
	r := kmsg.NewPtrFetchResponse()
	r.SetVersion(version)
	topic, p := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
	topic.Topic, p.Partition, p.RecordBatches = "in", 7, records
	for range aborted {
		p.AbortedTransactions = append(p.AbortedTransactions, kmsg.NewFetchResponseTopicPartitionAbortedTransaction())
	}
	p.CurrentLeader.LeaderID = 3
	topic.Partitions = append(topic.Partitions, p)
	r.Topics = append(r.Topics, topic)
	b := []byte{0, 0, 0, 0, 0, 0, 0, 9}
	if version >= 12 {
		b = append(b, 0)
	}
	b = r.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

func readAnswer(t *testing.T, version int16, frame []byte) *kmsg.FetchResponse {
	t.Helper()
	if got := int(binary.BigEndian.Uint32(frame)); got != len(frame)-4 {
		t.Fatalf("version %d: an answer of %d bytes says that it has %d", version, len(frame)-4, got)
	}
	r := kmsg.NewPtrFetchResponse()
	r.SetVersion(version)
	body := frame[8:]
	if version >= 12 {
		body = body[1:]
	}
	if err := r.ReadFrom(body); err != nil {
		t.Fatalf("version %d: %v", version, err)
	}
	return r
}

// Only what follows the records is changed, and only where the batch is whole and has more records than bytes come behind its head.
func TestPad(t *testing.T) {
	dense := rawBatch(30, 4, 500, zeros(5000))
	for version := int16(4); version <= 12; version++ {
		for name, c := range map[string]struct {
			records []byte
			filler  int
			head    *batchHead
		}{
			"dense":           {dense, 500 - (len(dense) - batchHeadSize), &batchHead{30, len(dense), 500}},
			"few too many":    {rawBatch(30, 4, 20, zeros(10)), batchHeadSize, &batchHead{30, 78, 20}},
			"not dense":       {rawBatch(30, 0, 2, rawRecords("a", 0, 2)), 0, &batchHead{30, 85, 2}},
			"far too dense":   {rawBatch(30, 4, denseRecordsMax+1, zeros(10)), 0, &batchHead{30, 78, denseRecordsMax + 1}},
			"cut off":         {dense[:len(dense)-1], 0, nil},
			"cut in its head": {dense[:batchHeadSize-1], 0, nil},
			"nothing":         {nil, 0, nil},
			"more behind":     {append(bytes.Clone(dense), make([]byte, 1000)...), 0, &batchHead{30, len(dense), 500}},
		} {
			frame := answerFrame(version, c.records, int(version)%3)
			want := readAnswer(t, version, bytes.Clone(frame))
			out, head := pad(frame, version)
			got := readAnswer(t, version, out)
			if head != nil && c.head != nil && *head != *c.head || (head == nil) != (c.head == nil) {
				t.Errorf("%s, version %d: got the head of %v, want %v", name, version, head, c.head)
			}
			p, before := &got.Topics[0].Partitions[0], &want.Topics[0].Partitions[0]
			if !bytes.HasPrefix(p.RecordBatches, c.records) || len(p.RecordBatches)-len(c.records) != c.filler {
				t.Errorf("%s, version %d: got %d bytes for %d, want %d more", name, version, len(p.RecordBatches), len(c.records), c.filler)
			}
			p.RecordBatches, before.RecordBatches = nil, nil
			if !bytes.Equal(got.AppendTo(nil), want.AppendTo(nil)) {
				t.Errorf("%s, version %d: the rest of the answer has changed", name, version)
			}
		}
	}
}

// Whatever comes, nothing is lost of it, and it does not grow beyond the bound.
func FuzzPad(f *testing.F) {
	for version := int16(4); version <= 12; version++ {
		f.Add(answerFrame(version, rawBatch(30, 4, 500, zeros(5000)), 1), version)
	}
	f.Fuzz(func(t *testing.T, frame []byte, version int16) {
		before := bytes.Clone(frame)
		out, head := pad(frame, version)
		if len(out) < len(before) || len(out) > len(before)+denseRecordsMax+batchHeadSize {
			t.Errorf("%d bytes became %d", len(before), len(out))
		}
		if head == nil && !bytes.Equal(out, before) {
			t.Error("changed without a batch")
		}
	})
}
