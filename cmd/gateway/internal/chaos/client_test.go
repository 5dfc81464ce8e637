//go:build unix

package chaos

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// client sends events at an even rate, through all outages of the broker, until it is halted. Its records stand in their topics
// once, for it is idempotent.
type client struct {
	kafka  *kgo.Client
	prefix string
	ledger *ledger
	draw   drawing
	every  time.Duration

	halt context.CancelFunc
	done chan struct{}
}

// paceEvery is how often records go out, at most.
const paceEvery = 5 * time.Millisecond

// newClient makes one that sends nothing by itself.
func newClient(t *testing.T, w *world, number int) *client {
	t.Helper()
	kafka, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Addr()), kgo.ProducerLinger(0), kgo.UnknownTopicRetries(-1),
		kgo.RetryBackoffFn(func(int) time.Duration { return 50 * time.Millisecond }), kgo.MetadataMinAge(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	c := &client{
		kafka: kafka, prefix: w.prefix, ledger: w.ledger,
		draw: drawing{rand: rand.New(rand.NewPCG(w.seed, uint64(number))), client: number}, halt: func() {}, done: make(chan struct{}),
	}
	close(c.done)
	t.Cleanup(func() { c.halt(); kafka.Close(); <-c.done })
	return c
}

// start sends at a rate what is drawn.
func (c *client) start(rate float64) {
	ctx, halt := context.WithCancel(context.Background())
	c.every, c.halt, c.done = time.Duration(float64(time.Second)/rate), halt, make(chan struct{})
	go func() { defer close(c.done); c.run(ctx) }()
}

func (c *client) run(ctx context.Context) {
	tick := time.NewTicker(max(c.every, paceEvery))
	defer tick.Stop()
	began, sent := time.Now(), 0
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for due := int(time.Since(began) / c.every); sent < due && ctx.Err() == nil; sent++ {
			c.send(c.draw.next())
		}
	}
}

// send blocks while too much is on its way.
func (c *client) send(topic, key string, e event) {
	c.ledger.call(e.op)
	c.kafka.Produce(context.Background(), &kgo.Record{Topic: c.prefix + topic, Key: []byte(key), Value: []byte(e.String())},
		func(_ *kgo.Record, err error) { c.ledger.ack(err) }) // whatever halts: what was called must not be lost
}

// finish sends no more, and returns when the broker has taken all.
func (c *client) finish(t *testing.T) {
	t.Helper()
	c.halt()
	<-c.done
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := c.kafka.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}
