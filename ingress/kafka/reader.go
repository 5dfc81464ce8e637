package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"github.com/stategate/stategate/api"
)

// reader reads one partition. Its run is the only one that hands over records of its source.
type reader struct {
	*session
	source          api.Source
	topic           *Topic
	begin           begin
	firstPartitions int32 // of the topic
	together        *opening
	wake            chan struct{} // capacity 1: the topic is not the one that was read from

	joined bool  // run's own: it has taken part in the opening
	next   int64 // run's own: what comes after the last record handed over; -1: go by the store

	topicID atomic.Pointer[string] // of what is read
	sight   atomic.Pointer[sight]  // by the last assess
	stopped atomic.Bool            // waits for a decision
	handed  atomic.Int64           // offset after the last record handed over, for the monitor

	mu     sync.Mutex
	pc     sarama.PartitionConsumer // guarded by mu; nil while nothing is fetched
	buffer *buffer                  // guarded by mu, goes with pc
	fault  fault                    // guarded by mu
}

// sight is one consistent look at a topic and a partition's log.
type sight struct {
	id  string
	log extent
}

// errClosed says that sarama has given the partition up; the next attempt finds out why.
var errClosed = errors.New("the consumer was closed")

// errAnew says that the topic is not the one that was read from.
var errAnew = errors.New("the topic was made anew")

func newReader(s *session, topic *Topic, partition int32, begin begin, together *opening) *reader {
	return &reader{
		session: s, topic: topic, begin: begin, together: together, next: -1,
		source: api.Source{Ingress: s.ID, Topic: topic.Name, Partition: partition},
		wake:   make(chan struct{}, 1),
	}
}

func (r *reader) key(condition string) string {
	return fmt.Sprintf("ingress %s: %s", r.source, condition)
}

// abstain takes part in the opening without a start position, unless the reader has taken part already.
func (r *reader) abstain(ctx context.Context) {
	if !r.joined {
		r.joined = true
		_ = r.together.join(ctx, nil)
	}
}

// differs reports whether what a look has shown is another topic than the one that is read.
func (r *reader) differs(info topicInfo) bool {
	id := r.topicID.Load()
	return id != nil && *id != "" && info.id != "" && *id != info.id
}

func (r *reader) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// run reads until the context ends. Whatever goes wrong is tried again, but for what needs a decision.
func (r *reader) run(ctx context.Context) {
	attempt := 0
	for ctx.Err() == nil {
		began := time.Now()
		err := r.life(ctx)
		r.abstain(ctx) // whatever came of the first attempt, the others need not wait for the second
		var engine *engineError
		var why *lost
		switch {
		case ctx.Err() != nil:
			return
		case errors.As(err, &engine):
			r.fail(engine.cause)
			return
		case errors.As(err, &why):
			r.stop(ctx, why)
			continue
		case errors.Is(err, errAnew) || errors.Is(err, errClosed):
		default:
			r.troubled(err)
		}
		if time.Since(began) > r.pace.retryMax {
			attempt = 0
		}
		attempt++
		sleep(ctx, backoff(attempt, r.pace.retryMax))
	}
}

// stop waits until somebody has written another position. A source that has none yet is looked at again by itself: what it
// asks for may come to be.
func (r *reader) stop(ctx context.Context, why *lost) {
	r.conditions.begin(r.key(why.condition), why.text)
	r.stopped.Store(true)
	defer r.stopped.Store(false)
	before, known := r.engine.Progress(r.source)
	for sleep(ctx, r.DiscoveryInterval) {
		if !known {
			return
		}
		// What was handed over before may still finish and move the position up; that is no decision.
		p, ok := r.engine.Progress(r.source)
		if !ok || p.TopicID != before.TopicID || p.Start != before.Start || p.Position() < before.Position() {
			r.next = -1
			return
		}
	}
}

// life is one consumer's: from finding the position to whatever ends it.
func (r *reader) life(ctx context.Context) error {
	offset, err := r.position(ctx)
	if err != nil {
		return err
	}
	pc, err := r.consumer.ConsumePartition(r.topic.Name, r.source.Partition, offset)
	if errors.Is(err, sarama.ErrOffsetOutOfRange) {
		return errClosed
	}
	if err != nil {
		return fmt.Errorf("begin to fetch: %w", err)
	}
	for _, condition := range []string{topicAnew, positionLost, startOutside} {
		r.conditions.end(r.key(condition))
	}
	r.next = offset
	r.handed.Store(offset)
	buffer := newBuffer(r.BufferRecords, r.BufferBytes, pc.Pause, pc.Resume)
	r.mu.Lock()
	r.pc, r.buffer = pc, buffer
	r.mu.Unlock()

	var drained sync.WaitGroup
	drained.Add(2)
	go func() {
		defer drained.Done()
		for m := range pc.Messages() {
			buffer.put(m)
		}
		buffer.close()
	}()
	go func() {
		defer drained.Done()
		for e := range pc.Errors() {
			if !errors.Is(e.Err, sarama.ErrOffsetOutOfRange) {
				r.troubled(e.Err)
			}
		}
	}()
	err = r.deliver(ctx, pc, buffer)
	r.mu.Lock()
	r.pc, r.buffer = nil, nil
	r.mu.Unlock()
	pc.AsyncClose()
	drained.Wait()
	return err
}

// deliver hands over what is buffered as soon as there is any, without waiting for more.
func (r *reader) deliver(ctx context.Context, pc sarama.PartitionConsumer, buffer *buffer) error {
	idle := time.NewTimer(r.pace.idle)
	defer idle.Stop()
	var tail tail
	for {
		batch, bytes, resumed, ended := buffer.take()
		if resumed {
			r.watch.ask() // the topic may have become another one while nothing was fetched
		}
		if batch != nil {
			if err := r.same(ctx); err != nil {
				return err
			}
			if err := r.hand(ctx, batch, bytes); err != nil {
				return err
			}
			idle.Reset(r.pace.idle)
			continue
		}
		if ended {
			return errClosed
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-buffer.filled:
		case <-r.wake:
			if err := r.same(ctx); err != nil {
				return err
			}
		case <-idle.C:
			if err := r.passInvisible(ctx, pc.HighWaterMarkOffset(), &tail); err != nil {
				return err
			}
			idle.Reset(r.pace.idle)
		}
	}
}

// same returns when it is sure that what was fetched before is of the topic that is read; errAnew when it is not.
func (r *reader) same(ctx context.Context) error {
	for {
		if err := r.watch.settle(ctx); err != nil {
			return err
		}
		info := r.watch.topic(r.topic.Name)
		if info.err == nil {
			if r.differs(info) {
				return errAnew
			}
			return nil
		}
		if !sleep(ctx, r.DiscoveryInterval) {
			return ctx.Err()
		}
	}
}

// hand gives a batch to the engine.
func (r *reader) hand(ctx context.Context, batch []*sarama.ConsumerMessage, bytes int) error {
	if r.Hooks.Records != nil {
		r.Hooks.Records(r.source, len(batch), bytes-recordOverhead*len(batch))
	}
	records := make([]api.Record, 0, len(batch))
	for _, m := range batch {
		if m.Offset < r.next {
			continue // handed over already: a fetch may begin in the middle of a batch
		}
		rec, skipped := record(r.source, r.topic, m)
		if skipped != "" && r.Hooks.Skipped != nil {
			r.Hooks.Skipped(r.source, skipped)
		}
		records = append(records, rec)
		r.next = m.Offset + 1
	}
	return r.arrive(ctx, records)
}

func (r *reader) arrive(ctx context.Context, records []api.Record) error {
	if len(records) == 0 {
		return nil
	}
	next := records[len(records)-1].Offset + 1
	if err := r.engine.Arrive(ctx, r.source, records); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return &engineError{fmt.Errorf("hand over records of %s: %w", r.source, err)}
	}
	r.next = next
	r.handed.Store(next)
	return nil
}
