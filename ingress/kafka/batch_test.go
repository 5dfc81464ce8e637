package kafka

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/IBM/sarama"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/snappy/xerial"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
)

// encode is a batch as it lies in an answer; half of it where it is cut off.
func encode(b *sarama.RecordBatch) batchSet {
	var body []byte
	for _, r := range b.Records {
		one := binary.AppendVarint([]byte{0, 0}, r.OffsetDelta) // attributes, time
		for _, text := range [][]byte{r.Key, r.Value} {
			one = appendBytes(one, text)
		}
		one = binary.AppendVarint(one, int64(len(r.Headers)))
		for _, h := range r.Headers {
			one = appendBytes(appendBytes(one, h.Key), h.Value)
		}
		body = append(binary.AppendVarint(body, int64(len(one))), one...)
	}
	set := rawBatch(b.FirstOffset, int16(b.Codec), len(b.Records), body)
	if b.Control {
		set[22] |= 0x20
	}
	if b.IsTransactional {
		set[22] |= 0x10
	}
	binary.BigEndian.PutUint32(set[23:], uint32(b.LastOffsetDelta))
	binary.BigEndian.PutUint64(set[43:], uint64(b.ProducerID))
	seal(set)
	if b.PartialTrailingRecord {
		return set[:magicAt+1+(len(set)-magicAt)/2]
	}
	return set
}

func appendBytes(b, text []byte) []byte {
	if text == nil {
		return binary.AppendVarint(b, -1)
	}
	return append(binary.AppendVarint(b, int64(len(text))), text...)
}

// seal makes the checksum of a batch that of what is in it.
func seal(set batchSet) {
	binary.BigEndian.PutUint32(set[17:], crc32.Checksum(set[21:], crc32.MakeTable(crc32.Castagnoli)))
}

// answered is an answer as it has come through the sieve.
func answered(block *sarama.FetchResponseBlock) *answer {
	a := &answer{block: block}
	var old []*sarama.Records
	for _, set := range block.RecordsSet {
		if set.RecordBatch == nil {
			old = append(old, set)
		} else {
			a.set = append(a.set, encode(set.RecordBatch)...)
		}
	}
	block.RecordsSet = old
	return a
}

// library is what sarama makes of an answer to a fetch of version 12.
func library(t *testing.T, frame []byte) (*sarama.FetchResponse, error) {
	t.Helper()
	server, client := net.Pipe()
	config := sarama.NewConfig()
	config.ApiVersionsRequest = false
	config.Net.Proxy.Enable, config.Net.Proxy.Dialer = true, dialed{client}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var size [4]byte
		if _, err := io.ReadFull(server, size[:]); err != nil {
			return
		}
		request := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(server, request); err != nil {
			return
		}
		answer := bytes.Clone(frame)
		copy(answer[4:8], request[4:8]) // correlation
		_, _ = server.Write(answer)
	}()
	broker := sarama.NewBroker("kafka:9092")
	if err := broker.Open(config); err != nil {
		t.Fatal(err)
	}
	response, err := broker.Fetch(&sarama.FetchRequest{Version: 12})
	_ = broker.Close()
	_ = server.Close()
	<-ended
	return response, err
}

// seen is a record as a test compares it.
func seen(offset int64, key, value []byte, headers []header) string {
	return fmt.Sprintf("%d %q %v %q %v %q", offset, key, key == nil, value, value == nil, headers)
}

// unpacked is all records of a set, by the unpacker.
func unpacked(set batchSet) (records []string, err error) {
	var u unpacker
	for len(set) > 0 {
		whole, rest, err := set.first()
		if whole == nil {
			return records, err
		}
		head := whole.head()
		if err := whole.check(&head); err != nil {
			return records, err
		}
		b, err := u.decompress(head.codec, whole[batchHeadSize:])
		if err != nil {
			return records, err
		}
		bytes := recordBytes(b)
		for range head.records {
			delta, ok := bytes.record(&u.entry)
			if !ok {
				return records, head.errUntrue()
			}
			records = append(records, fmt.Sprint(head.control, " ", seen(head.offset+delta, u.entry.key, u.entry.value, u.entry.headers)))
		}
		if len(bytes) > 0 {
			return records, head.errUntrue()
		}
		set = rest
	}
	return records, nil
}

// byLibrary is all records of a block, by the library.
func byLibrary(block *sarama.FetchResponseBlock) (records []string) {
	for _, set := range block.RecordsSet {
		b := set.RecordBatch
		if b == nil || b.PartialTrailingRecord {
			continue
		}
		for _, r := range b.Records {
			var headers []header
			for _, h := range r.Headers {
				headers = append(headers, header{h.Key, h.Value})
			}
			records = append(records, fmt.Sprint(b.Control, " ", seen(b.FirstOffset+r.OffsetDelta, r.Key, r.Value, headers)))
		}
	}
	return records
}

// What a producer that is not ours has written is read as the library reads it: each compression, transactions that end either way,
// nulls, headers, many records and few.
func TestBatchesAsTheLibraryReadsThem(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		for name, codec := range map[string]kgo.CompressionCodec{"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
			"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression()} {
			topic := k.name("in-" + name)
			k.create(topic, 1)
			client, err := kgo.NewClient(kgo.SeedBrokers(k.addresses...), kgo.DefaultProduceTopic(topic), kgo.MaxVersions(kversion.V3_0_0()),
				kgo.ProducerBatchCompression(codec), kgo.TransactionalID(k.name("txn-"+name)), kgo.ManualFlushing())
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			n := 0
			for round, size := range []int{1, 700, 3, 20} {
				if err := client.BeginTransaction(); err != nil {
					t.Fatal(err)
				}
				for i := range size {
					r := &kgo.Record{Key: fmt.Appendf(nil, "key-%d", i%7), Value: []byte(strings.Repeat("value ", i%50))}
					switch i % 5 {
					case 1:
						r.Key = nil
					case 2:
						r.Value = nil
					case 3:
						r.Headers = []kgo.RecordHeader{{Key: "a", Value: []byte("b")}, {Key: "", Value: nil}, {Key: strings.Repeat("long", 100), Value: r.Value}}
					}
					client.Produce(t.Context(), r, nil)
					n++
				}
				if err := client.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := client.EndTransaction(t.Context(), kgo.TransactionEndTry(round != 2)); err != nil {
					t.Fatal(err)
				}
			}
			config := newClientConfig()
			config.Net.Proxy.Enable, config.Net.Proxy.Dialer = true, &net.Dialer{}
			request := &sarama.FetchRequest{Version: fetchVersion, MinBytes: 1, MaxBytes: 1 << 20, MaxWaitTime: 1000, Isolation: sarama.ReadCommitted, SessionEpoch: -1}
			request.AddBlock(topic, 0, 0, 1<<20, -1)
			plain, set := bothWays(t, k, config, request, place{topic, 0})
			want := byLibrary(plain)
			got, err := unpacked(set)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if len(want) < n {
				t.Errorf("%s: got %d records by the library, want %d and markers", name, len(want), n)
			}
			equal(t, name, got, want)
		}
	})
}

// bothWays fetches the same of the leader by the library alone, and through the sieve.
func bothWays(t *testing.T, k *broker, config *sarama.Config, request *sarama.FetchRequest, at place) (*sarama.FetchResponseBlock, batchSet) {
	t.Helper()
	client, err := sarama.NewClient(k.addresses, config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	leader, err := client.Leader(at.topic, at.partition)
	if err != nil {
		t.Fatal(err)
	}
	var plain *sarama.FetchResponse
	for limit := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if plain, err = leader.Fetch(request); err != nil {
			t.Fatal(err)
		}
		block := plain.GetBlock(at.topic, at.partition)
		if block.LastStableOffset == block.HighWaterMarkOffset { // the markers of all transactions stand there
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("a transaction does not end: %+v", block)
		}
	}
	s := newSieve(config)
	sieved := *config
	sieved.Net.Proxy.Dialer = s
	broker := sarama.NewBroker(leader.Addr())
	if err := broker.Open(&sieved); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = broker.Close() }()
	s.begin()
	answer, err := broker.Fetch(request)
	if err != nil {
		t.Fatal(err)
	}
	sound, sets := s.end()
	block, other := answer.GetBlock(at.topic, at.partition), plain.GetBlock(at.topic, at.partition)
	if !sound || len(block.RecordsSet) > 0 || block.HighWaterMarkOffset != other.HighWaterMarkOffset || len(block.AbortedTransactions) != len(other.AbortedTransactions) {
		t.Errorf("sound %v, got %+v, want that of %+v", sound, block, other)
	}
	return other, bytes.Clone(sets[at])
}

// A batch that is far larger than what the buffer takes at a time comes in parts, each record once. All are decompressed into the same memory.
func TestBatchInParts(t *testing.T) {
	const n = 3000
	b := &sarama.RecordBatch{FirstOffset: 10, LastOffsetDelta: n - 1, ProducerID: -1}
	for i := range n {
		b.Records = append(b.Records, &sarama.Record{OffsetDelta: int64(i), Key: fmt.Append(nil, i), Value: make([]byte, 1000)})
	}
	s := newTestStream()
	s.buffer = newBuffer(n, 100_000, 10)
	s.buffer.resume = func() {}
	var got, want []string
	parts := 0
	compressor, err := kgo.DefaultCompressor(kgo.ZstdCompression())
	if err != nil {
		t.Fatal(err)
	}
	body, kind := compressor.Compress(new(bytes.Buffer), encode(b)[batchHeadSize:])
	var u unpacker
	var space *byte
	for ; s.next < 10+n; parts++ {
		a := answered(&sarama.FetchResponseBlock{HighWaterMarkOffset: 10 + n, LastStableOffset: 10 + n, PreferredReadReplica: -1})
		a.set = rawBatch(10, int16(kind), n, body)
		if err := s.take(a, &u); err != nil {
			t.Fatal(err)
		}
		if now := &u.space[0]; space == nil {
			space = now
		} else if now != space {
			t.Fatal("it was decompressed into more memory")
		}
		if s.buffer.bytes > (partFactor+1)*100_000 {
			t.Fatalf("%d bytes are held, of a buffer of 100,000", s.buffer.bytes)
		}
		for p, ok, _ := s.buffer.take(); ok; p, ok, _ = s.buffer.take() {
			got = append(got, ids(p.records)...)
		}
	}
	for i := range n {
		want = append(want, fmt.Sprint(i))
	}
	equal(t, "records", got, want)
	if least := n * 1000 / ((partFactor + 1) * 100_000); parts < least {
		t.Errorf("got it in %d parts, want at least %d", parts, least)
	}
}

// A decompressor goes on after what it could not read, and gives back the memory of what was large.
func TestDecompressor(t *testing.T) {
	d := decompressor{limit: 3 * spaceKept}
	large := bytes.Repeat([]byte("0123456789"), spaceKept/10*2)
	for _, codec := range []kgo.CompressionCodec{kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		compressor, err := kgo.DefaultCompressor(codec)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range [][]byte{nil, []byte("a"), large, large[:1000], bytes.Repeat(large, 2), []byte("after it")} {
			compressed, kind := compressor.Compress(new(bytes.Buffer), text)
			got, err := d.decompress(kafkaCodec(kind), bytes.Clone(compressed))
			switch {
			case len(text) > d.limit:
				if err == nil || !strings.Contains(err.Error(), errTooLarge.Error()) {
					t.Errorf("%v: got %v for more than the limit", kafkaCodec(kind), err)
				}
			case err != nil || !bytes.Equal(got, text):
				t.Errorf("%v: got %d bytes, %v, want %d", kafkaCodec(kind), len(got), err, len(text))
			}
			if len(compressed) > 10 {
				if _, err := d.decompress(kafkaCodec(kind), compressed[:len(compressed)-9]); err == nil {
					t.Errorf("%v: got no error for a part", kafkaCodec(kind))
				}
			}
			if cap(d.space) > 2*d.limit {
				t.Errorf("%v: %d bytes are held", kafkaCodec(kind), cap(d.space))
			}
		}
	}
	if _, err := d.decompress(codecNone, nil); err != nil || cap(d.space) > spaceKept {
		t.Errorf("got %v, and %d bytes held", err, cap(d.space))
	}
}

// TestSnappySpace: batches of about the same size are decompressed in one place, framed or not, and what lies about its size gets no memory
// on its word.
func TestSnappySpace(t *testing.T) {
	var text []byte // of which about a third is left: doubling that would go beyond what is kept
	for i := uint32(0); len(text) < 900_000; i++ {
		text = fmt.Appendf(text, "a record like others, and %08x", i*2654435761)
	}
	framed := func(text []byte) []byte { return xerial.Encode(nil, text) }
	block := func(text []byte) []byte { return snappy.Encode(nil, text) }
	for name, compress := range map[string]func([]byte) []byte{"framed": framed, "a block": block} {
		var d decompressor
		var place *byte
		for _, n := range []int{len(text) - 5000, len(text), len(text) - 9000, 100, len(text) - 1} {
			got, err := d.decompress(codecSnappy, compress(text[:n]))
			if err != nil || !bytes.Equal(got, text[:n]) {
				t.Fatalf("%s: got %d bytes, %v, want %d", name, len(got), err, n)
			}
			if place == nil {
				place = unsafe.SliceData(d.space)
			}
			if unsafe.SliceData(d.space) != place || cap(d.space) > spaceKept {
				t.Errorf("%s: %d bytes lie elsewhere than others before, where there is room for %d", name, n, cap(d.space))
			}
		}
	}
	frame := func(b ...byte) []byte { return append(bytes.Clone(framed(nil)[:16]), b...) }
	for name, lie := range map[string][]byte{
		"more than may be":         binary.AppendUvarint(nil, 1<<31),
		"more than may be, framed": frame(0, 0, 0, 5, 128, 128, 128, 128, 8),
		"a frame that ends":        frame(255, 255, 255, 255, 255, 255),
		"a frame without a block":  frame(0, 0, 0, 0),
		"no whole head":            framed(nil)[:9],
	} {
		var err error
		pieces := testing.AllocsPerRun(1, func() { _, err = new(decompressor).decompress(codecSnappy, lie) })
		if err == nil || pieces > 8 { // its space, and the error: 13 more would be space that is doubled up to the limit
			t.Errorf("%s: got %v, and %v pieces of memory", name, err, pieces)
		}
	}
}

func kafkaCodec(kind kgo.CompressionCodecType) codec { return codec(kind) }

// FuzzBatches: batches of any bytes are read, or refused; what is read is in order and is what the library reads.
func FuzzBatches(f *testing.F) {
	f.Add([]byte(rawBatch(10, 0, 2, rawRecords("a", 0, 2))), true)
	f.Add([]byte(rawBatch(10, 4, 500, zeros(5000))), false)
	f.Add(append(rawBatch(10, 0, 1, rawRecords("a", 0, 1)), rawBatch(11, 0, 1, rawRecords("a", 1, 2))...), false)
	f.Add([]byte(encode(&sarama.RecordBatch{FirstOffset: 10, LastOffsetDelta: 1, ProducerID: 7, IsTransactional: true, Records: []*sarama.Record{
		{Headers: []*sarama.RecordHeader{{Key: []byte("a")}, {Value: []byte("b")}}}, {OffsetDelta: 1, Key: []byte{}}}})), true)
	f.Add([]byte(encode(&sarama.RecordBatch{FirstOffset: 10, ProducerID: 7, Control: true, Records: []*sarama.Record{{Key: []byte{0, 0, 0, 1}}}})), true)
	f.Fuzz(func(t *testing.T, set []byte, sealed bool) {
		if len(set) <= magicAt || set[magicAt] != 2 || len(set) > 1<<16 {
			return
		}
		if sealed && len(set) >= batchHeadSize {
			if whole, _, err := batchSet(set).first(); err == nil && whole != nil {
				seal(whole)
			}
		}
		u := unpacker{decompressor: decompressor{limit: 1 << 20}}
		out := packer{topic: &Topic{}}
		a := &answer{block: &sarama.FetchResponseBlock{AbortedTransactions: []*sarama.AbortedTransaction{{ProducerID: 7, FirstOffset: 0}}}, set: set}
		held := a.tally()
		next, err := u.walk(a, 10, true, &out)
		last := int64(9)
		for _, p := range out.parcels() {
			for i := range p.records {
				if r := &p.records[i]; r.Offset <= last || r.Offset >= next {
					t.Fatalf("offset %d behind %d, and %d is next", r.Offset, last, next)
				}
				last = p.records[i].Offset
			}
		}
		if err != nil || held.batches == 0 {
			return
		}
		got, err := unpacked(set)
		response, other := library(t, fetchFrame(set))
		if err != nil || other != nil {
			return
		}
		want := byLibrary(response.Blocks["in"][0])
		// The library ends before a batch that it takes for cut off.
		if len(want) > len(got) || strings.Join(got[:len(want)], "\n") != strings.Join(want, "\n") {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// fetchFrame is an answer of version 12 with a set of partition 0.
func fetchFrame(set []byte) []byte {
	b := []byte{0, 0, 0, 0, 0, 0, 0, 0, 0} // length, correlation, tags
	b = append(b, make([]byte, 4+2+4)...)  // throttling, error, session
	b = append(b, 2, 3, 'i', 'n', 2)       // one topic, one partition
	b = append(b, make([]byte, 4+2+3*8)...)
	b = append(b, 1) // no aborted transactions
	b = binary.BigEndian.AppendUint32(b, 1<<32-1)
	b = append(binary.AppendUvarint(b, uint64(len(set)+1)), set...)
	b = append(b, 0, 0, 0) // tags
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}
