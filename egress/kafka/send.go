package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"
)

// errVanished ends a session that met a topic which is not there any more. The next one knows it, and waits for nothing else.
var errVanished = errors.New("a topic is not there any more")

// send hands a part of outputs to the producer and waits for all answers; acknowledged ones are marked. No failure and no error: all are
// acknowledged. What it answers is good until the producer is used again.
func (s *session) send(ctx context.Context, part []item, limits *limits) (failed []*batch, err error) {
	for i := range part {
		part[i].acked = false
	}
	var lots []*lot
	var batches []*batch
	err = s.do(ctx, func() (err error) {
		lots, batches, err = s.producer.send(ctx, part, limits)
		return err
	})
	if s.lost { // the producer may be at work still
		return nil, err
	}
	for _, l := range lots {
		for _, b := range l.batches[:l.taken] {
			for _, it := range b.items {
				it.acked = true
			}
		}
	}
	return batches, err
}

// produce sends a part and waits for all acknowledgements.
func (r *Relay) produce(ctx context.Context, s *session, part []item) error {
	failed, err := s.send(ctx, part, r.limits)
	if s.lost {
		return err
	}
	defer s.producer.packer.release()
	if len(failed) > 0 {
		if cause := r.failed(failed, len(part)); err == nil || errors.Is(cause, errRefused) {
			err = cause
		}
	}
	var of *topicError
	switch {
	case !errors.As(err, &of):
	case errors.Is(err, sarama.ErrUnknownTopicOrPartition):
		return r.vanished(ctx, s, of.topic, err)
	case errors.Is(err, sarama.ErrTopicAuthorizationFailed):
		return ofTopic(err, of.topic)
	}
	return err
}

// vanished asks metadata about a topic of which a broker knows nothing: it may be gone, or that broker has not heard of it yet.
func (r *Relay) vanished(ctx context.Context, s *session, topic string, cause error) error {
	r.topics.doubt(topic)
	found, err := s.lookup(ctx, []string{topic})
	if err != nil || r.topics.note(found, time.Now()) != nil || !r.topics.anyMissing(found) {
		return cause
	}
	return errVanished
}
