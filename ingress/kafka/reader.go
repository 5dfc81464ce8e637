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

	// run's own.
	joined  bool      // it has taken part in the opening
	next    int64     // what comes after the last record handed over; -1: go by the store
	moved   bool      // the last stream failed: another broker may lead now
	alone   bool      // as the last stream's
	careful bool      // likewise, for what came for this partition alone could not be read
	replica int32     // the broker that the leader wants to be read; -1: the leader itself
	until   time.Time // the leader is asked again

	topicID atomic.Pointer[string] // of what is read
	sight   atomic.Pointer[sight]  // by the last assess
	stopped atomic.Bool            // waits for a decision
	handed  atomic.Int64           // offset after the last record handed over, for the monitor

	mu     sync.Mutex
	stream *stream // guarded by mu; nil while nothing is fetched
	fault  fault   // guarded by mu
}

// sight is one consistent look at a topic and a partition's log.
type sight struct {
	id  string
	log extent
}

// replicaLease is how long a replica is read before the leader is asked again: one that has fallen behind would go on answering.
const replicaLease = 5 * time.Minute

// suspicion is for how long after a fetch that failed the topic is looked at before anything is handed over.
const suspicion = 4 * time.Second

// errAnew says that the topic is not the one that was read from.
var errAnew = errors.New("the topic was made anew")

func newReader(s *session, topic *Topic, partition int32, begin begin, together *opening) *reader {
	return &reader{
		session: s, topic: topic, begin: begin, together: together, next: -1, replica: -1,
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
		var nearer *elsewhere
		switch {
		case ctx.Err() != nil:
			return
		case errors.As(err, &engine):
			r.fail(engine.cause)
			return
		case errors.As(err, &why):
			r.stop(ctx, why)
			continue
		case errors.As(err, &nearer):
			r.replica, r.until = nearer.broker, time.Now().Add(replicaLease)
			if attempt == 0 {
				attempt++
				continue // the first time it is no trouble
			}
		case errors.Is(err, errLeader):
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

// life is one stream's: from finding the position to whatever ends it.
func (r *reader) life(ctx context.Context) error {
	if r.moved {
		r.moved = false
		_ = r.control.RefreshMetadata(r.topic.Name) // what is wrong with it the next question says
	}
	offset, err := r.position(ctx)
	if err != nil {
		return err
	}
	stream, address, err := r.newStream(offset)
	if err != nil {
		return fmt.Errorf("look up the leader: %w", err)
	}
	for _, condition := range []string{topicAnew, positionLost, startOutside} {
		r.conditions.end(r.key(condition))
	}
	r.next = offset
	r.handed.Store(offset)
	r.mu.Lock()
	r.stream = stream
	r.mu.Unlock()
	leave := r.feed.open(ctx, &r.wait, address, stream)
	err = r.deliver(ctx, stream)
	leave()
	r.mu.Lock()
	r.stream = nil
	r.mu.Unlock()
	why, ok := errors.AsType[*unreadable](err)
	r.alone, r.careful, r.replica = stream.alone.Load(), ok && why.alone, -1
	return err
}

// newStream answers a stream that begins at an offset, and the broker to read it from.
func (r *reader) newStream(offset int64) (s *stream, address string, err error) {
	leader, epoch, err := r.control.LeaderAndEpoch(r.topic.Name, r.source.Partition)
	if err != nil {
		return nil, "", err
	}
	config := &r.control.Config().Consumer
	fit := min(fitFirst, config.Fetch.Default)
	s = &stream{source: r.source, topic: r.topic, committedOnly: config.IsolationLevel == sarama.ReadCommitted, epoch: epoch,
		sizeMin: config.Fetch.Default, fit: fit, size: fit, next: offset, broker: leader.ID()}
	s.buffer = newBuffer(r.BufferRecords, r.BufferBytes, offset)
	s.end.Store(r.sight.Load().log.newest)
	s.alone.Store(r.alone || r.careful)
	if r.careful {
		s.careful, s.size = carefulFetches, 1
	}
	if r.replica >= 0 && r.replica != leader.ID() {
		if replica, err := r.control.Broker(r.replica); err == nil {
			s.broker, s.replica, s.until = r.replica, true, r.until
			return s, replica.Addr(), nil
		}
	}
	return s, leader.Addr(), nil
}

// deliver hands over what is buffered as soon as there is any, without waiting for more.
func (r *reader) deliver(ctx context.Context, s *stream) error {
	idle := time.NewTimer(r.pace.idle)
	defer idle.Stop()
	for {
		p, ok, err := s.buffer.take()
		if ok {
			if err := r.same(ctx); err != nil {
				return err
			}
			if err := r.hand(ctx, p); err != nil {
				return err
			}
			idle.Reset(r.pace.idle)
			continue
		}
		if err != nil {
			r.moved = true
			r.watch.suspect(suspicion)
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.buffer.filled:
		case <-r.wake:
			if err := r.same(ctx); err != nil {
				return err
			}
		case <-idle.C:
			if err := r.passInvisible(ctx, s); err != nil {
				return err
			}
			idle.Reset(r.pace.idle)
		}
	}
}

// passInvisible moves the position over transaction markers and aborted records at the end of the log. No record comes for them, so
// the position would stay before them: shown as lag for ever, and taken for lost once retention has deleted the log up to its end.
func (r *reader) passInvisible(ctx context.Context, s *stream) error {
	through, ok := s.buffer.passed()
	if !ok || through <= r.next {
		return nil
	}
	if err := r.same(ctx); err != nil {
		return err
	}
	return r.arrive(ctx, []api.Record{{Offset: through - 1}})
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

// hand gives a parcel to the engine.
func (r *reader) hand(ctx context.Context, p parcel) error {
	if r.Hooks.Records != nil {
		r.Hooks.Records(r.source, len(p.records), p.bytes)
	}
	if r.Hooks.Skipped != nil {
		for _, why := range p.skipped {
			r.Hooks.Skipped(r.source, why)
		}
	}
	return r.arrive(ctx, p.records)
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
