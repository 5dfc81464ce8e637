//go:build unix

package exampletest

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// kafkaClient is a client for one test.
func kafkaClient(t *testing.T, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append(opts, kgo.ProducerLinger(0))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// createTopics makes topics, or finds them.
func createTopics(t *testing.T, client *kgo.Client, partitions int32, names ...string) {
	t.Helper()
	request := kmsg.NewPtrCreateTopicsRequest()
	request.TimeoutMillis = 30_000
	for _, name := range names {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, partitions, 1
		request.Topics = append(request.Topics, topic)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testgateway.Patience)
	defer cancel()
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range response.Topics {
		if err := kerr.ErrorForCode(topic.ErrorCode); err != nil {
			t.Fatalf("create topic %s: %v", topic.Topic, err)
		}
	}
}

// produce returns when the record is acknowledged.
func produce(t *testing.T, client *kgo.Client, topic, key string, value []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testgateway.Patience)
	defer cancel()
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: topic, Key: []byte(key), Value: value}).FirstErr(); err != nil {
		t.Fatalf("produce to %s: %v", topic, err)
	}
}

// results reads one topic at read_committed, from its start.
type results struct {
	t      *testing.T
	client *kgo.Client
	topic  string
	ahead  []*kgo.Record
	read   map[int32]int64 // by partition: the offset behind what was read, marks of transactions included
}

func readResults(t *testing.T, broker, topic string) *results {
	t.Helper()
	return &results{t: t, topic: topic, read: map[int32]int64{}, client: kafkaClient(t, kgo.SeedBrokers(broker), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(250*time.Millisecond), kgo.KeepControlRecords())}
}

// poll waits for more.
func (r *results) poll(ctx context.Context) {
	r.client.PollFetches(ctx).EachRecord(func(k *kgo.Record) {
		r.read[k.Partition] = k.Offset + 1
		if !k.Attrs.IsControl() {
			r.ahead = append(r.ahead, k)
		}
	})
}

// next waits for the next record.
func (r *results) next() *kgo.Record {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), testgateway.Patience)
	defer cancel()
	for len(r.ahead) == 0 {
		if r.poll(ctx); ctx.Err() != nil {
			r.t.Fatalf("waited %v for a record of %s", testgateway.Patience, r.topic)
		}
	}
	first := r.ahead[0]
	r.ahead = r.ahead[1:]
	return first
}

// rest reads what is committed at this moment.
func (r *results) rest() []*kgo.Record {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), testgateway.Patience)
	defer cancel()
	for p, end := range stableEnds(ctx, r.t, r.client, r.topic) {
		for r.read[p] < end {
			if r.poll(ctx); ctx.Err() != nil {
				r.t.Fatalf("waited %v for the end of %s", testgateway.Patience, r.topic)
			}
		}
	}
	return r.ahead
}

// stableEnds is up to where each partition of a topic can be read at read_committed.
func stableEnds(ctx context.Context, t *testing.T, client *kgo.Client, topic string) map[int32]int64 {
	t.Helper()
	partitions, err := partitionsOf(ctx, client, topic)
	if err != nil {
		t.Fatal(err)
	}
	request := kmsg.NewPtrListOffsetsRequest()
	request.IsolationLevel = 1
	part := kmsg.NewListOffsetsRequestTopic()
	part.Topic = topic
	for p := range partitions {
		one := kmsg.NewListOffsetsRequestTopicPartition()
		one.Partition, one.Timestamp = p, -1
		part.Partitions = append(part.Partitions, one)
	}
	request.Topics = append(request.Topics, part)
	ends := map[int32]int64{}
	for _, shard := range client.RequestSharded(ctx, request) {
		if shard.Err != nil {
			t.Fatal(shard.Err)
		}
		for _, topic := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range topic.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					t.Fatal(err)
				}
				ends[p.Partition] = p.Offset
			}
		}
	}
	if len(ends) != int(partitions) {
		t.Fatalf("the broker told the ends of %d of %d partitions of %s", len(ends), partitions, topic)
	}
	return ends
}

func partitionsOf(ctx context.Context, client *kgo.Client, topic string) (int32, error) {
	request := kmsg.NewPtrMetadataRequest()
	one := kmsg.NewMetadataRequestTopic()
	one.Topic = kmsg.StringPtr(topic)
	request.Topics = append(request.Topics, one)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return 0, err
	}
	return int32(len(response.Topics[0].Partitions)), kerr.ErrorForCode(response.Topics[0].ErrorCode)
}
