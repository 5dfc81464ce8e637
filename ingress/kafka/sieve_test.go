package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
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
		"larger than memory is":         {rawBatch(3, zstd, 1, zeros(batchDecompressedMax+1)), []string{"batch at offset 3, 1 records in ", "larger than 268435456 bytes when it is decompressed"}},
		"many more records than it has": {rawBatch(3, zstd, 1<<30, zeros(10_000)), []string{"batch at offset 3, 1073741824 records in 78 bytes: it does not hold"}},
		"fewer records than it has":     {rawBatch(3, 0, 1, rawRecords("a", 3, 5)), []string{"batch at offset 3, 1 records in ", "does not hold what it says"}},
		"changed on its way":            {bytes.Replace(rawBatch(3, 0, 2, rawRecords("a", 3, 5)), []byte("va4"), []byte("va5"), 1), []string{"batch at offset 3, 2 records in ", "checksum"}},
		"a format to come":              {bytes.Replace(rawBatch(3, 0, 2, rawRecords("a", 3, 5)), []byte{0, 0, 0, 0, 2}, []byte{0, 0, 0, 0, 3}, 1), []string{"batch at offset 3: format 3"}},
		"compressed in another way":     {rawBatch(3, 7, 2, rawRecords("a", 3, 5)), []string{"batch at offset 3, 2 records in ", "unknown compression"}},
		"fewer records than it says":    {rawBatch(3, 0, 9, rawRecords("a", 3, 5)), []string{"batch at offset 3, 9 records in ", "does not hold what it says"}},
		"not what it says, compressed":  {rawBatch(3, zstd, 9, zeros(0)), []string{"batch at offset 3, 9 records in "}},
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

// answerFrame is an answer to a fetch of three partitions as it comes over the wire. That in the middle has two batches, the others what is given.
func answerFrame(version int16, records []byte, aborted int) []byte {
	r := kmsg.NewPtrFetchResponse()
	r.SetVersion(version)
	for i, partition := range []int32{7, 9, 11} {
		topic, p := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
		topic.Topic, p.Partition, p.RecordBatches = fmt.Sprint("in", i), partition, records
		if i == 1 {
			p.RecordBatches = append(rawBatch(30, 4, 500, zeros(5000)), rawBatch(530, 0, 2, rawRecords("a", 0, 2))...)
		}
		for range aborted {
			p.AbortedTransactions = append(p.AbortedTransactions, kmsg.NewFetchResponseTopicPartitionAbortedTransaction())
		}
		p.CurrentLeader.LeaderID = 3
		topic.Partitions = append(topic.Partitions, p)
		r.Topics = append(r.Topics, topic)
	}
	b := []byte{0, 0, 0, 0, 0, 0, 0, 9}
	if version >= 12 {
		b = append(b, 0)
	}
	b = r.AppendTo(b)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

// oldMessage is one in a format before batches.
func oldMessage(format byte, offset int64) []byte {
	body := []byte{format, 0} // no compression
	if format >= 1 {
		body = append(body, make([]byte, 8)...) // time
	}
	body = append(binary.BigEndian.AppendUint32(body, 1), 'k')
	body = append(binary.BigEndian.AppendUint32(body, 1), 'v')
	b := binary.BigEndian.AppendUint64(nil, uint64(offset))
	b = binary.BigEndian.AppendUint32(b, uint32(4+len(body)))
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(body))
	return append(b, body...)
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

// keepBack takes the batches out of an answer, leaves what there is of the formats before, and changes nothing else.
func TestKeepBack(t *testing.T) {
	batches := append(rawBatch(30, 4, 500, zeros(5000)), rawBatch(530, 0, 2, rawRecords("a", 0, 2))...)
	old := append(oldMessage(1, 10), oldMessage(1, 11)...)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for version := int16(4); version <= 12; version++ {
		for name, c := range map[string]struct{ left, kept []byte }{
			"nothing":                   {},
			"batches":                   {nil, batches},
			"cut off":                   {nil, batches[:len(batches)-1]},
			"cut in its head":           {nil, batches[:magicAt+1]},
			"cut before its format":     {batches[:magicAt], nil},
			"old":                       {old, nil},
			"old, cut off":              {old[:len(old)-1], nil},
			"old, cut in its head":      {old[:len(old)-20], nil},
			"both":                      {old, batches},
			"both, and old ones behind": {old, join(batches, old)},
		} {
			frame := answerFrame(version, join(c.left, c.kept), int(version)%3)
			want := readAnswer(t, version, bytes.Clone(frame))
			rest, sets := keepBack(frame, version)
			got := readAnswer(t, version, rest)
			for i, partition := range []int32{7, 9, 11} {
				at := place{fmt.Sprint("in", i), partition}
				p, before := &got.Topics[i].Partitions[0], &want.Topics[i].Partitions[0]
				left, kept := c.left, c.kept
				if partition == 9 {
					left, kept = nil, batches
				}
				if !bytes.Equal(p.RecordBatches, left) || !bytes.Equal(sets[at], kept) {
					t.Errorf("%s, version %d: left %x and kept %x of %v, want %x and %x", name, version, p.RecordBatches, sets[at], at, left, kept)
				}
				p.RecordBatches, before.RecordBatches = nil, nil
			}
			if !bytes.Equal(got.AppendTo(nil), want.AppendTo(nil)) {
				t.Errorf("%s, version %d: the rest of the answer has changed", name, version)
			}
		}
	}
}

// Whatever comes, nothing is made up, and what is not understood is left as it is.
func FuzzKeepBack(f *testing.F) {
	for version := int16(4); version <= 12; version++ {
		f.Add(answerFrame(version, rawBatch(30, 4, 500, zeros(5000)), 1), version)
		f.Add(answerFrame(version, append(oldMessage(1, 10), rawBatch(30, 0, 2, rawRecords("a", 0, 2))...), 1), version)
	}
	f.Fuzz(func(t *testing.T, frame []byte, version int16) {
		before := bytes.Clone(frame)
		rest, sets := keepBack(frame, version)
		size := len(rest)
		for _, set := range sets {
			size += len(set)
			if !bytes.Contains(before, set) {
				t.Error("kept back what did not come")
			}
		}
		if len(sets) == 0 && !bytes.Equal(rest, before) {
			t.Error("changed without a batch")
		}
		if size > len(before)+4*len(sets) {
			t.Errorf("%d bytes became %d", len(before), size)
		}
	})
}

// An answer that comes in pieces, or with more behind it, is what it is; so is one that is not awaited.
func TestSievedConnection(t *testing.T) {
	batch := rawBatch(30, 0, 2, rawRecords("a", 0, 2))
	frame := answerFrame(12, batch, 1)
	kept, _ := keepBack(bytes.Clone(frame), 12)
	request := append([]byte{0, 0, 0, 30, 0, fetchKey, 0, 12, 0, 0, 0, 9, 0, 4}, "test and what follows it"...)
	large := answerFrame(12, rawBatch(30, 0, 2, make([]byte, 3*frameKept)), 0)
	largeKept, _ := keepBack(bytes.Clone(large), 12)
	for name, c := range map[string]struct {
		request []byte
		fetch   bool
		pieces  [][]byte
		want    []byte
		sets    int
	}{
		"as a whole":          {request, true, [][]byte{frame}, kept, 3},
		"in pieces":           {request, true, [][]byte{frame[:3], frame[3:5], frame[5:70], frame[70:]}, kept, 3},
		"large":               {request, true, [][]byte{large[:100], large[100:5000], large[5000:]}, largeKept, 3},
		"with more behind it": {request, true, [][]byte{append(bytes.Clone(frame), 1)}, append(bytes.Clone(frame), 1), 0},
		"no length":           {request, true, [][]byte{{0xff, 0xff, 0xff, 0xff, 0}}, []byte{0xff, 0xff, 0xff, 0xff, 0}, 0},
		"another's":           {append(append(bytes.Clone(request[:11]), 8), request[12:]...), true, [][]byte{frame}, frame, 0},
		"no fetch":            {append([]byte{0, 0, 0, 30, 0, 3}, request[6:]...), true, [][]byte{frame}, frame, 0},
		"no request":          {append(bytes.Clone(request[:14]), "abcdefghijk"...), true, [][]byte{frame}, frame, 0},
		"before a fetch":      {request, false, [][]byte{frame}, frame, 0},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := net.Pipe()
			defer func() { _ = server.Close() }()
			s := &sieve{client: "test", timeout: time.Minute, dialer: dialed{client}}
			connection, err := s.Dial("tcp", "")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = connection.Close() }()
			if c.fetch {
				s.begin()
			}
			go func() {
				_, _ = io.ReadFull(server, make([]byte, len(c.request)))
				for _, piece := range c.pieces {
					_, _ = server.Write(piece)
				}
			}()
			if _, err := connection.Write(c.request); err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(c.want))
			if _, err := io.ReadFull(connection, got); err != nil {
				t.Fatal(err)
			}
			sound, sets := s.end()
			if !bytes.Equal(got, c.want) || len(sets) != c.sets {
				t.Errorf("got %d bytes and %d sets, want %d and %d", len(got), len(sets), len(c.want), c.sets)
			}
			_ = server.Close()
			if _, err := connection.Read(got); err == nil {
				t.Error("no error at the end")
			}
			if after, _ := s.end(); sound && after {
				t.Error("a connection that has ended is sound")
			}
		})
	}
}

type dialed struct{ connection net.Conn }

func (d dialed) Dial(string, string) (net.Conn, error) { return d.connection, nil }
