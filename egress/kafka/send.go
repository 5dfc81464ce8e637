package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/IBM/sarama"
)

// errVanished ends a session whose producer waits for a topic that is not there. The next one knows it, and waits for nothing else.
var errVanished = errors.New("a topic is not there any more")

// sending is one run of outputs on its way through the producer.
type sending struct {
	s        *session
	run      []item
	left     []sarama.ProducerMessage // not handed over
	waiting  int                      // handed over and not answered
	failures []*sarama.ProducerError
	err      error
	looked   chan seen // what metadata said about the run's topics
	looking  bool
}

// seen is an answer of metadata, or why there is none.
type seen struct {
	found map[string]error
	err   error
}

// send hands outputs to the producer and waits for all answers; acknowledged ones are marked. After the first failure, and after
// ctx's end, nothing more is handed over, and what is under way is given a while. No failure and no error: all are acknowledged.
func (s *session) send(ctx context.Context, run []item, topics *topics) ([]*sarama.ProducerError, error) {
	w := &sending{s: s, run: run, left: messages(run), looked: make(chan seen, 1)}
	watch := time.NewTicker(topics.waits.watch)
	defer watch.Stop()
	ended, deadline := ctx.Done(), (<-chan time.Time)(nil)
	for {
		input, next := w.next()
		if next == nil && w.waiting == 0 {
			return w.failures, w.err
		}
		select {
		case input <- next:
			w.left = w.left[1:]
			w.waiting++
		case m := <-s.producer.Successes():
			m.Metadata.(*item).acked = true
			s.acked.Add(1)
			w.waiting--
		case f := <-s.producer.Errors():
			w.failures = append(w.failures, f)
			s.hurry.Add(1)
			w.waiting--
		case <-watch.C:
			w.look()
		case look := <-w.looked:
			w.looking = false
			if look.err != nil { // the client goes on trying for a while, but operators should know
				topics.trouble.begin(troubleKafka, fmt.Sprintf("Kafka does not answer, outputs are kept: %v", look.err), slog.LevelWarn)
			} else if topics.note(look.found, time.Now()) == nil && topics.anyMissing(look.found) && w.err == nil {
				w.err = errVanished
				s.cut()
			}
		case <-ended:
			ended = nil
			w.err = errors.Join(w.err, ctx.Err())
			s.hurry.Add(1)
			deadline = time.After(s.grace())
		case <-deadline:
			if s.wires.isCut() {
				s.lost = true
				return w.failures, errNoAnswer
			}
			s.cut()
			deadline = time.After(s.respite())
		}
	}
}

// next is the message to hand over now, or nil.
func (w *sending) next() (chan<- *sarama.ProducerMessage, *sarama.ProducerMessage) {
	if len(w.left) == 0 || len(w.failures) > 0 || w.err != nil {
		return nil, nil
	}
	return w.s.producer.Input(), &w.left[0]
}

// look looks the topics up of outputs that wait, aside; close waits for it. Only a transaction needs it: the client asks long for
// a partition to be added to one, where it gives up a mere record soon.
func (w *sending) look() {
	if w.looking || w.s.conf.Producer.Transaction.ID == "" {
		return
	}
	w.looking = true
	var ask []string
	known := make(map[string]bool)
	for i := range w.run {
		if it := &w.run[i]; it.sends() && !it.acked && !known[it.record.topic] {
			known[it.record.topic] = true
			ask = append(ask, it.record.topic)
		}
	}
	s, looked := w.s, w.looked
	s.aside.Add(1)
	go func() {
		defer s.aside.Done()
		found, err := s.metadata(ask)
		looked <- seen{found, err}
	}()
}

// messages makes what the client takes, in one piece. Metadata leads an answer back to its output.
func messages(run []item) []sarama.ProducerMessage {
	n := 0
	for i := range run {
		if run[i].sends() {
			n++
		}
	}
	all := make([]sarama.ProducerMessage, 0, n)
	for i := range run {
		it := &run[i]
		if !it.sends() {
			continue
		}
		it.acked = false
		m := sarama.ProducerMessage{Topic: it.record.topic, Value: (*content)(&it.record.value), Metadata: it}
		if it.record.key != nil {
			m.Key = (*content)(&it.record.key)
		}
		all = append(all, m)
	}
	return all
}

// content is bytes as the client wants them, without a copy of their header for each.
type content []byte

func (c *content) Encode() ([]byte, error) { return *c, nil }

func (c *content) Length() int { return len(*c) }
