package kafka

import (
	"errors"
	"testing"

	"github.com/IBM/sarama"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
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

// TestBrokerThatAnswersTooLate: it is asked again over another connection, and that costs no session.
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
			if faulty.left(key) > 0 || sessions.Hits() != 1 {
				t.Errorf("%d sessions, want 1", sessions.Hits())
			}
			if got := committed(t, cfg.Brokers, "out")["key-0"]; len(got) != 2 {
				t.Errorf("readers see %v", got)
			}
		})
	}
}
