package kafka

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/statestore"
)

// diesInTransaction leaves one output in an open transaction. The outbox keeps it.
func diesInTransaction(t *testing.T, o *outbox, b *broker) {
	t.Helper()
	w := newStorm(o, b)
	l := begin(t, o, b.cfg)
	w.emit(l, 1)
	o.waitDelivered(t, 2)
	if err := l.end(t); err != nil {
		t.Fatal(err)
	}
	w.crash(t, "sent", 1, 1)
}

// weaker begins a relay of the lane under another semantic, as the gateway does.
func weaker(t *testing.T, o *outbox, cfg Config, semantic Semantic, change ...func(*Relay)) *life {
	t.Helper()
	cfg.Semantic = semantic
	m, lane := o.claim()
	if semantic == None {
		cfg.Formerly = lane
		o.id.Slot = egress.NoOutbox // the outbox's rows stay where they are
		lane = statestore.Lane{LaneID: o.id, Next: o.next}
	}
	return beginAs(t, m, lane, cfg, change...)
}

// openTransactionEnds: nobody but the lane's next owner asks for its transactional id, and until somebody does, readers at
// read_committed see nothing behind what a crash left open; also when that owner needs no transactions any more.
func openTransactionEnds(t *testing.T, b *broker) {
	for _, semantic := range []Semantic{AtLeastOnce, None} {
		t.Run(semantic.String(), func(t *testing.T) {
			b := b.apart(t, semantic.String())
			b.cfg.TransactionTimeout = time.Minute
			b.cfg.StoreID += "-" + semantic.String()
			o := newOutbox("shop/out")
			diesInTransaction(t, o, b)
			l := weaker(t, o, b.cfg, semantic)
			want := map[string][]string{}
			for p := range 8 { // every partition
				key := fmt.Sprintf("new-%d", p)
				l.emit(kafkaOutput(b.topic("out"), key, "1"))
				want[key] = []string{"1"}
			}
			o.waitDelivered(t, o.next)
			got := committed(t, b.cfg.Brokers, b.topic("out"))
			for key := range got {
				if want[key] == nil {
					delete(got, key) // of before
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestDeliveryDoesNotWaitForAnOldTransaction: when its coordinator does not answer, delivery goes on, and the next session tries again.
func TestDeliveryDoesNotWaitForAnOldTransaction(t *testing.T) {
	c, cfg := fake(t)
	b := &broker{cfg: cfg}
	o := newOutbox("shop/out")
	diesInTransaction(t, o, b)
	transactional := func(req kmsg.Request) bool { return req.(*kmsg.InitProducerIDRequest).TransactionalID != nil }
	refused := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.CoordinatorLoadInProgress, TopLevel: true, Count: -1, When: transactional})
	l := weaker(t, o, cfg, AtLeastOnce, func(r *Relay) { r.formerMax = 50 * time.Millisecond })
	l.emit(kafkaOutput("out", "new", "1"))
	o.waitDelivered(t, o.next)
	if refused.Hits() == 0 {
		t.Error("nobody has asked for the old transaction")
	}
	refused.Remove()
	again := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: 1}) // ends the session
	l.emit(kafkaOutput("out", "new", "2"))
	o.waitDelivered(t, o.next)
	if again.Hits() == 0 {
		t.Error("the session was not ended")
	}
	if got := committed(t, cfg.Brokers, "out")["new"]; !cmp.Equal(lasts(got), []string{"1", "2"}) {
		t.Errorf("readers see %v", got)
	}
	if err := l.end(t); err != nil || l.relay.former != nil {
		t.Errorf("it ends with %v; still to end: %+v", err, l.relay.former)
	}
}

// TestNothingFormerIsAskedFor: a lane that was never started, or of an egress that is exactly-once still, has nothing to end; nor
// is an old transaction looked for after it has timed out.
func TestNothingFormerIsAskedFor(t *testing.T) {
	started := statestore.Lane{LaneID: statestore.LaneID{Egress: "shop/out"}, Next: 1, Started: true}
	outside := statestore.Lane{LaneID: statestore.LaneID{Egress: "shop/out", Slot: egress.NoOutbox}, Next: 1}
	fresh := started
	fresh.Started = false
	tests := []struct {
		name           string
		semantic       Semantic
		lane, formerly statestore.Lane
		want           bool
	}{
		{"exactly-once", ExactlyOnce, started, statestore.Lane{}, false},
		{"at-least-once", AtLeastOnce, started, statestore.Lane{}, true},
		{"at-least-once from the beginning", AtLeastOnce, fresh, statestore.Lane{}, false},
		{"none", None, outside, started, true},
		{"none, never started", None, outside, fresh, false},
		{"none from the beginning", None, outside, statestore.Lane{}, false},
	}
	for _, tt := range tests {
		cfg := Config{ID: "shop/out", Brokers: []string{"localhost:1"}, StoreID: testStore, Semantic: tt.semantic, Formerly: tt.formerly}
		r, err := New(cfg, tt.lane, &member{})
		if err != nil {
			t.Fatal(err)
		}
		if got := r.former != nil; got != tt.want {
			t.Errorf("%s: something to end: %v, want %v", tt.name, got, tt.want)
		}
		if tt.want && r.former.lane != started.LaneID {
			t.Errorf("%s: lane %+v", tt.name, r.former.lane)
		}
	}
	r, err := New(Config{ID: "shop/out", Brokers: []string{"localhost:1"}, StoreID: testStore, Semantic: AtLeastOnce}, started, &member{})
	if err != nil {
		t.Fatal(err)
	}
	r.former.tried = time.Now().Add(-transactionTimeoutMax - time.Second)
	if r.endFormer(t.Context()); r.former != nil {
		t.Error("it is still looked for")
	}
}
