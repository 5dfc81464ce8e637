package kafka

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/IBM/sarama"
	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/api"
)

// TestEveryPartitionMustBeGood: one that the answer refuses or leaves out would get records that are nobody's to commit. What is told is
// the error that the others follow from.
func TestEveryPartitionMustBeGood(t *testing.T) {
	type codes = map[int32]sarama.KError
	for name, test := range map[string]struct {
		a, b codes
		want error
	}{
		"good":                           {codes{0: 0, 1: 0}, codes{5: 0}, nil},
		"one is left out":                {codes{0: 0}, codes{5: 0}, sarama.ErrIncompleteResponse},
		"a topic is left out":            {codes{0: 0, 1: 0}, nil, sarama.ErrIncompleteResponse},
		"not now":                        {codes{0: sarama.ErrConcurrentTransactions, 1: sarama.ErrConcurrentTransactions}, codes{5: sarama.ErrConcurrentTransactions}, sarama.ErrConcurrentTransactions},
		"one is refused":                 {codes{0: sarama.ErrOperationNotAttempted, 1: sarama.ErrTopicAuthorizationFailed}, codes{5: sarama.ErrOperationNotAttempted}, sarama.ErrTopicAuthorizationFailed},
		"one is unknown":                 {codes{0: sarama.ErrOperationNotAttempted, 1: sarama.ErrOperationNotAttempted}, codes{5: sarama.ErrUnknownTopicOrPartition}, sarama.ErrUnknownTopicOrPartition},
		"for good is worse than not now": {codes{0: sarama.ErrConcurrentTransactions, 1: sarama.ErrProducerFenced}, codes{5: sarama.ErrConcurrentTransactions}, sarama.ErrProducerFenced},
	} {
		for range 10 { // maps have no order
			answers := map[string][]*sarama.PartitionError{}
			for topic, codes := range map[string]codes{"a": test.a, "b": test.b} {
				for id, code := range codes {
					answers[topic] = append(answers[topic], &sarama.PartitionError{Partition: id, Err: code})
				}
			}
			got := ofPlaces(map[string][]int32{"a": {0, 1}, "b": {5}}, answers)
			if !errors.Is(got, test.want) || (got == nil) != (test.want == nil) {
				t.Errorf("%s: %v, want %v", name, got, test.want)
			}
		}
	}
}

// TestBrokerThatAnswersTooLate: records are sent again over another connection; for a request of a transaction it takes a new session.
func TestBrokerThatAnswersTooLate(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.AddPartitionsToTxn, kmsg.Produce, kmsg.EndTxn} {
		t.Run(key.Name(), func(t *testing.T) {
			t.Parallel()
			faulty, c, cfg := loses(t)
			faulty.hang = make(chan struct{})
			defer close(faulty.hang)
			cfg.Properties = map[string]string{"request.timeout.ms": "1"} // what the client allows beside it is 2 s
			sessions := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Observe: true, Count: -1})
			o := newOutbox("shop/out")
			l := begin(t, o, cfg)
			l.emit(kafkaOutput("out", "key-0", "1"))
			o.waitDelivered(t, 2)
			faulty.next(key, 1)
			l.emit(kafkaOutput("out", "key-0", "2"))
			o.waitDelivered(t, 3)
			want := 2
			if key == kmsg.Produce {
				want = 1
			}
			if faulty.left(key) > 0 || sessions.Hits() != want {
				t.Errorf("%d sessions, want %d", sessions.Hits(), want)
			}
			if got := committed(t, cfg.Brokers, "out")["key-0"]; len(got) != 2 {
				t.Errorf("readers see %v", got)
			}
		})
	}
}

// TestConnectionsThatRest: brokers end them, and that must cost no session.
func TestConnectionsThatRest(t *testing.T) {
	faulty, c, cfg := loses(t)
	sessions := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Observe: true, Count: -1})
	o := newOutbox("shop/out")
	goOn := make(chan struct{})
	l := begin(t, o, cfg, func(r *Relay) {
		r.reached = func(point string, s *session) {
			if point != "delivered" {
				return
			}
			p := s.producer
			p.made = p.made.Add(-2 * restMax)
			for b := range p.used {
				p.used[b] = p.used[b].Add(-2 * restMax)
			}
			if r.next%2 == 0 {
				clear(p.used) // as of a coordinator that was not asked yet
			}
			faulty.end()
			goOn <- struct{}{}
		}
	})
	for n := range 6 {
		l.emit(kafkaOutput("out", "key-0", fmt.Sprint(n+1)))
		<-goOn
	}
	if got := sessions.Hits(); got != 1 {
		t.Errorf("%d sessions, want 1", got)
	}
	if diff := cmp.Diff(numbers(1, 6), committed(t, cfg.Brokers, "out")); diff != "" {
		t.Error(diff)
	}
}

// TestRecordsAstray: a relay that ends in the middle of a transaction aborts it, unless some of its records may still be on their way: old
// brokers take them behind the abort, and then readers wait for ever.
func TestRecordsAstray(t *testing.T) {
	for _, astray := range []bool{false, true} {
		t.Run(fmt.Sprint(astray), func(t *testing.T) {
			faulty, c, cfg := loses(t)
			o := newOutbox("shop/out")
			var l *life
			ready := make(chan struct{})
			l = begin(t, o, cfg, func(r *Relay) {
				r.about = func(request string) {
					if request == "send" {
						<-ready
						l.stop()
					}
				}
			})
			o.waitFor(t, "started", func() bool { return o.started })
			ends := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Observe: true, Count: -1})
			if astray {
				faulty.next(kmsg.Produce, 1)
			}
			l.emit(kafkaOutput("out", "key-0", "1"))
			close(ready)
			if err := <-l.done; err != nil {
				t.Fatal(err)
			}
			if got := ends.Hits(); (got == 0) != astray {
				t.Errorf("%d times a transaction was ended", got)
			}
			next := begin(t, o, cfg)
			next.emit(kafkaOutput("out", "key-0", "2"))
			o.waitDelivered(t, 3)
			if diff := cmp.Diff(numbers(1, 2), committed(t, cfg.Brokers, "out")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestTransactionThatTakesTooLong: Kafka ends it, and would end it each time that it is tried again as it was. What follows is made smaller,
// and stays so while the broker is slow.
func TestTransactionThatTakesTooLong(t *testing.T) {
	c, cfg := fake(t)
	cfg.TransactionTimeout = 400 * time.Millisecond
	cfg.Properties = map[string]string{"max.request.size": "250"} // a batch holds one output, so each needs a round
	sessions := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Observe: true, Count: -1})
	o := newOutbox("shop/out")
	l := begin(t, o, cfg, func(r *Relay) {
		r.about = func(request string) {
			if request == "send" {
				pause(t.Context(), 20*time.Millisecond) // that a round takes
			}
		}
	})
	var pack []api.Output
	for n := range 100 {
		pack = append(pack, kafkaOutput("out", "key-0", fmt.Sprintf("%d%s", n+1, strings.Repeat("x", 100))))
	}
	l.emit(pack...)
	text := l.told.waitDegraded(t, "egress shop/out: kafka")
	if want := "a transaction of 100 outputs took longer than its time-out of 400ms"; !strings.Contains(text, want) {
		t.Errorf("%q does not say %q", text, want)
	}
	o.waitDelivered(t, 101)
	got := committed(t, cfg.Brokers, "out")
	for i, value := range got["key-0"] {
		got["key-0"][i] = strings.TrimRight(value, "x")
	}
	if diff := cmp.Diff(numbers(1, 100), got); diff != "" {
		t.Error(diff)
	}
	if got := sessions.Hits(); got > 7 { // the first, and one for each time that 100 can be halved
		t.Errorf("%d sessions: what fitted was made larger again", got)
	}
}
