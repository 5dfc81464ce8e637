package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/IBM/sarama"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/ingress"
)

// Ingress reads the topics of one ingress of the module.
type Ingress struct {
	config   Config
	settings *settings
}

// New checks the configuration. It connects to nothing.
func New(config Config) (*Ingress, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	s, err := newSettings(config.Properties)
	if err != nil {
		return nil, fmt.Errorf("kafka ingress %s: %w", config.ID, err)
	}
	config = config.withDefaults(s.Discovery)
	return &Ingress{config: config, settings: s}, nil
}

// Run reads all partitions of all topics until the context ends (then it returns nil) or the engine fails (then that error),
// and returns when all that it started has ended. A broker or topic that is away is waited for. It may be run again.
func (i *Ingress) Run(ctx context.Context, engine ingress.Engine) error {
	s, err := i.open(engine)
	if err != nil {
		return fmt.Errorf("kafka ingress %s: %w", i.config.ID, err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	s.fail = func(err error) { cancel(&engineError{err}) }

	hurried, ended := make(chan struct{}), make(chan struct{})
	go func() { defer close(hurried); s.hurry(ctx, ended) }()
	s.wait.Add(2)
	go func() { defer s.wait.Done(); s.monitor(ctx) }()
	go func() { defer s.wait.Done(); s.keepGroup(ctx) }()
	s.look(ctx)
	s.wait.Wait()
	_ = s.commitGroup() // for lag tools only; the next start says it again
	close(ended)
	<-hurried
	s.closeClients()
	s.conditions.endAll()

	var failed *engineError
	if errors.As(context.Cause(ctx), &failed) {
		return fmt.Errorf("kafka ingress %s: %w", i.config.ID, failed.cause)
	}
	return nil
}

// engineError is what the engine said; there is nothing to retry here.
type engineError struct{ cause error }

func (e *engineError) Error() string { return e.cause.Error() }
func (e *engineError) Unwrap() error { return e.cause }

// session is one Run.
type session struct {
	*Config
	engine ingress.Engine
	fail   func(error)

	// A fetch that waits for records would hold up other requests on its connection, so fetches have connections of their own.
	control                    sarama.Client
	feed                       *feed
	fetchDialer, controlDialer *dialer

	watch      *watch
	conditions *conditions
	wait       sync.WaitGroup // readers, fetchers, monitor, group

	mu      sync.Mutex
	readers map[TopicPartition]*reader // guarded by mu

	missing map[string]time.Time // look's own: since when a topic has not been there
	first   map[string]int32     // look's own: of each topic that was seen, firstPartitions
	group   groupState           // keepGroup's own, and Run's after that has ended
}

func (i *Ingress) open(engine ingress.Engine) (*session, error) {
	s := &session{
		Config: &i.config, engine: engine,
		watch:      newWatch(3 * max(i.config.DiscoveryInterval, time.Second)),
		conditions: &conditions{log: i.config.Log, hooks: i.config.Hooks, active: map[string]string{}},
		readers:    map[TopicPartition]*reader{}, missing: map[string]time.Time{}, first: map[string]int32{},
		group: groupState{committed: map[TopicPartition]int64{}},
	}
	var err error
	if s.control, s.controlDialer, err = newClient(i.config.Brokers, i.settings); err != nil {
		return nil, err
	}
	s.fetchDialer = newDialer(i.settings)
	s.feed = newFeed(s.fetchDialer.owned(), func() { s.watch.ask() })
	return s, nil
}

// hurry ends the fetches that wait for records, and lets a broker that does not answer hold up the end of Run for a grace only: then it
// closes the other connections, too.
func (s *session) hurry(ctx context.Context, ended <-chan struct{}) {
	<-ctx.Done()
	s.fetchDialer.close()
	grace := time.NewTimer(s.pace.stop)
	defer grace.Stop()
	select {
	case <-ended:
	case <-grace.C:
		s.controlDialer.close()
	}
}

func (s *session) closeClients() {
	_ = s.control.Close()
	s.controlDialer.close()
	s.fetchDialer.close()
}

func (s *session) awayKey() string { return fmt.Sprintf("ingress %s: no broker answers", s.ID) }

// look looks at the topics again and again: it starts a reader for each partition that it finds, and wakes those whose topic
// has become another one.
func (s *session) look(ctx context.Context) {
	names := make([]string, len(s.Topics))
	for i := range s.Topics {
		names[i] = s.Topics[i].Name
	}
	failures := 0
	for ctx.Err() == nil {
		number, began := s.watch.begin(), time.Now()
		heard := s.listen()
		topics, err := lookAt(s.control, names)
		heard()
		if err != nil {
			failures++
			if failures > 1 {
				s.conditions.begin(s.awayKey(), fmt.Sprintf("%v: %s; trying again", s.Brokers, s.told(err, "")))
			}
			if !sleep(ctx, backoff(failures, min(time.Second, s.pace.retryMax))) {
				return
			}
			continue
		}
		failures = 0
		s.conditions.end(s.awayKey())
		s.watch.end(number, began, topics)
		for i := range s.Topics {
			s.act(ctx, &s.Topics[i], s.watch.topic(names[i]))
		}
		again := time.NewTimer(s.DiscoveryInterval)
		select {
		case <-again.C:
		case <-s.watch.kick:
		case <-ctx.Done():
		}
		again.Stop()
	}
}

// listen states that no broker answers when that has lasted for some time: brokers that take connections and stay silent (a
// frozen machine, a network that swallows packets) would cost several time-outs before a look fails. It is called off when the
// look has ended, whichever way.
func (s *session) listen() (heard func()) {
	stated := make(chan struct{})
	timer := time.AfterFunc(s.pace.silence, func() {
		defer close(stated)
		s.conditions.begin(s.awayKey(), fmt.Sprintf("%v: no answer for %v; still waiting", s.Brokers, s.pace.silence))
	})
	return func() {
		if !timer.Stop() {
			<-stated
		}
	}
}

// act does what a look at a topic calls for.
func (s *session) act(ctx context.Context, topic *Topic, info topicInfo) {
	absent := fmt.Sprintf("ingress %s %s: topic does not exist", s.ID, topic.Name)
	refused := fmt.Sprintf("ingress %s %s: topic cannot be looked up", s.ID, topic.Name)
	switch {
	case errors.Is(info.err, sarama.ErrUnknownTopicOrPartition):
		if s.missing[topic.Name].IsZero() {
			s.missing[topic.Name] = time.Now()
		}
		s.conditions.begin(absent, "it is waited for; create it, or take it out of the module")
		return
	case info.err != nil:
		s.conditions.begin(refused, s.told(info.err, topic.Name))
		return
	}
	s.conditions.end(absent)
	s.conditions.end(refused)
	since := s.missing[topic.Name]
	delete(s.missing, topic.Name)

	s.mu.Lock()
	defer s.mu.Unlock()
	var fresh []int32
	for _, p := range info.partitions {
		r, ok := s.readers[TopicPartition{topic.Name, p}]
		switch {
		case !ok:
			fresh = append(fresh, p)
		case r.differs(info):
			r.poke()
		}
	}
	if len(fresh) == 0 {
		return
	}
	s.startReaders(ctx, topic, info, fresh, !since.IsZero() && time.Since(since) > s.pace.appeared)
}

// startReaders starts readers for partitions that a look has found.
func (s *session) startReaders(ctx context.Context, topic *Topic, info topicInfo, fresh []int32, appeared bool) {
	first := s.firstPartitions(topic, info)
	together := newOpening(s.engine, len(fresh))
	for _, p := range fresh {
		begin := beginStartup
		switch {
		case p >= first:
			begin = beginEarliest
		case appeared:
			begin = beginAppeared
		}
		r := newReader(s, topic, p, begin, together)
		r.firstPartitions = first
		s.readers[TopicPartition{topic.Name, p}] = r
		s.wait.Add(1)
		go func() { defer s.wait.Done(); r.run(ctx) }()
	}
}

// firstPartitions is how many partitions the topic had when its start positions were first resolved: by the store, else now.
// One that was there then and has no position yet (its start lay outside of the log, it could not be looked up) still begins as
// the module says; only what Kafka has appended since is new.
func (s *session) firstPartitions(topic *Topic, info topicInfo) int32 {
	first, seen := s.first[topic.Name]
	if seen {
		return first
	}
	for _, p := range info.partitions {
		if stored, ok := s.engine.Progress(api.Source{Ingress: s.ID, Topic: topic.Name, Partition: p}); ok {
			first, seen = max(first, stored.Partitions), true
		}
	}
	if !seen {
		first = slices.Max(info.partitions) + 1
	}
	s.first[topic.Name] = first
	return first
}
