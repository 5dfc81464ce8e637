package dev

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/cmd/gateway/internal/module"
)

// kafka is a Kafka inside this process, for development only: it keeps records as long as the process lives. What is committed
// in its topics is also kept as a list that is easy to ask.
type kafka struct {
	cluster *kfake.Cluster
	address string
	client  *kgo.Client // reads, and writes what is put in
	wanted  chan string // topics to make
	out     func(r *kgo.Record, first bool)

	mu      sync.Mutex
	topics  map[string]*topic // guarded by mu
	changed chan struct{}     // closed, and made anew, when a record was added; guarded by mu
}

// topic is what was read of one.
type topic struct {
	input   bool // the module reads it
	first   int  // number of the first record that is kept
	records []*kgo.Record
}

const (
	partitions  = 3
	recordsKept = 10_000 // of each topic for who asks
	wantedMax   = 1000   // topics that wait to be made
)

// startKafka starts one broker with the topics that the module reads. It listens on loopback, on a port of its own. out is told of each
// record of other topics, and whether it is the topic's first.
func startKafka(inputs []string, out func(r *kgo.Record, first bool)) (*kafka, error) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, inputs...))
	if err != nil {
		return nil, fmt.Errorf("start the Kafka of this process: %w", err)
	}
	k := &kafka{
		cluster: cluster, address: strings.Join(cluster.ListenAddrs(), ","), wanted: make(chan string, wantedMax), out: out,
		topics: map[string]*topic{}, changed: make(chan struct{}),
	}
	for _, name := range inputs {
		k.topics[name] = &topic{input: true}
	}
	k.client, err = kgo.NewClient(
		kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ConsumeTopics(inputs...), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.MetadataMinAge(50*time.Millisecond), kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
	)
	if err != nil {
		cluster.Close()
		return nil, fmt.Errorf("connect to the Kafka of this process: %w", err)
	}
	return k, nil
}

func (k *kafka) close() {
	k.client.Close()
	k.cluster.Close()
}

// run reads the topics, and makes those that are wanted, until ctx ends.
func (k *kafka) run(ctx context.Context) {
	var making sync.WaitGroup
	defer making.Wait()
	making.Go(func() {
		for {
			select {
			case name := <-k.wanted:
				k.make(ctx, name)
			case <-ctx.Done():
				return
			}
		}
	})
	for ctx.Err() == nil {
		k.client.PollFetches(ctx).EachRecord(k.add)
	}
}

// want says that something will be written to a topic. It never waits: who writes waits some seconds for a topic that is missing.
func (k *kafka) want(name string) {
	k.mu.Lock()
	_, there := k.topics[name]
	k.mu.Unlock()
	if there {
		return
	}
	select {
	case k.wanted <- name:
	default:
	}
}

func (k *kafka) make(ctx context.Context, name string) {
	k.mu.Lock()
	_, there := k.topics[name]
	k.mu.Unlock()
	if there {
		return
	}
	request := kmsg.NewPtrCreateTopicsRequest()
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = name, partitions, 1
	request.Topics = append(request.Topics, t)
	response, err := request.RequestWith(ctx, k.client)
	if err == nil && len(response.Topics) == 1 {
		err = kerr.ErrorForCode(response.Topics[0].ErrorCode)
	}
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return // an invalid name: the egress sets the record aside and says so
	}
	k.mu.Lock()
	k.topics[name] = &topic{}
	k.mu.Unlock()
	k.client.AddConsumeTopics(name)
}

// add notes a record.
func (k *kafka) add(r *kgo.Record) {
	k.mu.Lock()
	defer k.mu.Unlock()
	t := k.topics[r.Topic]
	if t == nil {
		return
	}
	if !t.input {
		k.out(r, t.first+len(t.records) == 0)
	}
	t.records = append(t.records, r)
	if len(t.records) > recordsKept {
		n := len(t.records) - recordsKept
		t.records, t.first = t.records[n:], t.first+n
	}
	close(k.changed)
	k.changed = make(chan struct{})
}

// errNoTopic says that there is no topic of this name, yet.
var errNoTopic = errors.New("there is no such topic")

// read answers the records of a topic from a number on; numbers count as the records were read. It waits until there is one, or
// ctx ends.
func (k *kafka) read(ctx context.Context, name string, from int) (first int, records []*kgo.Record, err error) {
	for {
		k.mu.Lock()
		t, changed := k.topics[name], k.changed
		if t != nil {
			first = max(from, t.first)
			if at := first - t.first; at < len(t.records) {
				records = t.records[at:len(t.records):len(t.records)]
			}
		}
		k.mu.Unlock()
		if len(records) > 0 {
			return first, records, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if t == nil {
				return 0, nil, errNoTopic
			}
			return from, nil, nil
		}
	}
}

// put writes one record.
func (k *kafka) put(ctx context.Context, topic, key string, value []byte) (*kgo.Record, error) {
	r := &kgo.Record{Topic: topic, Key: []byte(key), Value: value}
	if err := k.client.ProduceSync(ctx, r).FirstErr(); err != nil {
		return nil, fmt.Errorf("write to topic %s: %w", topic, err)
	}
	return r, nil
}

// intoKafka lets the module read and write the Kafka of this process, wherever it points.
func (k *kafka) intoKafka(m *module.Module) {
	for i := range m.KafkaIngresses {
		m.KafkaIngresses[i].Address, m.KafkaIngresses[i].Properties = k.address, nil
	}
	for i := range m.KafkaEgresses {
		m.KafkaEgresses[i].Address, m.KafkaEgresses[i].Properties = k.address, nil
	}
}

// topicsOf lists the topics that the module reads.
func topicsOf(m *module.Module) []string {
	seen := map[string]bool{}
	var names []string
	for _, in := range m.KafkaIngresses {
		for _, t := range in.Topics {
			if !seen[t.Topic] {
				seen[t.Topic] = true
				names = append(names, t.Topic)
			}
		}
	}
	return names
}
