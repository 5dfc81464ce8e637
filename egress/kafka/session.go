package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"github.com/stategate/stategate/statestore"
)

// session is one connection to Kafka with one producer, from its opening to the first error. It is used by one goroutine.
type session struct {
	conf         *sarama.Config
	brokers      []string
	known        string // topic to ask the first metadata for
	wires        *wires
	hurry        *atomic.Int32  // above 0: retries inside the client do not wait
	acked        *atomic.Uint64 // counts acknowledged outputs, for who watches
	client       sarama.Client
	producer     *producer
	requestBytes int                  // what one request with records holds at most
	lost         bool                 // a call did not come back: the rest is left behind
	ending       time.Time            // when its end began; zero: not yet
	about        func(request string) // tests are told what is asked next
	log          *slog.Logger
}

// Bounds of a session's end.
const (
	graceful = 3 * time.Second // what is under way may end by itself
	stopMax  = 9 * time.Second // then its connections are cut; after this it is left behind
	cutMin   = time.Second     // but not sooner after the cut than this
)

var (
	errCut      = errors.New("connections were cut")
	errNoAnswer = errors.New("the client did not come back")
	errAstray   = errors.New("records of it may still be on their way") // an abort lets them in behind it, a time-out and a next owner's epoch do not
)

func newSession(cfg Config, set settings, lane statestore.LaneID, log *slog.Logger) *session {
	s := &session{brokers: cfg.Brokers, known: cfg.CursorTopic, requestBytes: set.requestBytes, wires: newWires(set.dial), hurry: new(atomic.Int32), acked: new(atomic.Uint64), about: func(string) {}, log: log}
	s.conf = set.client(cfg, lane, s.wires, s.hurry)
	return s
}

// open connects and makes the producer; a transactional one fences all former sessions of its id.
func (s *session) open(ctx context.Context) error {
	return s.do(ctx, func() error {
		client, err := sarama.NewClient(s.brokers, s.conf)
		if err != nil {
			return fmt.Errorf("connect: %w", err)
		}
		s.client = client
		// Any topic would do, also one that is missing: the answer makes the brokers known.
		s.hurry.Add(1)
		err = client.RefreshMetadata(s.known)
		s.hurry.Add(-1)
		if err != nil && !errors.Is(err, sarama.ErrUnknownTopicOrPartition) && !errors.Is(err, sarama.ErrTopicAuthorizationFailed) {
			return fmt.Errorf("connect: %w", err)
		}
		s.producer = newProducer(s, client)
		return s.producer.begin()
	})
}

// do runs a call of the client that may block. When ctx ends it is given a while, then the connections are cut.
func (s *session) do(ctx context.Context, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	s.hurry.Add(1)
	return s.end(done)
}

// end waits for a call that should end soon, cuts it when it does not, and leaves it behind at last.
func (s *session) end(done <-chan error) error {
	t := time.NewTimer(s.grace())
	defer t.Stop()
	select {
	case err := <-done:
		return err
	case <-t.C:
	}
	s.cut()
	t.Reset(s.respite())
	select {
	case err := <-done:
		return err
	case <-t.C:
		s.lost = true
		return errNoAnswer
	}
}

// grace is how long what is under way may still take to end by itself.
func (s *session) grace() time.Duration {
	if s.ending.IsZero() {
		s.ending = time.Now()
	}
	return max(graceful-time.Since(s.ending), 0)
}

// respite is how long calls may take to notice the cut.
func (s *session) respite() time.Duration { return max(stopMax-time.Since(s.ending), cutMin) }

// abort ends an open transaction when no next session of this relay follows to do so: readers would wait for it.
func (s *session) abort(ctx context.Context) {
	if ctx.Err() == nil || s.lost || s.wires.isCut() || !s.producer.open {
		return
	}
	err := errAstray
	if !s.producer.astray {
		err = s.do(ctx, func() error { return s.producer.end(false) })
	}
	if err != nil {
		s.log.Info("a transaction is left open: it ends with its time-out, or when the lane's next owner begins", "cause", err)
	}
}

// cut closes all connections. Nothing reaches Kafka from this session any more, and every call in it fails soon.
func (s *session) cut() {
	s.hurry.Add(1)
	s.wires.cut()
}

// close ends the connections. An open transaction stays open: the next session ends it.
func (s *session) close() {
	if s.lost {
		s.cut()
		s.log.Warn("a call of the Kafka client did not end; it is left behind")
		return
	}
	s.hurry.Add(1)
	done := make(chan error, 1)
	go func() {
		if s.client != nil {
			_ = s.client.Close() // closing twice is its only error
		}
		done <- nil
	}()
	if err := s.end(done); err != nil {
		s.log.Warn("closing the Kafka client did not end; it is left behind")
	}
	s.cut()
}
