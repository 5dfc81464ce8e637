package kafka

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/internal/testserver"
	"github.com/stategate/stategate/statestore"
)

var prefixes atomic.Int32

// real is a scenario's place on a real broker, beside others.
func real(t testing.TB, k *testserver.KafkaServer) *broker {
	t.Helper()
	b := &broker{prefix: fmt.Sprintf("s%d.", prefixes.Add(1)), cfg: Config{Brokers: []string{k.Addr()}, StoreID: uuid.NewString(), TransactionTimeout: 10 * time.Second}}
	b.create(t, "out", 4, nil)
	return b
}

func TestScenariosOnKafka(t *testing.T) {
	k := testserver.Kafka(t)
	for name, scenario := range scenarios {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			scenario(t, real(t, k))
		})
	}
}

// TestBrokerThatDoesNotVerify takes records that are in no transaction, as brokers before 3.6 do.
func TestBrokerThatDoesNotVerify(t *testing.T) {
	t.Parallel()
	k := testserver.PrivateKafka(t, testserver.KafkaConfig{Properties: map[string]string{"transaction.partition.verification.enable": "false"}})
	for _, name := range []string{"late requests", "records after the end", "fenced before each request"} {
		t.Run(name, func(t *testing.T) { scenarios[name](t, real(t, k)) })
	}
}

// TestBrokerIsKilled: relays crash and the broker is killed, stopped and frozen meanwhile; still each output is there once, in order.
func TestBrokerIsKilled(t *testing.T) {
	t.Parallel()
	k := testserver.PrivateKafka(t, testserver.KafkaConfig{})
	b := real(t, k)
	w := newStorm(newOutbox("shop/out"), b)
	points := []string{"sent", "open", "committed", "delivered"}
	w.crash(t, "committed", 1, 20)
	for n, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL} {
		restarted := make(chan error, 1)
		go func() { restarted <- k.Restart(sig) }()
		for i := range points {
			w.crash(t, points[i], 1+i/2*n%2, 20)
		}
		if err := <-restarted; err != nil {
			t.Fatal(err)
		}
		w.crash(t, "committed", 2, 20)
	}
	if diff := w.calm(t); diff != "" {
		t.Errorf("outputs lost, doubled or out of order:\n%s", diff)
	}
	if w.behind == 0 || w.skipped < w.behind {
		t.Errorf("recoveries skipped %d outputs, want at least the %d of transactions that the store had not heard of", w.skipped, w.behind)
	}
}

// TestCompactedTopicRefusesAnEmptyKey: the broker refuses the whole batch and does not say for which record.
func TestCompactedTopicRefusesAnEmptyKey(t *testing.T) {
	t.Parallel()
	b := real(t, testserver.Kafka(t))
	b.create(t, "compact", 1, map[string]string{"cleanup.policy": "compact"})
	o := newOutbox("shop/out")
	m, lane := o.claim()
	ready := make(chan struct{})
	l := beginAs(t, m, lane, b.cfg, func(r *Relay) { r.reached = func(string, *session) { <-ready } })
	var want []string
	for n := range 60 {
		key := "key-0"
		if n%20 == 7 {
			key = ""
		} else {
			want = append(want, fmt.Sprint(n))
		}
		l.emit(kafkaOutput(b.topic("compact"), key, fmt.Sprint(n)))
	}
	close(ready)
	o.waitDelivered(t, 61)
	var dead []int64
	for _, d := range o.dead {
		dead = append(dead, d.Offset)
	}
	if diff := cmp.Diff([]int64{8, 28, 48}, dead); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string][]string{"key-0": want}, committed(t, b.cfg.Brokers, b.topic("compact"))); diff != "" {
		t.Error(diff)
	}
}

// TestCursorTopicIsDeleted: nobody knows any more what was delivered, so the lane stands still.
func TestCursorTopicIsDeleted(t *testing.T) {
	t.Parallel()
	b := real(t, testserver.Kafka(t))
	b.cfg.CursorTopic = b.topic("cursor")
	o := newOutbox("shop/out")
	l := begin(t, o, b.cfg)
	l.emit(kafkaOutput(b.topic("out"), "key-0", "1"))
	o.waitDelivered(t, 2)
	b.remove(t, "cursor")
	l.emit(kafkaOutput(b.topic("out"), "key-0", "2"))
	text := l.told.waitDegraded(t, "egress shop/out: cursor lost")
	if !strings.Contains(text, b.cfg.CursorTopic) {
		t.Errorf("%q does not name the topic", text)
	}
	if diff := cmp.Diff(numbers(1, 1), committed(t, b.cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
}

// TestOldOwnerSendsOn: a member that slept goes on with its open transaction, in all three places where it can have slept.
func TestOldOwnerSendsOn(t *testing.T) {
	k := testserver.Kafka(t)
	for _, point := range []string{"open", "sent", "delivered"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			b := real(t, k)
			o := newOutbox("shop/out")
			old, lane := o.claim()
			asleep, wake := make(chan struct{}), make(chan struct{})
			slept := false
			zombie := beginAs(t, old, lane, b.cfg, func(r *Relay) {
				r.reached = func(at string, _ *session) {
					if at == point && !slept && (at != "sent" || len(r.batch) > 0) {
						slept = true
						close(asleep)
						<-wake
					}
				}
			})
			zombie.emit(kafkaOutput(b.topic("out"), "key-0", "1"))
			<-asleep
			successor := begin(t, o, b.cfg)
			successor.emit(kafkaOutput(b.topic("out"), "key-0", "2"))
			o.waitDelivered(t, 3)
			// It holds an output that its successor has delivered: that must not arrive again.
			zombie.relay.Offer(statestore.OutputPack{Lane: o.id, First: 2, Outputs: []api.Output{kafkaOutput(b.topic("out"), "key-0", "2")}})
			close(wake)
			select {
			case err := <-zombie.done:
				if !errors.Is(err, statestore.ErrFenced) {
					t.Errorf("Run answers %v, want ErrFenced", err)
				}
			case <-time.After(patience):
				t.Error("the old owner does not notice")
			}
			successor.emit(kafkaOutput(b.topic("out"), "key-0", "3"))
			o.waitDelivered(t, 4)
			if diff := cmp.Diff(numbers(1, 3), committed(t, b.cfg.Brokers, b.topic("out"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestOldBroker: 2.5 is the oldest that can say a cursor for sure.
func TestOldBroker(t *testing.T) {
	for _, semantic := range []Semantic{ExactlyOnce, AtLeastOnce, None} {
		t.Run(semantic.String(), func(t *testing.T) {
			_, cfg := fake(t, kfake.MaxVersions(kversion.V2_5_0()))
			cfg.Semantic = semantic
			o := newOutbox("shop/out")
			for n := range 2 { // the second life reads the cursor
				l := begin(t, o, cfg)
				for k := range 4 {
					l.emit(kafkaOutput("out", fmt.Sprintf("key-%d", k), fmt.Sprint(n+1)))
				}
				o.waitDelivered(t, o.next)
				if err := l.end(t); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(numbers(4, 2), committed(t, cfg.Brokers, "out")); diff != "" {
				t.Error(diff)
			}
		})
	}
}
