package dev

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/cmd/gateway/internal/module"
)

// kafka is a Kafka inside this process, for development only: it keeps records as long as the process lives.
type kafka struct {
	cluster *kfake.Cluster
	address string
	client  *kgo.Client
}

const partitions = 3

// startKafka starts one broker with the topics. It listens on loopback, on a port of its own.
func startKafka(topics []string) (*kafka, error) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topics...))
	if err != nil {
		return nil, fmt.Errorf("start the Kafka of this process: %w", err)
	}
	k := &kafka{cluster: cluster, address: strings.Join(cluster.ListenAddrs(), ",")}
	if k.client, err = kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...)); err != nil {
		cluster.Close()
		return nil, fmt.Errorf("connect to the Kafka of this process: %w", err)
	}
	return k, nil
}

func (k *kafka) close() {
	k.client.Close()
	k.cluster.Close()
}

// put writes one record.
func (k *kafka) put(ctx context.Context, topic, key, value string) error {
	r := &kgo.Record{Topic: topic, Key: []byte(key), Value: []byte(value)}
	if err := k.client.ProduceSync(ctx, r).FirstErr(); err != nil {
		return fmt.Errorf("write to topic %s: %w", topic, err)
	}
	return nil
}

// read calls f with each record of a topic that is committed, from its start, until ctx ends or f says that it is enough.
func (k *kafka) read(ctx context.Context, topic string, f func(r *kgo.Record) (more bool)) error {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(k.cluster.ListenAddrs()...), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.MetadataMinAge(50*time.Millisecond),
	)
	if err != nil {
		return fmt.Errorf("connect to the Kafka of this process: %w", err)
	}
	defer client.Close()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		more := true
		fetches.EachRecord(func(r *kgo.Record) {
			if more {
				more = f(r)
			}
		})
		if !more {
			return nil
		}
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
