//go:build unix

package killtest

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// producer sends records to one topic, evenly, as many as it is allowed, through all outages of the broker. It is idempotent: what
// it sends stands in the topic once.
type producer struct {
	client *kgo.Client
	topic  string
	value  string
	draw   func() (key string) // used by the producer's goroutine alone
	rate   int                 // records a second, at most

	allowed atomic.Int64
	acked   atomic.Int64
	more    chan struct{} // has a token after allowed has grown

	mu     sync.Mutex
	counts map[string]int // acknowledged, by key; guarded by mu
	err    error          // the first that a record ended with; guarded by mu

	halted context.CancelFunc // no more records go out
	done   chan struct{}      // closed when the last one has gone out
}

// keys draws from n keys.
func keys(seed uint64, prefix string, n int) func() string {
	r := rand.New(rand.NewPCG(seed, 1))
	return func() string { return fmt.Sprintf("%s%d", prefix, r.IntN(n)) }
}

func newProducer(t *testing.T, broker, topic, value string, rate int, draw func() string) *producer {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ProducerLinger(0), kgo.UnknownTopicRetries(-1),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	p := &producer{client: client, topic: topic, value: value, draw: draw, rate: rate, more: make(chan struct{}, 1), counts: map[string]int{}, done: make(chan struct{})}
	var ctx context.Context
	ctx, p.halted = context.WithCancel(context.Background())
	go func() { defer close(p.done); p.run(ctx) }()
	t.Cleanup(func() { p.halted(); client.Close(); <-p.done })
	return p
}

// paceEvery is how often records go out.
const paceEvery = 5 * time.Millisecond

func (p *producer) run(ctx context.Context) {
	tick := time.NewTicker(paceEvery)
	defer tick.Stop()
	sent, budget, last := int64(0), 0.0, time.Now()
	for {
		if sent >= p.allowed.Load() {
			select {
			case <-p.more:
				budget, last = 0, time.Now() // time that was not used is not made up for
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case now := <-tick.C:
			budget = min(budget+now.Sub(last).Seconds()*float64(p.rate), float64(p.rate)/4)
			last = now
		case <-ctx.Done():
			return
		}
		for ; budget >= 1 && sent < p.allowed.Load(); budget-- {
			sent++
			p.send(p.draw())
		}
	}
}

func (p *producer) send(key string) {
	p.client.Produce(context.Background(), &kgo.Record{Topic: p.topic, Key: []byte(key), Value: []byte(p.value)}, func(_ *kgo.Record, err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if err != nil {
			if p.err == nil {
				p.err = err
			}
			return
		}
		p.counts[key]++
		p.acked.Add(1)
	})
}

// allow lets n more records out.
func (p *producer) allow(n int) {
	p.allowed.Add(int64(n))
	select {
	case p.more <- struct{}{}:
	default:
	}
}

// one sends one record now, and returns when it is acknowledged.
func (p *producer) one(t *testing.T, key string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testgateway.Patience)
	defer cancel()
	if err := p.client.ProduceSync(ctx, &kgo.Record{Topic: p.topic, Key: []byte(key), Value: []byte(p.value)}).FirstErr(); err != nil {
		t.Fatalf("produce to %s: %v", p.topic, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[key]++
	p.acked.Add(1)
}

// finish waits until all that is allowed is acknowledged, and answers how many records each key has got.
func (p *producer) finish(t *testing.T) map[string]int {
	t.Helper()
	testgateway.Poll(t, "the producer of "+p.topic+" to finish", func() (bool, string) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.err != nil {
			t.Fatalf("produce to %s: %v", p.topic, p.err)
		}
		acked, allowed := p.acked.Load(), p.allowed.Load()
		return acked >= allowed, fmt.Sprintf("%d of %d records acknowledged", acked, allowed)
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts)
}

// halt sends no more, although more is allowed, and answers how many records each key has got.
func (p *producer) halt(t *testing.T) map[string]int {
	t.Helper()
	p.halted()
	<-p.done
	ctx, cancel := context.WithTimeout(t.Context(), testgateway.Patience)
	defer cancel()
	if err := p.client.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		t.Fatalf("produce to %s: %v", p.topic, p.err)
	}
	return maps.Clone(p.counts)
}
