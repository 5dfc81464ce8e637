//go:build unix

package killtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// reader follows a topic of outputs at read_committed, from its start. It knows nothing of the engine.
type reader struct {
	t      *testing.T
	client *kgo.Client
	topic  string

	mu    sync.Mutex
	next  map[int32]int64  // by partition: the offset behind what was read, marks of transactions included; guarded by mu
	seen  map[string]*line // by key; guarded by mu
	total int              // records; guarded by mu
	wrong string           // the first output that is not one more than its key's last; guarded by mu
	news  chan struct{}    // closed, and replaced, whenever something was read; guarded by mu

	done chan struct{}
}

// line is what came out for one key, in order.
type line struct {
	values     []int
	partitions map[int32]bool
}

func newReader(t *testing.T, broker, topic string) *reader {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.KeepControlRecords(), kgo.FetchMaxWait(250*time.Millisecond),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{t: t, client: client, topic: topic, next: map[int32]int64{}, seen: map[string]*line{}, news: make(chan struct{}), done: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { defer close(r.done); r.run(ctx) }()
	t.Cleanup(func() { cancel(); <-r.done; client.Close() })
	return r
}

func (r *reader) run(ctx context.Context) {
	for ctx.Err() == nil {
		fetches := r.client.PollFetches(ctx)
		r.mu.Lock()
		fetches.EachRecord(r.note)
		close(r.news)
		r.news = make(chan struct{})
		r.mu.Unlock()
	}
}

func (r *reader) note(k *kgo.Record) {
	r.next[k.Partition] = k.Offset + 1
	if k.Attrs.IsControl() {
		return
	}
	l := r.seen[string(k.Key)]
	if l == nil {
		l = &line{partitions: map[int32]bool{}}
		r.seen[string(k.Key)] = l
	}
	n, err := strconv.Atoi(string(k.Value))
	if err != nil {
		n = -1
	}
	l.values, l.partitions[k.Partition] = append(l.values, n), true
	if r.wrong == "" && n != len(l.values) {
		r.wrong = fmt.Sprintf("output %d of %s is %s; it got %s", len(l.values), k.Key, k.Value, short(l.values))
	}
	r.total++
}

// count is how many outputs are visible.
func (r *reader) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}

// early says what is wrong already, while more is to come.
func (r *reader) early() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wrong
}

// lines is a copy of what was read.
func (r *reader) lines() map[string]*line {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]*line, len(r.seen))
	for key, l := range r.seen {
		out[key] = &line{values: append([]int(nil), l.values...), partitions: maps.Clone(l.partitions)}
	}
	return out
}

// until waits for outputs until ok says so; ok is asked with the reader's lock.
func (r *reader) until(what string, ok func(total int) bool) {
	r.t.Helper()
	limit := time.NewTimer(testgateway.Patience)
	defer limit.Stop()
	for {
		r.mu.Lock()
		done, total, news := ok(r.total), r.total, r.news
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-news:
		case <-limit.C:
			r.t.Fatalf("waited %v for %s; %d outputs are visible in %s", testgateway.Patience, what, total, r.topic)
		case <-r.t.Context().Done():
			r.t.Fatal(r.t.Context().Err())
		}
	}
}

func (r *reader) untilCount(n int) {
	r.t.Helper()
	r.until(fmt.Sprintf("%d outputs", n), func(total int) bool { return total >= n })
}

func (r *reader) untilKey(key string, n int) {
	r.t.Helper()
	r.until(fmt.Sprintf("output %d of %s", n, key), func(int) bool { l := r.seen[key]; return l != nil && len(l.values) >= n })
}

// settle reads all that is visible at this moment, and answers how many outputs that are.
func (r *reader) settle() int {
	r.t.Helper()
	var ends map[int32]int64
	testgateway.Poll(r.t, "the broker to tell the ends of "+r.topic, func() (bool, string) {
		var err error
		ends, err = stableEnds(r.t.Context(), r.client, r.topic)
		return err == nil, fmt.Sprint(err)
	})
	r.until(fmt.Sprint("the ends of ", r.topic), func(int) bool {
		for partition, end := range ends {
			if r.next[partition] < end {
				return false
			}
		}
		return true
	})
	return r.count()
}

// stableEnds is up to where each partition of a topic can be read at read_committed.
func stableEnds(ctx context.Context, client *kgo.Client, topic string) (map[int32]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request := kmsg.NewPtrListOffsetsRequest()
	request.IsolationLevel = 1
	part := kmsg.NewListOffsetsRequestTopic()
	part.Topic = topic
	for p := range int32(partitions) {
		one := kmsg.NewListOffsetsRequestTopicPartition()
		one.Partition, one.Timestamp = p, -1
		part.Partitions = append(part.Partitions, one)
	}
	request.Topics = append(request.Topics, part)
	ends := map[int32]int64{}
	var problems []error
	for _, shard := range client.RequestSharded(ctx, request) {
		if shard.Err != nil {
			problems = append(problems, shard.Err)
			continue
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				problems = append(problems, kerr.ErrorForCode(p.ErrorCode))
				ends[p.Partition] = p.Offset
			}
		}
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	if len(ends) != partitions {
		return nil, fmt.Errorf("got %d of %d partitions", len(ends), partitions)
	}
	return ends, nil
}
