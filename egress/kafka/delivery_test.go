package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// TestOutputsGatherWhileOneTransactionRuns: an idle relay begins at once, without any wait, and what comes meanwhile goes together.
func TestOutputsGatherWhileOneTransactionRuns(t *testing.T) {
	c, cfg := fake(t)
	ends := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Observe: true, Count: -1})
	o := newOutbox("shop/out")
	begun, goOn := make(chan struct{}), make(chan struct{})
	var waits atomic.Int32
	first := true
	l := begin(t, o, cfg, func(r *Relay) {
		r.reached = func(point string, _ *session) {
			if point == "sent" && len(r.batch) > 0 && first {
				first = false
				close(begun)
				<-goOn
			}
		}
		r.pause = func(context.Context, time.Duration) { waits.Add(1) }
	})
	o.waitFor(t, "started", func() bool { return o.started })
	l.emit(kafkaOutput("out", "key-0", "1"))
	<-begun
	for n := range 20 {
		l.emit(kafkaOutput("out", "key-0", fmt.Sprint(n+2)))
	}
	close(goOn)
	o.waitDelivered(t, 22)
	if got := ends.Hits(); got != 3 {
		t.Errorf("%d transactions, want 3: the first cursor, the first output, all others", got)
	}
	if waits.Load() > 0 {
		t.Errorf("%d waits on the way of outputs", waits.Load())
	}
	if diff := cmp.Diff(numbers(1, 21), committed(t, cfg.Brokers, "out")); diff != "" {
		t.Error(diff)
	}
}

// TestTransactionsAreBounded: in outputs and in bytes, however large the pack is.
func TestTransactionsAreBounded(t *testing.T) {
	for name, test := range map[string]struct{ outputs, size, transactions int }{
		"outputs":          {2*batchOutputs + 1, 1, 3},
		"bytes":            {10, batchBytes / 4, 4}, // three of them fit
		"one larger alone": {2, batchBytes, 2},
	} {
		t.Run(name, func(t *testing.T) {
			c, cfg := fake(t, kfake.BrokerConfigs(map[string]string{"message.max.bytes": fmt.Sprint(2 * batchBytes)}))
			cfg.Properties = map[string]string{"max.request.size": fmt.Sprint(2 * batchBytes)}
			ends := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Observe: true, Count: -1})
			o := newOutbox("shop/out")
			l := begin(t, o, cfg)
			var pack []api.Output
			for range test.outputs {
				pack = append(pack, kafkaOutput("out", "key", strings.Repeat("v", test.size)))
			}
			l.emit(pack...)
			o.waitDelivered(t, uint64(test.outputs)+1)
			if got := ends.Hits() - 1; got != test.transactions {
				t.Errorf("%d transactions, want %d", got, test.transactions)
			}
			if got := len(committed(t, cfg.Brokers, "out")["key"]); got != test.outputs {
				t.Errorf("%d records, want %d", got, test.outputs)
			}
		})
	}
}

// refusing notes how far the lane was delivered when outputs were set aside.
type refusing struct {
	*member
	at []uint64
}

func (m *refusing) Refuse(ctx context.Context, lane statestore.LaneID, dead []api.DeadLetter) error {
	m.mu.Lock()
	m.at = append(m.at, m.delivered)
	m.mu.Unlock()
	return m.member.Refuse(ctx, lane, dead)
}

func refusedOutputsAreSetAsideBeforeTheCursorPasses(t *testing.T, b *broker) {
	cfg := b.cfg
	cfg.Properties = map[string]string{"max.request.size": "2000"}
	o := newOutbox("shop/out")
	m, lane := o.claim()
	spy := &refusing{member: m}
	l := beginAs(t, m, lane, cfg, func(r *Relay) { r.engine = spy })
	wrong := kafkaOutput(b.topic("out"), "key-0", "x")
	wrong.Value.TypeName = "io.statefun.types/string"
	l.emit(kafkaOutput(b.topic("out"), "key-0", "1"), wrong, kafkaOutput(b.topic("out"), "key-0", "2"), kafkaOutput("not a topic", "key-0", "x"),
		kafkaOutput(b.topic("out"), "key-0", strings.Repeat("x", 2000)), kafkaOutput(b.topic("out"), "key-0", "3"))
	o.waitDelivered(t, 7)
	if err := l.end(t); err != nil {
		t.Fatal(err)
	}
	got := map[int64]string{}
	for _, d := range o.dead {
		got[d.Offset] = d.Reason
		if d.Kind != api.DeadOutput || d.From != "shop/out" || d.Address.ID != "key-0" || len(d.Value) == 0 || d.TypeName == "" || d.Detail == "" {
			t.Errorf("dead letter %+v is not filled in", d)
		}
	}
	if diff := cmp.Diff(map[int64]string{2: reasonType, 4: reasonTopic, 5: reasonLarge}, got); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]uint64{1}, spy.at); diff != "" {
		t.Errorf("delivered below, when outputs were set aside: %s", diff)
	}
	if diff := cmp.Diff(numbers(1, 3), committed(t, cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
	if got, want := l.told.count("refused"), 3; got != want {
		t.Errorf("counted %d as refused, want %d", got, want)
	}
}

// crashBehindARefusal: what is set aside is neither sent nor set aside again by the successor.
func crashBehindARefusal(t *testing.T, b *broker) {
	cfg := b.cfg
	cfg.Properties = map[string]string{"max.request.size": "2000"}
	o := newOutbox("shop/out")
	ready := make(chan struct{})
	var l *life
	l = begin(t, o, cfg, func(r *Relay) {
		r.reached = func(point string, s *session) {
			if point == "sent" && len(r.batch) > 0 {
				<-ready
				l.crash(s)
			}
		}
	})
	l.emit(kafkaOutput(b.topic("out"), "key-0", "1"), kafkaOutput(b.topic("out"), "key-0", strings.Repeat("x", 2000)), kafkaOutput(b.topic("out"), "key-0", "2"))
	close(ready)
	<-l.done
	if len(o.dead) != 1 || o.delivered != 1 {
		t.Fatalf("%d set aside, delivered below %d: the crash did not fall between", len(o.dead), o.delivered)
	}
	cfg.Properties = nil // it would be sent now
	begin(t, o, cfg)
	o.waitDelivered(t, 4)
	if diff := cmp.Diff(numbers(1, 2), committed(t, cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
	if len(o.dead) != 1 {
		t.Errorf("%d dead letters, want 1", len(o.dead))
	}
}

// memoryIsBounded: what was not held is read back, in order, and nothing is lost.
func memoryIsBounded(t *testing.T, b *broker) {
	cfg := b.cfg
	cfg.MemoryBytes = 2000
	o := newOutbox("shop/out")
	goOn := make(chan struct{})
	l := begin(t, o, cfg, func(r *Relay) {
		r.reached = func(point string, _ *session) {
			if point == "open" {
				<-goOn
			}
		}
	})
	for n := range 500 {
		l.emit(kafkaOutput(b.topic("out"), "key-0", fmt.Sprint(2*n+1)), kafkaOutput(b.topic("out"), "key-0", fmt.Sprint(2*n+2)))
	}
	l.relay.queue.mu.Lock()
	held := l.relay.queue.bytes
	l.relay.queue.mu.Unlock()
	if held > cfg.MemoryBytes || held == 0 {
		t.Errorf("%d bytes are held, the bound is %d", held, cfg.MemoryBytes)
	}
	close(goOn)
	o.waitDelivered(t, 1001)
	if diff := cmp.Diff(numbers(1, 1000), committed(t, cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
	if o.reads == 0 {
		t.Error("nothing was read back")
	}
}

// endAbortsWhatIsUnderWay: after the end nothing is sent or committed, and readers do not wait for the transaction's time-out.
func endAbortsWhatIsUnderWay(t *testing.T, b *broker) {
	cfg := b.cfg
	cfg.TransactionTimeout = 30 * time.Second
	o := newOutbox("shop/out")
	var l *life
	ready := make(chan struct{})
	l = begin(t, o, cfg, func(r *Relay) {
		r.reached = func(point string, _ *session) {
			if point == "sent" && len(r.batch) > 0 {
				<-ready
				l.stop()
			}
		}
	})
	l.emit(kafkaOutput(b.topic("out"), "key-0", "1"))
	close(ready)
	if err := <-l.done; err != nil {
		t.Fatal(err)
	}
	if o.delivered != 1 {
		t.Errorf("delivered below %d after the end", o.delivered)
	}
	topic := b.topic("out")
	stable, all := endsOf(t.Context(), t, cfg.Brokers, topic, stableEnd), endsOf(t.Context(), t, cfg.Brokers, topic, highWatermark)
	if diff := cmp.Diff(all, stable); diff != "" {
		t.Errorf("readers wait before the end: %s", diff)
	}
	if got := committed(t, cfg.Brokers, b.topic("out")); len(got) > 0 {
		t.Errorf("%v was delivered", got)
	}
	begin(t, o, cfg)
	o.waitDelivered(t, 2)
	if diff := cmp.Diff(numbers(1, 1), committed(t, cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
}

// owner answers questions for ownership from a list, then with nil.
type owner struct {
	*member
	answers []error
	asked   atomic.Int32
}

func (m *owner) Owns(context.Context) error {
	if n := int(m.asked.Add(1)); n <= len(m.answers) {
		return m.answers[n-1]
	}
	return nil
}

// TestOwnershipIsCheckedBehindInitProducerID: the answer before it may be old, so it is asked again before anything is sent.
func TestOwnershipIsCheckedBehindInitProducerID(t *testing.T) {
	for name, answers := range map[string][]error{"at first": {statestore.ErrFenced}, "behind the cursor": {nil, statestore.ErrFenced}} {
		t.Run(name, func(t *testing.T) {
			c, cfg := fake(t)
			begun := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Observe: true, Count: -1})
			sent := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce, kmsg.AddPartitionsToTxn, kmsg.AddOffsetsToTxn, kmsg.TxnOffsetCommit}, Observe: true, Count: -1})
			o := newOutbox("shop/out")
			m, lane := o.claim()
			l := beginAs(t, m, lane, cfg, func(r *Relay) { r.engine = &owner{member: m, answers: answers} })
			l.emit(kafkaOutput("out", "key-0", "1"))
			if err := <-l.done; !errors.Is(err, statestore.ErrFenced) {
				t.Errorf("Run answers %v, want ErrFenced", err)
			}
			if got, want := begun.Hits(), len(answers)-1; got != want {
				t.Errorf("%d sessions were begun, want %d", got, want)
			}
			if sent.Hits() > 0 {
				t.Errorf("%d requests of a transaction were sent", sent.Hits())
			}
		})
	}
}

func TestStoreThatIsAway(t *testing.T) {
	_, cfg := fake(t)
	o := newOutbox("shop/out")
	m, lane := o.claim()
	away := fmt.Errorf("ask: %w", statestore.ErrUnavailable)
	l := beginAs(t, m, lane, cfg, func(r *Relay) { r.engine = &owner{member: m, answers: []error{away, away, nil, away}} })
	l.emit(kafkaOutput("out", "key-0", "1"))
	o.waitDelivered(t, 2)
	l.told.wait(t, "the trouble ends", func() bool { return len(l.told.ended) == 2 && len(l.told.degraded) == 0 })
	if diff := cmp.Diff([]string{"egress shop/out: store", "egress shop/out: store"}, l.told.ended); diff != "" {
		t.Error(diff)
	}
}

func TestAtLeastOnce(t *testing.T) {
	for _, e := range []*kerr.Error{nil, kerr.NotLeaderForPartition, kerr.NotEnoughReplicas, kerr.OutOfOrderSequenceNumber, kerr.UnknownServerError, kerr.RequestTimedOut} {
		t.Run(fmt.Sprint(e), func(t *testing.T) {
			c, cfg := fake(t)
			cfg.Semantic, cfg.StoreID = AtLeastOnce, ""
			if e != nil {
				c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: e, Count: 2})
			}
			transactions := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.AddPartitionsToTxn, kmsg.EndTxn}, Observe: true, Count: -1})
			o := newOutbox("shop/out")
			l := begin(t, o, cfg)
			for n := range 100 {
				l.emit(kafkaOutput("out", "key-0", fmt.Sprint(n+1)))
			}
			o.waitDelivered(t, 101)
			if transactions.Hits() > 0 {
				t.Error("it uses transactions")
			}
			seen, last := map[string]bool{}, ""
			for _, value := range committed(t, cfg.Brokers, "out")["key-0"] {
				seen[value], last = true, value
			}
			if len(seen) != 100 || last != "100" {
				t.Errorf("%d of 100 outputs arrived, the last is %s", len(seen), last)
			}
			for _, r := range readAll(t, cfg.Brokers, "out", kgo.ReadUncommitted()) {
				if r.ProducerID < 0 {
					t.Fatal("the producer is not idempotent")
				}
			}
		})
	}
}

// TestNone: an egress without an outbox counts what is lost, once, and goes on.
func TestNone(t *testing.T) {
	c, cfg := fake(t)
	cfg.Semantic, cfg.StoreID = None, ""
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.UnknownServerError, Count: 1})
	o := newOutbox("shop/out")
	o.id.Slot = -1
	l := begin(t, o, cfg)
	l.emit(kafkaOutput("out", "key-0", "1"))
	o.waitDelivered(t, 2)
	l.emit(kafkaOutput("out", "key-0", "2"))
	o.waitDelivered(t, 3)
	if diff := cmp.Diff(map[string][]string{"key-0": {"2"}}, committed(t, cfg.Brokers, "out")); diff != "" {
		t.Error(diff)
	}
	if lost, ok := l.told.count("lost"), l.told.count("ok"); lost != 1 || ok != 1 || o.reads > 0 {
		t.Errorf("lost %d, ok %d, %d reads of an outbox that is not there", lost, ok, o.reads)
	}
}
