package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/IBM/sarama"
)

const (
	fetchMax     = 1 << 20 // bytes of a partition in one answer
	fetchWaitMax = 500     // milliseconds
)

// fetcher reads with fetch requests of its own: what an answer holds travels on as one, and no channel sees a single record.
type fetcher struct {
	client sarama.Client
	topic  string
}

func (f *fetcher) run(ctx context.Context, positions []int64, out chan<- []record) error {
	defer f.client.Close()
	partitions, err := f.client.Partitions(f.topic)
	if err != nil {
		return fmt.Errorf("partitions of %s: %w", f.topic, err)
	}
	leaders := map[*sarama.Broker]map[int32]int64{} // where to go on, by partition
	for _, p := range partitions {
		leader, err := f.client.Leader(f.topic, p)
		if err != nil {
			return fmt.Errorf("leader of partition %d of %s: %w", p, f.topic, err)
		}
		var from int64
		if int(p) < len(positions) {
			from = positions[p]
		}
		if from == 0 {
			if from, err = f.client.GetOffset(f.topic, p, sarama.OffsetOldest); err != nil {
				return fmt.Errorf("begin of partition %d of %s: %w", p, f.topic, err)
			}
		}
		if leaders[leader] == nil {
			leaders[leader] = map[int32]int64{}
		}
		leaders[leader][p] = from
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, len(leaders))
	for leader, next := range leaders {
		go func() { failed <- f.fetch(ctx, leader, next, out); cancel() }()
	}
	err = <-failed
	for range len(leaders) - 1 {
		<-failed
	}
	return err
}

// fetch reads from one broker, all its partitions in one request. A broker that leads no more ends this life: the next one asks anew.
func (f *fetcher) fetch(ctx context.Context, leader *sarama.Broker, next map[int32]int64, out chan<- []record) error {
	for {
		request := &sarama.FetchRequest{Version: 11, MaxWaitTime: fetchWaitMax, MinBytes: 1, MaxBytes: 50 << 20, Isolation: sarama.ReadCommitted, SessionEpoch: -1}
		for p, offset := range next {
			request.AddBlock(f.topic, p, offset, fetchMax, -1)
		}
		answer, err := leader.Fetch(request)
		if err != nil {
			return fmt.Errorf("fetch: %w", err)
		}
		if code := sarama.KError(answer.ErrorCode); code != sarama.ErrNoError {
			return fmt.Errorf("fetch: %w", code)
		}
		for p := range next {
			block := answer.GetBlock(f.topic, p)
			if block == nil {
				return errors.New("fetch: the answer leaves a partition out")
			}
			if block.Err != sarama.ErrNoError {
				return fmt.Errorf("fetch partition %d: %w", p, block.Err)
			}
			records, err := visible(p, next, block)
			if err != nil {
				return fmt.Errorf("fetch partition %d: %w", p, err)
			}
			if len(records) == 0 {
				continue
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case out <- records:
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// visible are the records of committed transactions and of none, from where this partition goes on, which is moved behind all that is seen.
func visible(p int32, next map[int32]int64, block *sarama.FetchResponseBlock) ([]record, error) {
	aborts := slices.SortedFunc(slices.Values(block.AbortedTransactions), func(a, b *sarama.AbortedTransaction) int {
		return int(a.FirstOffset - b.FirstOffset)
	})
	aborted := map[int64]bool{} // producers, while their batches are to be left out
	var records []record
	for _, set := range block.RecordsSet {
		batch := set.RecordBatch
		if batch == nil {
			return nil, errors.New("records of a format before Kafka 0.11")
		}
		for len(aborts) > 0 && aborts[0].FirstOffset <= batch.LastOffset() {
			aborted[aborts[0].ProducerID] = true
			aborts = aborts[1:]
		}
		switch {
		case batch.PartialTrailingRecord:
			return records, nil
		case batch.Control:
			delete(aborted, batch.ProducerID) // an abort ends it, and a commit is of one that is not there
		case batch.IsTransactional && aborted[batch.ProducerID]:
		default:
			records = slices.Grow(records, len(batch.Records))
			for _, r := range batch.Records {
				if offset := batch.FirstOffset + r.OffsetDelta; offset >= next[p] { // a batch may begin before what was asked for
					records = append(records, record{p, offset, r.Key, r.Value})
				}
			}
		}
		next[p] = max(next[p], batch.LastOffset()+1)
	}
	return records, nil
}
