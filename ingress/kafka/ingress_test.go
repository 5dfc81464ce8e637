package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/api"
)

func ids(records []api.Record) []string {
	var out []string
	for _, r := range records {
		out = append(out, r.ID)
	}
	return out
}

func contains(text string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(text, p) {
			return false
		}
	}
	return true
}

func TestOddRecords(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		topic, skipping := k.name("in"), k.name("skipping")
		k.create(topic, 1)
		k.create(skipping, 1)
		odd := func() []*kgo.Record {
			return []*kgo.Record{
				{Key: nil, Value: []byte("v0"), Headers: []kgo.RecordHeader{{Key: "h", Value: []byte("1")}, {Key: "h", Value: nil}}},
				{Key: []byte("k1"), Value: nil},
				{Key: nil, Value: nil},
				{Key: []byte{}, Value: []byte{}},
				{Key: []byte("a\xffb"), Value: []byte("v4")},
				{Key: bytes.Repeat([]byte("k"), api.IDBytesMax+1), Value: []byte("v5")},
				{Key: bytes.Repeat([]byte("k"), api.IDBytesMax), Value: []byte("v6")},
				{Key: []byte("\x00\"\n\u2603\U0001f600"), Value: []byte("v7"), Headers: []kgo.RecordHeader{{Key: "big", Value: make([]byte, 300_000)}}},
			}
		}
		k.produce(topic, 0, odd()...)
		k.produce(skipping, 0, odd()...)
		o, e := observe(t), newEngine(t)
		config := k.config(o, topic, skipping)
		config.Topics[1].OnNullKey, config.Topics[1].OnNullValue = NullSkip, NullSkip
		run(t, config, e)
		got := e.untilArrived(source(topic, 0), 8)
		now := time.Now().UnixMilli()
		for i, r := range got {
			if r.Dead == nil {
				continue
			}
			if len(r.Routes) > 0 {
				t.Errorf("record %d has routes and is dead", i)
			}
			if r.Dead.AtMS > now || r.Dead.AtMS < now-60_000 || r.Dead.Detail == "" {
				t.Errorf("record %d: got time %d and detail %q", i, r.Dead.AtMS, r.Dead.Detail)
			}
			r.Dead.AtMS, r.Dead.Detail = 0, ""
		}
		dead := func(offset int64, reason string, key, value []byte, headers ...api.Header) api.Record {
			return api.Record{Offset: offset, Dead: &api.DeadLetter{Kind: api.DeadRecord, From: "shop/in", Reason: reason, Source: source(topic, 0),
				Offset: offset, TypeName: "shop/Event", Key: key, Value: value, Headers: headers}}
		}
		live := func(offset int64, id, value string) api.Record {
			return api.Record{Offset: offset, ID: id, Value: api.TypedValue{TypeName: "shop/Event", HasValue: true, Value: []byte(value)}, Routes: routes}
		}
		want := []api.Record{
			dead(0, "null key", nil, []byte("v0"), api.Header{Key: "h", Value: []byte("1")}, api.Header{Key: "h"}),
			dead(1, "null value", []byte("k1"), nil),
			dead(2, "null key", nil, nil),
			live(3, "", ""),
			dead(4, "key is not UTF-8", []byte("a\xffb"), []byte("v4")),
			dead(5, "key too long", bytes.Repeat([]byte("k"), api.IDBytesMax+1), []byte("v5")),
			live(6, strings.Repeat("k", api.IDBytesMax), "v6"),
			live(7, "\x00\"\n\u2603\U0001f600", "v7"),
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("records (-want +got):\n%s", d)
		}

		e.until("a position behind what is skipped", func() bool { p, _ := e.Progress(source(skipping, 0)); return p.Position() == 8 })
		var offsets []int64
		for _, r := range e.visible(source(skipping, 0)) {
			offsets = append(offsets, r.Offset)
		}
		if d := cmp.Diff([]int64{3, 4, 5, 6, 7}, offsets); d != "" {
			t.Errorf("offsets with skipping (-want +got):\n%s", d)
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		if d := cmp.Diff(map[string]int{"null key": 2, "null value": 1}, o.skipped); d != "" {
			t.Errorf("skipped (-want +got):\n%s", d)
		}
		if o.read != 16 {
			t.Errorf("got %d records counted, want 16", o.read)
		}
	})
}

func TestCompressionAndSize(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		topic := k.name("in")
		k.create(topic, 5, "max.message.bytes", "9000000")
		codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()}
		random := make([]byte, 1<<20)
		r := rand.New(rand.NewPCG(1, 2))
		for i := range random {
			random[i] = byte(r.Uint32())
		}
		large := make([]byte, 5<<20) // more than one fetch brings
		copy(large, random)
		for p, codec := range codecs {
			client, err := kgo.NewClient(kgo.SeedBrokers(k.addresses...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(codec), kgo.ProducerBatchMaxBytes(8<<20))
			if err != nil {
				t.Fatal(err)
			}
			var records []*kgo.Record
			for i := range 300 {
				records = append(records, &kgo.Record{Topic: topic, Partition: int32(p), Key: fmt.Appendf(nil, "small%d", i), Value: fmt.Appendf(nil, "value%d", i)})
			}
			records = append(records, &kgo.Record{Topic: topic, Partition: int32(p), Key: []byte("1 MB"), Value: random})
			records = append(records, &kgo.Record{Topic: topic, Partition: int32(p), Key: []byte("5 MB"), Value: large})
			records = append(records, &kgo.Record{Topic: topic, Partition: int32(p), Key: []byte("after"), Value: []byte("x")})
			if err := client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			client.Close()
		}
		e := newEngine(t)
		run(t, k.config(observe(t), topic), e)
		for p := range codecs {
			got := e.untilArrived(source(topic, int32(p)), 303)
			if string(got[299].Value.Value) != "value299" || !bytes.Equal(got[300].Value.Value, random) || !bytes.Equal(got[301].Value.Value, large) || got[302].ID != "after" {
				t.Errorf("partition %d: records came through changed", p)
			}
		}
	})
}

func TestTransactions(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		topic := k.name("in")
		k.create(topic, 1)
		k.produce(topic, 0, numbered("a", 0, 2)...)
		k.transaction(topic, kgo.TryAbort, numbered("bad", 0, 3)...)
		k.transaction(topic, kgo.TryCommit, numbered("a", 2, 4)...)
		k.transaction(topic, kgo.TryAbort, numbered("bad", 3, 4)...)
		k.produce(topic, 0, numbered("a", 4, 5)...)
		e := newEngine(t)
		run(t, k.config(observe(t), topic), e)
		equal(t, "read_committed", ids(e.untilArrived(source(topic, 0), 5)), wantIDs("a", 0, 5))

		dirty := newEngine(t)
		config := k.config(observe(t), topic)
		config.Properties = map[string]string{"isolation.level": "read_uncommitted"}
		run(t, config, dirty)
		equal(t, "read_uncommitted", ids(dirty.untilArrived(source(topic, 0), 9)),
			[]string{"a0", "a1", "bad0", "bad1", "bad2", "a2", "a3", "bad3", "a4"})
	})
}

// One partition whose records nobody takes must not hold up the others, however much there is.
func TestBlockedPartitionDelaysNoOther(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		topic := k.name("in")
		k.create(topic, 3)
		e := newEngine(t)
		gate := make(chan struct{})
		e.gates[source(topic, 0)] = gate
		config := k.config(observe(t), topic)
		config.BufferRecords = 1000
		run(t, config, e)
		const n = 20_000
		value := bytes.Repeat([]byte("v"), 300)
		for p := range int32(3) {
			records := numbered("a", 0, n)
			for _, r := range records {
				r.Value = value
			}
			k.produce(topic, p, records...)
		}
		e.until("a blocked hand-over", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.waiting[source(topic, 0)] })
		for p := int32(1); p < 3; p++ {
			equal(t, "free partition", ids(e.untilArrived(source(topic, p), n)), wantIDs("a", 0, n))
		}
		if got := len(e.visible(source(topic, 0))); got != 0 {
			t.Errorf("got %d records of the blocked partition, want 0", got)
		}
		close(gate)
		equal(t, "partition that was blocked", ids(e.untilArrived(source(topic, 0), n)), wantIDs("a", 0, n))
	})
}

func TestGroupShowsPositions(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		topic, group := k.name("in"), k.name("group")
		k.create(topic, 1)
		k.commitGroup(group, topic, map[int32]int64{0: 99}) // is never trusted
		k.produce(topic, 0, numbered("a", 0, 5)...)
		o, e := observe(t), newEngine(t)
		config := k.config(o, topic)
		config.Group = group
		stop := run(t, config, e)
		e.untilArrived(source(topic, 0), 5)
		o.until("no lag", func() bool { n, ok := o.lag[source(topic, 0)]; return ok && n == 0 })
		untilGroup(t, k, group, topic, 5)
		e.mu.Lock()
		e.held[source(topic, 0)] = true
		e.mu.Unlock()
		k.produce(topic, 0, numbered("a", 5, 8)...)
		e.untilArrived(source(topic, 0), 8)
		o.until("a lag of 3", func() bool { return o.lag[source(topic, 0)] == 3 })
		stop()
		if got := k.groupOffset(group, topic, 0); got != 5 {
			t.Errorf("got group offset %d, want 5: what is not finished does not count", got)
		}
		// The last word is said at the stop.
		e.mu.Lock()
		e.held[source(topic, 0)] = false
		e.high[source(topic, 0)] = 5
		e.mu.Unlock()
		config.pace.groupCommit = time.Hour
		stop = run(t, config, e)
		e.untilArrived(source(topic, 0), 11)
		stop()
		if got := k.groupOffset(group, topic, 0); got != 8 {
			t.Errorf("got group offset %d after the stop, want 8", got)
		}
	})
}

func untilGroup(t *testing.T, k *broker, group, topic string, want int64) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		got := k.groupOffset(group, topic, 0)
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("got group offset %d, want %d", got, want)
		}
	}
}

// A group with living members refuses commits from outside; that is said once and reading goes on.
func TestGroupThatRefuses(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		topic, group := k.name("in"), k.name("group")
		k.create(topic, 1)
		member, err := kgo.NewClient(kgo.SeedBrokers(k.addresses...), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit())
		if err != nil {
			t.Fatal(err)
		}
		defer member.Close()
		k.produce(topic, 0, numbered("a", 0, 2)...)
		if f := member.PollRecords(context.Background(), 1); f.Err() != nil {
			t.Fatal(f.Err())
		}
		e := newEngine(t)
		config := k.config(observe(t), topic)
		config.Group = group
		run(t, config, e)
		e.untilArrived(source(topic, 0), 2)
		k.produce(topic, 0, numbered("a", 2, 4)...)
		e.untilArrived(source(topic, 0), 4)
	})
}

func TestEngineFails(t *testing.T) {
	k := newBroker(t, fake(t).ListenAddrs())
	topic := k.name("in")
	k.create(topic, 2)
	k.produce(topic, 0, numbered("a", 0, 2)...)
	e := newEngine(t)
	e.failWith = errors.New("no more")
	in, err := New(k.config(observe(t), topic))
	if err != nil {
		t.Fatal(err)
	}
	if err := in.Run(t.Context(), e); !errors.Is(err, e.failWith) {
		t.Errorf("got %v from Run, want the engine's error", err)
	}
}

func TestBrokerAway(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	_, port, _ := net.SplitHostPort(address)
	o, e := observe(t), newEngine(t)
	config := (&broker{t: t, addresses: []string{address}}).config(o, "in")
	config.Startup.Kind = StartLatest
	run(t, config, e)
	o.untilDegraded("no broker answers")

	dir := t.TempDir()
	up := func() *kfake.Cluster {
		var p int
		_, _ = fmt.Sscan(port, &p)
		return fake(t, kfake.Ports(p), kfake.DataDir(dir))
	}
	c := up()
	o.untilRecovered("no broker answers")
	k := newBroker(t, []string{address})
	k.create("in", 2)
	e.untilStarted(source("in", 0))
	k.produce("in", 0, numbered("a", 0, 3)...)
	e.untilArrived(source("in", 0), 3)
	for round := range 2 {
		c.Close()
		o.untilDegraded("no broker answers")
		c = up()
		o.untilRecovered("no broker answers")
		k = newBroker(t, []string{address})
		k.produce("in", 0, numbered("a", 3+round, 4+round)...)
		e.untilArrived(source("in", 0), 4+round)
	}
	equal(t, "records", ids(e.visible(source("in", 0))), wantIDs("a", 0, 5))
	o.mu.Lock()
	defer o.mu.Unlock()
	if got := o.ever["ingress shop/in: no broker answers"]; got != 3 {
		t.Errorf("got %d reports that no broker answers, want 3: one for each time", got)
	}
}

// A broker that takes connections and never answers must not hold up the end.
func TestStopDoesNotWaitForASilentBroker(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var connections sync.WaitGroup
	connections.Go(func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Go(func() { _, _ = bytes.NewBuffer(nil).ReadFrom(c); _ = c.Close() })
		}
	})
	config := (&broker{t: t, addresses: []string{listener.Addr().String()}}).config(observe(t), "in")
	config.Group = "group"
	config.pace.stop = 100 * time.Millisecond
	in, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := in.Run(ctx, newEngine(t)); err != nil {
		t.Errorf("got %v from Run, want nil", err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("Run took %v to end", took)
	}
	_ = listener.Close()
	connections.Wait()
}

// Faults of a broker that come and go are tried again; what lasts is a condition and ends when it is over.
func TestFaults(t *testing.T) {
	t.Parallel()
	c := fake(t)
	k := newBroker(t, c.ListenAddrs())
	k.create("in", 2)
	k.produce("in", 0, numbered("a", 0, 2)...)
	k.commitGroup("group", "in", map[int32]int64{0: 1})
	for _, err := range []*kerr.Error{kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.UnstableOffsetCommit} {
		c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Group: "group", Err: err, Count: 3})
	}
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.ListOffsets}, Topic: "in", Err: kerr.NotLeaderForPartition, Count: 3})
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: "in", Err: kerr.LeaderNotAvailable, Count: 2})
	o, e := observe(t), newEngine(t)
	config := k.config(o, "in")
	config.Group, config.Startup.Kind = "group", StartGroupOffsets
	config.pace.groupCommit = time.Hour
	run(t, config, e)
	if got := e.untilStarted(source("in", 0)); got != 1 {
		t.Errorf("got start %d, want the group's 1: an answer that is no answer must not count as none", got)
	}
	e.untilArrived(source("in", 0), 1)
	e.untilStarted(source("in", 1))

	lasting := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "in", Partitions: []int32{0}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	o.untilDegraded("in/0: " + cannotBeRead)
	k.produce("in", 0, numbered("a", 2, 3)...)
	k.produce("in", 1, numbered("b", 0, 1)...)
	e.untilArrived(source("in", 1), 1)
	lasting.Remove()
	equal(t, "records", ids(e.untilArrived(source("in", 0), 2)), wantIDs("a", 1, 3))
	o.untilRecovered(cannotBeRead)

	// An answer that says the offset is out of range while the log holds it is looked into and survived.
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: "in", Partitions: []int32{0}, Err: kerr.OffsetOutOfRange, Count: 1})
	k.produce("in", 0, numbered("a", 3, 4)...)
	equal(t, "records", ids(e.untilArrived(source("in", 0), 3)), wantIDs("a", 1, 4))

	// So is a look that shows no topic for a moment.
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Topic: "in", Err: kerr.UnknownTopicOrPartition, Count: 1})
	o.until("a missing topic", func() bool { return o.ever["ingress shop/in in: topic does not exist"] > 0 })
	k.produce("in", 0, numbered("a", 4, 5)...)
	equal(t, "records", ids(e.untilArrived(source("in", 0), 4)), wantIDs("a", 1, 5))
	o.untilRecovered("topic does not exist")
}

// Topics are not created by looking at them, though the broker would.
func TestTopicsAreNotCreated(t *testing.T) {
	t.Parallel()
	c := fake(t, kfake.AllowAutoTopicCreation())
	k := newBroker(t, c.ListenAddrs())
	o := observe(t)
	run(t, k.config(o, "in"), newEngine(t))
	o.untilDegraded("topic does not exist")
	o.until("several looks", func() bool { return true })
	if c.TopicInfo("in") != nil {
		t.Error("the topic was created")
	}
}

func TestLeaderMoves(t *testing.T) {
	t.Parallel()
	c := fake(t, kfake.NumBrokers(3))
	k := newBroker(t, c.ListenAddrs())
	k.create("in", 3)
	e := newEngine(t)
	run(t, k.config(observe(t), "in"), e)
	for round := range 5 {
		for p := range int32(3) {
			k.produce("in", p, numbered("a", round*10, round*10+10)...)
		}
		c.ShufflePartitionLeaders()
	}
	for p := range int32(3) {
		equal(t, "records", ids(e.untilArrived(source("in", p), 50)), wantIDs("a", 0, 50))
	}
}

func TestRunAgain(t *testing.T) {
	k := newBroker(t, fake(t).ListenAddrs())
	k.create("in", 1)
	k.produce("in", 0, numbered("a", 0, 3)...)
	in, err := New(k.config(observe(t), "in"))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		e := newEngine(t)
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- in.Run(ctx, e) }()
		e.untilArrived(source("in", 0), 3)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("got %v from Run, want nil", err)
		}
	}
}
