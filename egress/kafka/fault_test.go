package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestEveryErrorOfATransactionIsMended injects errors into each request of a transaction and of a session's opening. Some answers come
// although the work was done (REQUEST_TIMED_OUT): only the cursor knows.
func TestEveryErrorOfATransactionIsMended(t *testing.T) {
	fatal := []*kerr.Error{kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.UnknownServerError, kerr.InvalidTxnState}
	again := []*kerr.Error{kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.ConcurrentTransactions}
	tests := map[kmsg.Key][]*kerr.Error{
		kmsg.InitProducerID:     append(again, kerr.UnknownServerError),
		kmsg.AddPartitionsToTxn: append(fatal, again...),
		kmsg.Produce:            append(fatal, kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.NotEnoughReplicasAfterAppend, kerr.RequestTimedOut, kerr.OutOfOrderSequenceNumber),
		kmsg.AddOffsetsToTxn:    append(fatal, again...),
		kmsg.TxnOffsetCommit:    append(fatal, again...),
		kmsg.EndTxn:             append(fatal, append(again, kerr.RequestTimedOut)...),
	}
	for key, errs := range tests {
		for _, e := range errs {
			t.Run(key.Name()+"/"+e.Message, func(t *testing.T) {
				t.Parallel()
				c, cfg := fake(t)
				o := newOutbox("shop/out")
				o.holdTrims = true
				if key == kmsg.InitProducerID {
					c.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: e, TopLevel: true, Count: 2})
				}
				l := begin(t, o, cfg)
				l.emit(kafkaOutput("out", "key-0", "1"))
				o.waitDelivered(t, 2)
				h := c.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: e, Count: 2})
				for n := range 20 {
					l.emit(kafkaOutput("out", "key-0", fmt.Sprint(n+2)))
				}
				o.waitDelivered(t, 22)
				if key != kmsg.InitProducerID && h.Hits() == 0 {
					t.Error("the fault was not met")
				}
				if err := l.end(t); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(numbers(1, 21), committed(t, cfg.Brokers, "out")); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// TestBrokerThatIsAway: outputs wait, the condition is told, and it ends.
func TestBrokerThatIsAway(t *testing.T) {
	c, cfg := fake(t)
	o := newOutbox("shop/out")
	l := begin(t, o, cfg, soon)
	l.emit(kafkaOutput("out", "key-0", "1"))
	o.waitDelivered(t, 2)
	var mu sync.Mutex
	away := true
	c.Control(func(kmsg.Request) (kmsg.Response, error, bool) {
		mu.Lock()
		defer mu.Unlock()
		c.KeepControl()
		if away {
			return nil, fmt.Errorf("the connection breaks"), true
		}
		return nil, nil, false
	})
	l.emit(kafkaOutput("out", "key-0", "2"))
	l.told.waitDegraded(t, "egress shop/out: kafka")
	mu.Lock()
	away = false
	mu.Unlock()
	o.waitDelivered(t, 3)
	l.told.wait(t, "the trouble ends", func() bool { return len(l.told.degraded) == 0 })
	if diff := cmp.Diff(numbers(1, 2), committed(t, cfg.Brokers, "out")); diff != "" {
		t.Error(diff)
	}
}

// TestEndIsBoundedWhenTheBrokerHangs: a request without an answer holds the end up for the grace time, and nothing is left behind.
func TestEndIsBoundedWhenTheBrokerHangs(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.Produce, kmsg.EndTxn, kmsg.InitProducerID, kmsg.OffsetFetch} {
		t.Run(key.Name(), func(t *testing.T) {
			t.Parallel()
			c, cfg := fake(t)
			hangs, answer := hang(c, key)
			defer answer()
			o := newOutbox("shop/out")
			l := begin(t, o, cfg)
			l.emit(kafkaOutput("out", "key-0", "1"))
			<-hangs
			begun := time.Now()
			if err := l.end(t); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begun); took < graceful || took > stopMax {
				t.Errorf("it ends after %s, want a little more than %s", took, graceful)
			}
		})
	}
}

// soon shortens the waits for missing topics.
func soon(r *Relay) {
	r.topics.waits = waits{grace: 300 * time.Millisecond, askEvery: 10 * time.Millisecond, askGone: 20 * time.Millisecond, askIdle: 20 * time.Millisecond}
}

func missingTopic(t *testing.T, b *broker) {
	for _, semantic := range []Semantic{ExactlyOnce, AtLeastOnce, None} {
		t.Run(semantic.String(), func(t *testing.T) {
			b := b.apart(t, semantic.String())
			cfg := b.cfg
			cfg.Semantic = semantic
			o := newOutbox("shop/out")
			var givenUp atomic.Bool
			l := begin(t, o, cfg, soon, func(r *Relay) {
				r.topics.waits.askIdle = time.Hour
				r.pause = func(ctx context.Context, d time.Duration) {
					if givenUp.Load() {
						t.Error("it waits for a topic that it has given up")
					}
					pause(ctx, d)
				}
			})
			begun := time.Now() // the relay has not heard of the topic
			l.emit(kafkaOutput(b.topic("out"), "key-0", "1"), kafkaOutput(b.topic("later"), "key-0", "lost 1"), kafkaOutput(b.topic("out"), "key-0", "2"), kafkaOutput(b.topic("later"), "key-0", "lost 2"))
			o.waitDelivered(t, 2)
			o.waitDelivered(t, 5)
			if took := time.Since(begun); took < 300*time.Millisecond || len(o.dead) != 2 {
				t.Errorf("%d outputs were set aside after %s, want 2 after the topic was waited for", len(o.dead), took)
			}
			if text := l.told.waitDegraded(t, "egress shop/out: topic missing"); !strings.Contains(text, b.topic("later")+" for one") {
				t.Errorf("%q does not name the topic", text)
			}
			// From now on it is waited for no more.
			givenUp.Store(true)
			l.emit(kafkaOutput(b.topic("later"), "key-0", "lost 3"), kafkaOutput(b.topic("out"), "key-0", "3"))
			o.waitDelivered(t, 7)
			if len(o.dead) != 3 {
				t.Errorf("%d outputs were set aside, want 3", len(o.dead))
			}
			b.create(t, "later", 4, nil)
			for limit := time.Now().Add(patience); l.told.lasts("egress shop/out: topic missing"); { // each asks metadata when the last answer is old enough
				if time.Now().After(limit) {
					t.Fatal("topics are missing still")
				}
				l.emit(kafkaOutput(b.topic("later"), "key-0", "x"))
				o.waitDelivered(t, o.next)
			}
			if len(committed(t, cfg.Brokers, b.topic("later"))) == 0 {
				t.Error("the topic is there and nothing in it")
			}
			if diff := cmp.Diff(numbers(1, 3), committed(t, cfg.Brokers, b.topic("out"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// idleRelayNoticesThatATopicIsThere: operators see the condition end although no output asks.
func idleRelayNoticesThatATopicIsThere(t *testing.T, b *broker) {
	cfg := b.cfg
	o := newOutbox("shop/out")
	l := begin(t, o, cfg, soon)
	l.emit(kafkaOutput(b.topic("later"), "key-0", "lost"))
	l.told.waitDegraded(t, "egress shop/out: topic missing")
	o.waitDelivered(t, 2)
	b.create(t, "later", 1, nil)
	l.told.wait(t, "no topic is missing", func() bool { return len(l.told.degraded) == 0 })
}

// topicThatVanishes: its outputs wait in a transaction that cannot add it; the others must not wait with them.
func topicThatVanishes(t *testing.T, b *broker) {
	cfg := b.cfg
	b.create(t, "gone", 4, nil)
	o := newOutbox("shop/out")
	l := begin(t, o, cfg, soon)
	l.emit(kafkaOutput(b.topic("gone"), "key-0", "1"), kafkaOutput(b.topic("out"), "key-0", "1"))
	o.waitDelivered(t, 3)
	b.remove(t, "gone")
	begun := time.Now()
	l.emit(kafkaOutput(b.topic("gone"), "key-0", "lost"), kafkaOutput(b.topic("out"), "key-0", "2"))
	o.waitDelivered(t, 5)
	if took := time.Since(begun); took > 7*time.Second {
		t.Errorf("it took %s: a broker that has no such topic is asked for 9 s to add it to the transaction", took)
	}
	if len(o.dead) != 1 || o.dead[0].Reason != reasonMissing {
		t.Errorf("dead letters: %+v", o.dead)
	}
	if diff := cmp.Diff(numbers(1, 2), committed(t, cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
}

// batchesThatAreTooLarge: a topic that takes only small batches gets small ones; only a record that alone is too large is set aside.
func batchesThatAreTooLarge(t *testing.T, b *broker) {
	for _, semantic := range []Semantic{ExactlyOnce, AtLeastOnce, None} {
		t.Run(semantic.String(), func(t *testing.T) {
			b := b.apart(t, semantic.String())
			cfg := b.cfg
			cfg.Semantic = semantic
			b.create(t, "small", 1, map[string]string{"max.message.bytes": "5000"})
			o := newOutbox("shop/out")
			l := begin(t, o, cfg)
			want := map[string][]string{}
			for n := range 50 {
				value := fmt.Sprint(n) + strings.Repeat("x", 500)
				if n == 20 {
					value = strings.Repeat("y", 6000)
				} else {
					want["key-0"] = append(want["key-0"], value)
				}
				l.emit(kafkaOutput(b.topic("small"), "key-0", value))
			}
			o.waitDelivered(t, 51)
			if len(o.dead) != 1 || o.dead[0].Reason != reasonLarge || o.dead[0].Offset != 21 {
				t.Errorf("dead letters: %d, want number 21 as too large", len(o.dead))
			}
			got := committed(t, cfg.Brokers, b.topic("small"))
			if semantic != ExactlyOnce { // what was behind a refused batch may have overtaken it, and comes again
				got["key-0"] = lasts(got["key-0"])
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			if lost := l.told.count("lost"); lost > 0 {
				t.Errorf("%d outputs were lost", lost)
			}
		})
	}
}

// TestInvalidRecordsAreFound: brokers refuse a whole batch for one record (a compacted topic takes none without a key) and do not
// say which. The others are delivered, in order, and it takes few rounds.
func TestInvalidRecordsAreFound(t *testing.T) {
	c, cfg := fake(t, kfake.SeedTopics(1, "one"))
	invalid := func(req kmsg.Request) bool {
		for _, topic := range req.(*kmsg.ProduceRequest).Topics {
			for _, p := range topic.Partitions {
				if strings.Contains(string(p.Records), "invalid") {
					return true
				}
			}
		}
		return false
	}
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidRecord, Count: -1, When: invalid})
	begun := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Observe: true, Count: -1})
	o := newOutbox("shop/out")
	goOn := make(chan struct{})
	l := begin(t, o, cfg, func(r *Relay) {
		r.reached = func(point string, _ *session) {
			if point == "first cursor" {
				<-goOn
			}
		}
	})
	want := map[string][]string{}
	for n := range 500 {
		value := fmt.Sprint(n)
		if n == 0 || n == 77 || n == 78 || n == 499 {
			value = "invalid"
		} else {
			want["key-0"] = append(want["key-0"], value)
		}
		l.emit(kafkaOutput("one", "key-0", value))
	}
	close(goOn)
	o.waitDelivered(t, 501)
	var numbers []int64
	for _, d := range o.dead {
		numbers = append(numbers, d.Offset)
		if d.Reason != reasonBroker {
			t.Errorf("output %d: %s", d.Offset, d.Reason)
		}
	}
	if diff := cmp.Diff([]int64{1, 78, 79, 500}, numbers); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, committed(t, cfg.Brokers, "one")); diff != "" {
		t.Error(diff)
	}
	if got := begun.Hits(); got > 4*10 {
		t.Errorf("%d sessions to find 4 records of 500", got)
	}
}

// TestClockThatIsWrong: Kafka refuses the time that the gateway gives to its records. That is no record's fault: they wait, and are sent
// with another time. Only an egress that may lose them sets them aside.
func TestClockThatIsWrong(t *testing.T) {
	for _, semantic := range []Semantic{ExactlyOnce, AtLeastOnce, None} {
		t.Run(semantic.String(), func(t *testing.T) {
			c, cfg := fake(t)
			cfg.Semantic = semantic
			refused := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidTimestamp, Count: -1})
			o := newOutbox("shop/out")
			l := begin(t, o, cfg)
			l.emit(kafkaOutput("out", "key-0", "1"))
			if semantic == None {
				o.waitDelivered(t, 2)
				if lost := l.told.count("lost"); len(o.dead) != 1 || lost > 0 {
					t.Errorf("%d dead letters and %d lost outputs, want one set aside", len(o.dead), lost)
				}
				return
			}
			if text := l.told.waitDegraded(t, "egress shop/out: kafka"); !strings.Contains(text, "does its clock agree with the broker's") {
				t.Errorf("%q does not say what to look at", text)
			}
			refused.Remove()
			o.waitDelivered(t, 2)
			if diff := cmp.Diff(numbers(1, 1), committed(t, cfg.Brokers, "out")); diff != "" || len(o.dead) > 0 {
				t.Errorf("%d dead letters; %s", len(o.dead), diff)
			}
		})
	}
}

// TestCursorTopic: it is made where it is missing; where that is not allowed the lane waits for it, and says so.
func TestCursorTopic(t *testing.T) {
	c, cfg := fake(t)
	cfg.CursorTopic = "my-cursor"
	refused := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	o := newOutbox("shop/out")
	l := begin(t, o, cfg)
	l.emit(kafkaOutput("out", "key-0", "1"))
	text := l.told.waitDegraded(t, "egress shop/out: kafka")
	if !strings.Contains(text, "cursor topic my-cursor does not exist") || !strings.Contains(text, "make it by hand") {
		t.Errorf("%q does not say what to do", text)
	}
	refused.Remove()
	o.waitDelivered(t, 2)
	if info := c.TopicInfo("my-cursor"); info == nil || len(c.PartitionInfos("my-cursor")) != 1 {
		t.Errorf("the cursor topic: %+v", info)
	}
	l.told.wait(t, "the trouble ends", func() bool { return len(l.told.degraded) == 0 })
}

// lasts leaves only the last one of equal values.
func lasts(values []string) []string {
	var kept []string
	seen := map[string]bool{}
	for _, v := range slices.Backward(values) {
		if !seen[v] {
			seen[v] = true
			kept = append(kept, v)
		}
	}
	slices.Reverse(kept)
	return kept
}
