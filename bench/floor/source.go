package main

import (
	"context"
	"fmt"

	"github.com/IBM/sarama"
)

// record is one to be counted. It shares its bytes with what was fetched.
type record struct {
	partition  int32
	offset     int64
	key, value []byte
}

// chunk is how many records of a partition travel together from the reader to the caller.
const chunk = 1000

// consumer reads with sarama's PartitionConsumers.
type consumer struct {
	client sarama.Client
	topic  string
}

func (c *consumer) run(ctx context.Context, positions []int64, out chan<- []record) error {
	defer c.client.Close()
	partitions, err := c.client.Partitions(c.topic)
	if err != nil {
		return fmt.Errorf("partitions of %s: %w", c.topic, err)
	}
	reader, err := sarama.NewConsumerFromClient(c.client)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, len(partitions))
	for _, p := range partitions {
		from := sarama.OffsetOldest
		if int(p) < len(positions) && positions[p] > 0 {
			from = positions[p]
		}
		messages, err := reader.ConsumePartition(c.topic, p, from)
		if err != nil {
			return fmt.Errorf("read partition %d of %s from %d: %w", p, c.topic, from, err)
		}
		go func() {
			err := read(ctx, messages, out)
			messages.AsyncClose()
			for range messages.Messages() {
			}
			failed <- err
		}()
	}
	err = <-failed
	cancel()
	for range len(partitions) - 1 {
		<-failed
	}
	return err
}

func read(ctx context.Context, in sarama.PartitionConsumer, out chan<- []record) error {
	for {
		var records []record
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-in.Errors():
			return err
		case m, ok := <-in.Messages():
			if !ok {
				return fmt.Errorf("a partition is not read any more")
			}
			n := min(len(in.Messages()), chunk-1) // those are there; taking them waits for nobody
			records = make([]record, 0, n+1)
			records = append(records, record{m.Partition, m.Offset, m.Key, m.Value})
			for range n {
				m := <-in.Messages()
				records = append(records, record{m.Partition, m.Offset, m.Key, m.Value})
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case out <- records:
		}
	}
}
