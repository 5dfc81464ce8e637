package kafka

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const testStore = "7b1f4b3e-0000-4000-8000-000000000001"

func fake(t testing.TB, opts ...kfake.Opt) (*kfake.Cluster, Config) {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(4, "out")}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, Config{Brokers: c.ListenAddrs(), StoreID: testStore, TransactionTimeout: 10 * time.Second}
}

// committed reads a topic at read_committed, up to its end of now: by key (partition, where there is none), in order.
func committed(t testing.TB, brokers []string, topic string) map[string][]string {
	t.Helper()
	got := map[string][]string{}
	for _, r := range readAll(t, brokers, topic, kgo.ReadCommitted()) {
		key := string(r.Key)
		if r.Key == nil {
			key = fmt.Sprintf("partition %d", r.Partition)
		}
		got[key] = append(got[key], string(r.Value))
	}
	return got
}

func readAll(t testing.TB, brokers []string, topic string, isolation kgo.IsolationLevel) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ends := settledEnds(ctx, t, brokers, topic)
	offsets := map[int32]kgo.Offset{}
	for p, end := range ends {
		if end > 0 {
			offsets[p] = kgo.NewOffset().AtStart()
		}
	}
	if len(offsets) == 0 {
		return nil
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.FetchIsolationLevel(isolation), kgo.KeepControlRecords(), kgo.FetchMaxWait(50*time.Millisecond),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: offsets}), kgo.FetchMaxBytes(64<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	var all []*kgo.Record
	for left := len(offsets); left > 0; {
		fs := cl.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			t.Fatalf("read %s: %v; ends %v, %d records", topic, err, ends, len(all))
		}
		fs.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				all = append(all, r)
			}
			if r.Offset == ends[r.Partition]-1 {
				left--
			}
		})
	}
	return all
}

// What endsOf asks for, as isolation level.
const (
	highWatermark int8 = iota
	stableEnd
)

// markersMax is how long a transaction that was committed may take to show: a broker answers before it has written its markers.
const markersMax = 2 * time.Second

// settledEnds are the stable ends of a topic, once they are those of the log; a transaction that stays open keeps them below.
func settledEnds(ctx context.Context, t testing.TB, brokers []string, topic string) map[int32]int64 {
	t.Helper()
	for deadline := time.Now().Add(markersMax); ; {
		high := endsOf(ctx, t, brokers, topic, highWatermark)
		stable := endsOf(ctx, t, brokers, topic, stableEnd)
		if maps.Equal(high, stable) || time.Now().After(deadline) {
			return stable
		}
	}
}

// endsOf are the ends of a topic's partitions.
func endsOf(ctx context.Context, t testing.TB, brokers []string, topic string, isolation int8) map[int32]int64 {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	meta := kmsg.NewPtrMetadataRequest()
	mt := kmsg.NewMetadataRequestTopic()
	mt.Topic = kmsg.StringPtr(topic)
	meta.Topics = append(meta.Topics, mt)
	resp, err := meta.RequestWith(ctx, cl)
	if err != nil {
		t.Fatal(err)
	}
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, isolation
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = topic
	for _, p := range resp.Topics[0].Partitions {
		rp := kmsg.NewListOffsetsRequestTopicPartition()
		rp.Partition, rp.Timestamp = p.Partition, -1
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	lo, err := req.RequestWith(ctx, cl)
	if err != nil {
		t.Fatal(err)
	}
	ends := map[int32]int64{}
	for _, topic := range lo.Topics {
		for _, p := range topic.Partitions {
			ends[p.Partition] = p.Offset
		}
	}
	return ends
}

// numbers is what counting outputs of some keys look like.
func numbers(keys, each int) map[string][]string {
	want := map[string][]string{}
	for k := range keys {
		for n := range each {
			key := fmt.Sprintf("key-%d", k)
			want[key] = append(want[key], fmt.Sprint(n+1))
		}
	}
	return want
}

func exactlyOnceDelivers(t *testing.T, b *broker) {
	cfg := b.cfg
	o := newOutbox("shop/out")
	l := begin(t, o, cfg)
	for n := range 50 {
		for k := range 4 {
			l.emit(kafkaOutput(b.topic("out"), fmt.Sprintf("key-%d", k), fmt.Sprint(n+1)))
		}
	}
	o.waitDelivered(t, 201)
	if err := l.end(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(4, 50), committed(t, cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
	if got := l.told.count("ok"); got != 200 {
		t.Errorf("counted %d as delivered, want 200", got)
	}
}
