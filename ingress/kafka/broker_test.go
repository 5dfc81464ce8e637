package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// broker is a cluster as the outside world uses it.
type broker struct {
	t         testing.TB
	addresses []string
	client    *kgo.Client
	prefix    string
}

func newBroker(t testing.TB, addresses []string) *broker {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addresses...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(8<<20), kgo.MetadataMinAge(10*time.Millisecond),
		kgo.UnknownTopicRetries(-1), kgo.MaxVersions(kversion.V3_0_0()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	prefix := strings.NewReplacer("/", "-", " ", "-", ",", "").Replace(t.Name())
	return &broker{t: t, addresses: addresses, client: client, prefix: fmt.Sprintf("%s-%d-", prefix, time.Now().UnixNano()%1e6)}
}

func (k *broker) name(s string) string { return k.prefix + s }

func (k *broker) create(topic string, partitions int32, config ...string) {
	k.t.Helper()
	r := kmsg.NewPtrCreateTopicsRequest()
	r.TimeoutMillis = 20000
	ct := kmsg.NewCreateTopicsRequestTopic()
	ct.Topic, ct.NumPartitions, ct.ReplicationFactor = topic, partitions, 1
	for i := 0; i+1 < len(config); i += 2 {
		cfg := kmsg.NewCreateTopicsRequestTopicConfig()
		cfg.Name, cfg.Value = config[i], kmsg.StringPtr(config[i+1])
		ct.Configs = append(ct.Configs, cfg)
	}
	r.Topics = append(r.Topics, ct)
	deadline := time.Now().Add(patience)
	for {
		answer, err := r.RequestWith(context.Background(), k.client)
		if err != nil {
			k.t.Fatal(err)
		}
		code := answer.Topics[0].ErrorCode
		if code == 0 {
			break
		}
		if code != 36 || time.Now().After(deadline) { // TOPIC_ALREADY_EXISTS: its deletion is not through yet
			k.t.Fatalf("create topic %s: error %d", topic, code)
		}
	}
	k.client.PurgeTopicsFromClient(topic)
}

func (k *broker) delete(topic string) {
	k.t.Helper()
	r := kmsg.NewPtrDeleteTopicsRequest()
	r.TimeoutMillis = 20000
	r.TopicNames = []string{topic}
	dt := kmsg.NewDeleteTopicsRequestTopic()
	dt.Topic = kmsg.StringPtr(topic)
	r.Topics = append(r.Topics, dt)
	answer, err := r.RequestWith(context.Background(), k.client)
	if err != nil || answer.Topics[0].ErrorCode != 0 {
		k.t.Fatalf("delete topic %s: %v %+v", topic, err, answer)
	}
	k.client.PurgeTopicsFromClient(topic)
}

func (k *broker) grow(topic string, partitions int32) {
	k.t.Helper()
	r := kmsg.NewPtrCreatePartitionsRequest()
	r.TimeoutMillis = 20000
	ct := kmsg.NewCreatePartitionsRequestTopic()
	ct.Topic, ct.Count = topic, partitions
	r.Topics = append(r.Topics, ct)
	answer, err := r.RequestWith(context.Background(), k.client)
	if err != nil || answer.Topics[0].ErrorCode != 0 {
		k.t.Fatalf("grow topic %s: %v %+v", topic, err, answer)
	}
	k.untilPartitions(topic, int(partitions))
	k.client.PurgeTopicsFromClient(topic)
}

// untilPartitions waits until the broker's metadata shows what its controller has decided.
func (k *broker) untilPartitions(topic string, partitions int) {
	k.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); ; {
		r := kmsg.NewPtrMetadataRequest()
		mt := kmsg.NewMetadataRequestTopic()
		mt.Topic = kmsg.StringPtr(topic)
		r.Topics = append(r.Topics, mt)
		answer, err := r.RequestWith(context.Background(), k.client)
		if err == nil && len(answer.Topics) == 1 && len(answer.Topics[0].Partitions) >= partitions {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			k.t.Fatalf("topic %s does not show %d partitions: %v", topic, partitions, err)
		}
	}
}

func (k *broker) deleteRecords(topic string, partition int32, before int64) {
	k.t.Helper()
	r := kmsg.NewPtrDeleteRecordsRequest()
	r.TimeoutMillis = 20000
	dt := kmsg.NewDeleteRecordsRequestTopic()
	dt.Topic = topic
	dp := kmsg.NewDeleteRecordsRequestTopicPartition()
	dp.Partition, dp.Offset = partition, before
	dt.Partitions = append(dt.Partitions, dp)
	r.Topics = append(r.Topics, dt)
	answer, err := r.RequestWith(context.Background(), k.client)
	if err != nil || answer.Topics[0].Partitions[0].ErrorCode != 0 {
		k.t.Fatalf("delete records of %s: %v %+v", topic, err, answer)
	}
}

func (k *broker) produce(topic string, partition int32, records ...*kgo.Record) {
	k.t.Helper()
	for _, r := range records {
		r.Topic, r.Partition = topic, partition
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := k.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		k.t.Fatalf("produce to %s/%d: %v", topic, partition, err)
	}
}

// numbered makes records whose key and value are prefix + number.
func numbered(prefix string, from, to int) []*kgo.Record {
	var out []*kgo.Record
	for i := from; i < to; i++ {
		id := fmt.Sprintf("%s%d", prefix, i)
		out = append(out, &kgo.Record{Key: []byte(id), Value: []byte("v" + id)})
	}
	return out
}

func wantIDs(prefix string, from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("%s%d", prefix, i))
	}
	return out
}

// transaction writes records in a transaction and ends it.
func (k *broker) transaction(topic string, commit kgo.TransactionEndTry, records ...*kgo.Record) {
	k.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(k.addresses...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID(k.name("txn")))
	if err != nil {
		k.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := client.BeginTransaction(); err != nil {
		k.t.Fatal(err)
	}
	for _, r := range records {
		r.Topic = topic
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		k.t.Fatal(err)
	}
	if err := client.EndTransaction(ctx, commit); err != nil {
		k.t.Fatal(err)
	}
}

// commitGroup sets what a consumer group has committed.
func (k *broker) commitGroup(group, topic string, offsets map[int32]int64) {
	k.t.Helper()
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Group, r.Generation = group, -1
	ot := kmsg.NewOffsetCommitRequestTopic()
	ot.Topic = topic
	for p, o := range offsets {
		op := kmsg.NewOffsetCommitRequestTopicPartition()
		op.Partition, op.Offset = p, o
		ot.Partitions = append(ot.Partitions, op)
	}
	r.Topics = append(r.Topics, ot)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		answer, err := coordinated(ctx, k, r)
		for i := 0; err == nil && i < len(offsets); i++ {
			err = kerr.ErrorForCode(answer.Topics[0].Partitions[i].ErrorCode)
		}
		if errors.Is(err, kerr.UnknownTopicOrPartition) && ctx.Err() == nil {
			continue // the coordinator has not heard of a topic that was created a moment ago
		}
		if err != nil {
			k.t.Fatalf("commit group %s: %v %+v", group, err, answer)
		}
		return
	}
}

// coordinated asks a group's coordinator, again while a broker that is used for groups the first time makes one.
func coordinated[A any](ctx context.Context, k *broker, r interface {
	RequestWith(context.Context, kmsg.Requestor) (A, error)
}) (A, error) {
	for {
		answer, err := r.RequestWith(ctx, k.client)
		if ctx.Err() != nil || !errors.Is(err, kerr.CoordinatorNotAvailable) {
			return answer, err
		}
	}
}

func (k *broker) groupOffset(group, topic string, partition int32) int64 {
	k.t.Helper()
	r := kmsg.NewPtrOffsetFetchRequest()
	r.Group = group
	rt := kmsg.NewOffsetFetchRequestTopic()
	rt.Topic, rt.Partitions = topic, []int32{partition}
	r.Topics = append(r.Topics, rt)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := coordinated(ctx, k, r)
	if err != nil {
		k.t.Fatal(err)
	}
	if len(answer.Topics) == 0 || len(answer.Topics[0].Partitions) == 0 {
		return -1
	}
	return answer.Topics[0].Partitions[0].Offset
}
