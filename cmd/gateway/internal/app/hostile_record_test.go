//go:build unix

package app

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/api"
)

// hostileRecord is one record of topic "events" or "skip".
type hostileRecord struct {
	name       string
	topic      string // default "events"
	key, value []byte // nil: null
	headers    []kgo.RecordHeader
	reason     string // of the dead letter; "": none
	skipped    string // what the ingress counts instead; "": nothing
}

func hostileRecords() []hostileRecord {
	some := []byte("x")
	long := strings.Repeat("k", api.IDBytesMax)
	broken := []byte("caf\xe9 \xff\xfe\xc0\x80")
	noise := make([]byte, 900<<10)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	headers := []kgo.RecordHeader{{Key: "traceparent", Value: []byte("00-1-2-3")}, {Key: "", Value: []byte{}}, {Key: "\x00é", Value: []byte{0, 255}}}
	return []hostileRecord{
		{name: "empty key", key: []byte{}, value: some},
		{name: "empty value", key: []byte("empty value"), value: []byte{}},
		{name: "null key", value: some, reason: "null key"},
		{name: "null value", key: []byte("tombstone"), reason: "null value"},
		{name: "null key and value", reason: "null key"},
		{name: "null key and headers", value: some, headers: headers, reason: "null key"},
		{name: "null key and a large value", value: noise, reason: "null key"},
		{name: "key not UTF-8", key: broken, value: some, reason: "key is not UTF-8"},
		{name: "key cut in a rune", key: []byte("😀")[:3], value: some, reason: "key is not UTF-8"},
		{name: "surrogate in the key", key: []byte("\xed\xa0\x80"), value: some, reason: "key is not UTF-8"},
		{name: "key at the limit", key: []byte(long), value: some},
		{name: "key of runes at the limit", key: []byte(strings.Repeat("😀", api.IDBytesMax/4)), value: some},
		{name: "key of NULs at the limit", key: make([]byte, api.IDBytesMax), value: some},
		{name: "key above the limit", key: []byte(long + "k"), value: some, reason: "key too long"},
		{name: "key of broken bytes above the limit", key: []byte(strings.Repeat("\xff", api.IDBytesMax+1)), value: some, reason: "key too long"},
		{name: "NUL", key: []byte("a\x00b"), value: some},
		{name: "only NUL", key: []byte{0}, value: some},
		{name: "emoji", key: []byte("👩‍👩‍👧 ﷽ e\u0301"), value: some},
		{name: "quotes", key: []byte(`'"; DROP TABLE state; -- \' {"a":1} ` + "`$(x)`"), value: some},
		{name: "newlines", key: []byte("a\r\nContent-Length: 0\r\n\r\nb\tc\x1b[31m"), value: some},
		{name: "path", key: []byte("../../%2e%2e/?q#f"), value: some},
		{name: "last code points", key: []byte("\uffff\U0010ffff\ufeff\u2028"), value: some},
		{name: "skip: null key", topic: "skip", value: some, skipped: "null key"},
		{name: "skip: null value", topic: "skip", key: []byte("s"), skipped: "null value"},
		{name: "skip: key not UTF-8", topic: "skip", key: broken, value: some, reason: "key is not UTF-8"},
	}
}

// TestHostileRecords: whatever stands in a topic, the records around it come through, what cannot be used is set aside as it came,
// and the position passes it.
func TestHostileRecords(t *testing.T) {
	t.Parallel()
	a := newArena(t, "", nil)
	for _, c := range hostileRecords() {
		t.Run(c.name, func(t *testing.T) { a.around(t, func() { a.judge(t, &c) }) })
	}
	t.Run("1 MB", func(t *testing.T) { a.around(t, func() { echoLarge(t, a) }) })
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(codec, func(t *testing.T) { a.around(t, func() { compressed(t, a, codec) }) })
	}
	t.Run("aborted", func(t *testing.T) { a.around(t, func() { aborted(t, a) }) })
	hostileUntil(t, "the position has passed everything", func() bool {
		return a.position("events") == a.end(t, "events") && a.position("skip") == a.end(t, "skip") && a.position("echo") == a.end(t, "echo")
	})
	a.finish(t)
}

// judge puts the record and looks for what must become of it.
func (a *arena) judge(t *testing.T, c *hostileRecord) {
	t.Helper()
	topic := c.topic
	if topic == "" {
		topic = "events"
	}
	skipped := a.seen.count("skipped " + c.skipped)
	r := a.put(t, topic, c.key, c.value, func(r *kgo.Record) { r.Headers = c.headers })
	switch {
	case c.reason != "":
		want := api.DeadLetter{
			Kind: api.DeadRecord, From: "test/in", Reason: c.reason, Offset: r.Offset, TypeName: "test/event", Key: c.key, Value: c.value,
			Source: api.Source{Ingress: "test/in", Topic: a.prefix + topic},
		}
		for _, h := range c.headers {
			want.Headers = append(want.Headers, api.Header{Key: h.Key, Value: h.Value})
		}
		a.deadLetter(t, want)
	case c.skipped != "":
		hostileUntil(t, "the record is counted as skipped", func() bool { return a.seen.count("skipped "+c.skipped) > skipped })
	default:
		a.events[string(c.key)]++
		a.counted(t, string(c.key))
	}
}

// echoLarge sends values through that are just below what the broker takes by default.
func echoLarge(t *testing.T, a *arena) {
	t.Helper()
	value := make([]byte, 1<<20-300)
	for i := range value {
		value[i] = byte(rand.Uint32())
	}
	var want []string
	for range 3 {
		a.put(t, "echo", []byte("large"), value)
		want = append(want, string(value))
	}
	a.topics.want(t, "echoes", "large", want...)
}

// compressed puts one batch of records in a producer's own compression.
func compressed(t *testing.T, a *arena, codec string) {
	t.Helper()
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(a.broker), kgo.ProducerBatchCompression(codecs[codec]))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	key := "compressed by " + codec
	var batch []*kgo.Record
	for range 200 {
		batch = append(batch, &kgo.Record{Topic: a.prefix + "events", Key: []byte(key), Value: []byte(strings.Repeat("value ", 20))})
		a.events[key]++
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := client.ProduceSync(ctx, batch...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	a.counted(t, key)
}

// aborted puts a transaction that is aborted, one that is not, and one that is aborted behind it.
func aborted(t *testing.T, a *arena) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(a.broker), kgo.TransactionalID(a.prefix+"aborted"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for i, end := range []kgo.TransactionEndTry{kgo.TryAbort, kgo.TryCommit, kgo.TryAbort} {
		if err := client.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		key, n := "aborted", 10
		if end == kgo.TryCommit {
			key = "committed"
			a.events[key] += n
		}
		for range n {
			r := &kgo.Record{Topic: a.prefix + "events", Key: []byte(key), Value: fmt.Append(nil, i)}
			if err := client.ProduceSync(ctx, r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := client.EndTransaction(ctx, end); err != nil {
			t.Fatal(err)
		}
	}
	a.counted(t, "committed") // that nothing of the others is, finish sees: there would be a key too many
}

// end is the offset behind the last one of a topic.
func (a *arena) end(t *testing.T, topic string) int64 {
	t.Helper()
	ends, err := listEnd(t.Context(), a.client, a.prefix+topic)
	if err != nil {
		t.Fatal(err)
	}
	return ends
}
