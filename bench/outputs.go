//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// patience bounds how long a run waits for its next output, beside the time for which a server is away on purpose.
const patience = 3 * time.Minute

// outputs reads what a run has written, as a reader at read_committed sees it, and judges it.
type outputs struct {
	client *kgo.Client
	topic  string
	seen   int
	counts map[string]*counted
	last   time.Time     // when the last one so far was visible
	ends   int           // partitions whose end was seen
	away   time.Duration // for so long no output can come, once
	// repeats: the egress may deliver an output again (at-least-once).
	repeats bool
}

// counted is what has come of one key.
type counted struct {
	n         int
	partition int32
}

// expected are the outputs that must be there, by key: so many, and at most as many more as are in doubt.
type expected struct {
	counts, doubt map[string]int
}

// endKey marks the end of a partition of outputs.
const endKey = "end of the run"

func newOutputs(broker, topic string, repeats bool) (*outputs, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(250*time.Millisecond))
	return &outputs{client: client, topic: topic, counts: map[string]*counted{}, repeats: repeats}, err
}

func (o *outputs) close() { o.client.Close() }

// poll reads what there is, at least one record. arrived, when it is not nil, is told each output that was not seen before.
func (o *outputs) poll(ctx context.Context, arrived func(key string, nth int, at time.Time)) error {
	limit := patience + o.away
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	fetches := o.client.PollFetches(ctx)
	if ctx.Err() != nil {
		return fmt.Errorf("%d outputs came, then none for %v: %w", o.seen, limit, ctx.Err())
	}
	now := time.Now()
	var wrong error
	fetches.EachRecord(func(r *kgo.Record) {
		if string(r.Key) == endKey {
			o.ends++
			return
		}
		nth, err := o.take(r.Key, r.Value, r.Partition)
		switch {
		case err != nil:
			wrong = err
		case nth >= 0:
			o.seen, o.last = o.seen+1, now
			if arrived != nil {
				arrived(string(r.Key), nth, now)
			}
		}
	})
	return wrong
}

// take judges one output and answers which one of its key it is, beginning at 0; -1: it came before.
func (o *outputs) take(key, value []byte, partition int32) (int, error) {
	c := o.counts[string(key)]
	if c == nil {
		c = &counted{partition: partition}
		o.counts[string(key)] = c
	}
	n, err := strconv.Atoi(string(value))
	switch {
	case err != nil:
		return 0, fmt.Errorf("key %s: %.40q is no count", key, value)
	case c.partition != partition:
		return 0, fmt.Errorf("key %s: outputs in the partitions %d and %d", key, c.partition, partition)
	case o.repeats && n <= c.n:
		return -1, nil
	case n != c.n+1:
		return 0, fmt.Errorf("key %s: got %d, want %d: lost, doubled or out of order", key, n, c.n+1)
	}
	c.n = n
	return n - 1, nil
}

// await reads until n outputs have come. after, when it is not nil, is called behind each poll.
func (o *outputs) await(ctx context.Context, n int, arrived func(key string, nth int, at time.Time), after func() error) error {
	for o.seen < n {
		if err := o.poll(ctx, arrived); err != nil {
			return err
		}
		if after == nil {
			continue
		}
		if err := after(); err != nil {
			return err
		}
	}
	return nil
}

// verify reads to the end of the topic, whose writer must have ended, and compares with what must be there.
func (o *outputs) verify(ctx context.Context, writer *kgo.Client, want expected) error {
	for p := range partitionsOut {
		end := &kgo.Record{Topic: o.topic, Partition: int32(p), Key: []byte(endKey)}
		if err := writer.ProduceSync(ctx, end).FirstErr(); err != nil {
			return fmt.Errorf("mark the end of %s: %w", o.topic, err)
		}
	}
	for o.ends < partitionsOut {
		if err := o.poll(ctx, nil); err != nil {
			return err
		}
	}
	return o.judge(want)
}

// judge compares the numbers of outputs of each key; their order was judged when they came.
func (o *outputs) judge(want expected) error {
	var wrong []string
	for key, n := range want.counts {
		got := 0
		if c := o.counts[key]; c != nil {
			got = c.n
		}
		if got < n || got > n+want.doubt[key] {
			wrong = append(wrong, fmt.Sprintf("%s: %d outputs, want %d and at most %d in doubt", key, got, n, want.doubt[key]))
		}
	}
	for key, c := range o.counts {
		if _, ok := want.counts[key]; !ok && c.n > want.doubt[key] {
			wrong = append(wrong, key+": never asked for")
		}
	}
	if len(wrong) == 0 {
		return nil
	}
	slices.Sort(wrong)
	return fmt.Errorf("wrong outputs in %d of %d keys: %s", len(wrong), len(want.counts), strings.Join(wrong[:min(5, len(wrong))], "; "))
}
