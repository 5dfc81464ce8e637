package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/IBM/sarama"
)

// topics knows which topics exist. A missing one is waited for once; then its outputs are refused until it is there. Owned by
// Run.
type topics struct {
	names   map[string]string    // valid ones: each is made once
	present map[string]time.Time // when it was last seen
	missing map[string]*missing
	trouble *trouble
	waits   waits
}

// waits are times that tests shorten.
type waits struct{ grace, askEvery, askGone, askIdle time.Duration }

// missing is a topic that does not exist.
type missing struct {
	since time.Time
	asked time.Time // when metadata last said so
	used  time.Time // when an output last asked for it
	err   error     // why outputs are refused
	gone  bool      // it was waited for
}

// Bounds of knowledge about topics.
const (
	topicGrace     = 5 * time.Second        // that a missing topic is waited for
	topicAskEvery  = 100 * time.Millisecond // while it is
	topicAskGone   = time.Second            // afterwards
	topicAskIdle   = 5 * time.Second        // when no output asks for it
	topicAskAtOnce = 100                    // missing ones in one question of an idle relay
	topicFresh     = 5 * time.Second        // that a topic counts as present without asking
	topicForget    = 5 * time.Minute        // that a missing one is told of after it was last asked for
	topicsWaited   = 100                    // missing at once; further ones are not waited for
	topicsKnownMax = 10_000                 // in either map
)

func newTopics(t *trouble) *topics {
	return &topics{names: make(map[string]string), present: make(map[string]time.Time), missing: make(map[string]*missing), trouble: t,
		waits: waits{topicGrace, topicAskEvery, topicAskGone, topicAskIdle}}
}

// name makes a topic's name of its bytes, or says why it is none.
func (t *topics) name(b []byte) (string, error) {
	if name, ok := t.names[string(b)]; ok {
		return name, nil
	}
	name := string(b)
	if err := checkTopic(name); err != nil {
		return "", err
	}
	if len(t.names) >= topicsKnownMax {
		clear(t.names)
	}
	t.names[name] = name
	return name, nil
}

// unsure lists the topics of items that metadata must be asked for.
func (t *topics) unsure(items []item, now time.Time) []string {
	var ask []string
	var asked map[string]bool
	for i := range items {
		if !items[i].sends() {
			continue
		}
		name := items[i].record.topic
		if now.Sub(t.present[name]) < topicFresh || asked[name] {
			continue
		}
		if m := t.missing[name]; m != nil {
			m.used = now
			every := t.waits.askEvery
			if m.gone {
				every = t.waits.askGone
			}
			if now.Sub(m.asked) < every {
				continue
			}
		}
		if asked == nil {
			asked = make(map[string]bool)
		}
		asked[name] = true
		ask = append(ask, name)
	}
	return ask
}

// note takes what metadata said. The error is of a topic that can be mended from outside: nothing goes on without it.
func (t *topics) note(found map[string]error, now time.Time) error {
	var mend error
	for name, err := range found {
		switch {
		case err == nil:
			if len(t.present) >= topicsKnownMax {
				clear(t.present)
			}
			t.present[name] = now
			delete(t.missing, name)
		case errors.Is(err, sarama.ErrUnknownTopicOrPartition), errors.Is(err, sarama.ErrInvalidTopic):
			delete(t.present, name)
			m := t.missing[name]
			if m == nil {
				m = t.add(name, now)
			}
			m.asked, m.err = now, err
		default:
			mend = ofTopic(fmt.Errorf("look up topic %s: %w", name, err), name)
		}
	}
	t.report(now)
	return mend
}

// seen notes topics that have just taken outputs: as long as they do, metadata is not asked.
func (t *topics) seen(part []item, now time.Time) {
	last := ""
	for i := range part {
		if it := &part[i]; it.acked && it.sends() && it.record.topic != last {
			last = it.record.topic
			t.present[last] = now
		}
	}
}

// doubt makes the next batch ask metadata for a topic.
func (t *topics) doubt(name string) { delete(t.present, name) }

// gone lists some of the topics that are known to be missing.
func (t *topics) gone() (names []string) {
	for name := range t.missing {
		if names = append(names, name); len(names) == topicAskAtOnce {
			break
		}
	}
	return names
}

// anyMissing reports whether one of the topics is missing.
func (t *topics) anyMissing(found map[string]error) bool {
	for name := range found {
		if t.missing[name] != nil {
			return true
		}
	}
	return false
}

// add notes a topic that has just been found missing.
func (t *topics) add(name string, now time.Time) *missing {
	if len(t.missing) >= topicsKnownMax {
		clear(t.missing)
	}
	m := &missing{since: now, used: now, gone: len(t.missing) >= topicsWaited}
	t.missing[name] = m
	return m
}

// judge reports whether the item can go on: its topic is there, or it is refused by now.
func (t *topics) judge(it *item, now time.Time) bool {
	name := it.record.topic
	m := t.missing[name]
	if m == nil {
		return true
	}
	if !m.gone && now.Sub(m.since) < t.waits.grace && !errors.Is(m.err, sarama.ErrInvalidTopic) {
		return false
	}
	if errors.Is(m.err, sarama.ErrInvalidTopic) {
		it.refuse(reasonTopic, fmt.Sprintf("topic %s: %v", name, m.err))
		return true
	}
	it.refuse(reasonMissing, fmt.Sprintf("topic %s does not exist", name))
	if !m.gone {
		m.gone = true
		t.report(now)
	}
	return true
}

// report tells operators of topics that were given up.
func (t *topics) report(now time.Time) {
	gone, example := 0, ""
	for name, m := range t.missing {
		if m.gone && now.Sub(m.used) <= topicForget {
			gone++
			if example == "" || name < example {
				example = name
			}
		}
	}
	if gone == 0 {
		t.trouble.end(troubleTopic, "no topic is missing any more that outputs ask for")
		return
	}
	t.trouble.begin(troubleTopic, fmt.Sprintf("%d topics do not exist, %s for one: outputs for them become dead letters at once until metadata shows the topic", gone, example), slog.LevelWarn)
}

// lookup asks metadata for topics: nil for one that exists, else Kafka's error.
func (s *session) lookup(ctx context.Context, names []string) (map[string]error, error) {
	var found map[string]error
	err := s.do(ctx, func() error {
		var err error
		for range 3 { // a connection that broke while it was idle shows only now
			if found, err = s.metadata(names); err == nil {
				return nil
			}
		}
		return err
	})
	return found, err
}

// metadata asks one broker. It never makes a topic.
func (s *session) metadata(names []string) (map[string]error, error) {
	broker := s.client.LeastLoadedBroker()
	if broker == nil {
		return nil, sarama.ErrOutOfBrokers
	}
	req := sarama.NewMetadataRequest(s.conf.Version, names)
	req.AllowAutoTopicCreation = false
	resp, err := broker.GetMetadata(req)
	if err != nil {
		_ = broker.Close() // else the broken connection would be used again
		return nil, fmt.Errorf("look up topics: %w", err)
	}
	found := make(map[string]error, len(names))
	for _, t := range resp.Topics {
		switch t.Err {
		case sarama.ErrNoError, sarama.ErrLeaderNotAvailable:
			found[t.Name] = nil
		default:
			found[t.Name] = t.Err
		}
	}
	for _, name := range names {
		if _, ok := found[name]; !ok {
			return nil, fmt.Errorf("look up topic %s: the answer leaves it out", name)
		}
	}
	return found, nil
}
