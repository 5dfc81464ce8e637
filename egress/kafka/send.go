package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"
)

// watchEvery is how often topics are looked up while their outputs wait in the client.
const watchEvery = time.Second

// send hands outputs to the producer and waits for all answers, acknowledgements in the order of arrival. After the first failure nothing
// more is handed over. When ctx ends, what is under way is given a while. No failure and no error: all are acknowledged.
func (s *session) send(ctx context.Context, run []item, topics *topics) (failures []*sarama.ProducerError, err error) {
	next, waiting := 0, 0
	var message *sarama.ProducerMessage
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	looked := make(chan map[string]error, 1)
	looking := false
	ended, deadline := ctx.Done(), (<-chan time.Time)(nil)
	for {
		for message == nil && next < len(run) && len(failures) == 0 && err == nil {
			if run[next].sends() {
				message = run[next].message()
			}
			next++
		}
		var input chan<- *sarama.ProducerMessage
		if message != nil && len(failures) == 0 && err == nil {
			input = s.producer.Input()
		} else if waiting == 0 {
			return failures, err
		}
		select {
		case input <- message:
			message = nil
			waiting++
		case m := <-s.producer.Successes():
			m.Metadata.(*item).acked = true
			waiting--
		case f := <-s.producer.Errors():
			failures = append(failures, f)
			s.hurry.Store(true)
			waiting--
		case <-watch.C:
			if !looking {
				looking = true
				s.watch(run, looked)
			}
		case found := <-looked:
			looking = false
			if topics.note(found, time.Now()); topics.overdue(found, time.Now()) {
				err = errRefused
				s.cut()
			}
		case <-ended:
			ended = nil
			s.hurry.Store(true)
			t := time.NewTimer(graceful)
			defer t.Stop()
			deadline = t.C
		case <-deadline:
			if errors.Is(err, errCut) {
				s.lost = true
				return failures, errNoAnswer
			}
			err = errCut
			s.cut()
			t := time.NewTimer(stopMax - graceful)
			defer t.Stop()
			deadline = t.C
		}
	}
}

// watch looks the topics of outputs up, aside. close waits for it.
func (s *session) watch(run []item, looked chan<- map[string]error) {
	names := make(map[string]bool)
	var ask []string
	for i := range run {
		if it := &run[i]; it.sends() && !it.acked && !names[it.record.topic] {
			names[it.record.topic] = true
			ask = append(ask, it.record.topic)
		}
	}
	s.aside.Add(1)
	go func() {
		defer s.aside.Done()
		found, err := s.metadata(ask)
		if err != nil {
			found = nil // the producer's own answers tell
		}
		looked <- found
	}()
}

// overdue reports whether one of the topics has been missing for too long.
func (t *topics) overdue(found map[string]error, now time.Time) bool {
	for name := range found {
		if m := t.missing[name]; m != nil && (m.gone || now.Sub(m.since) >= topicGrace) {
			return true
		}
	}
	return false
}
