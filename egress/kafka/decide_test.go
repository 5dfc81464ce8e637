package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/egress"
)

// emitted commits outputs of one key, numbered from..to.
func (l *life) emitted(b *broker, from, to int) {
	for n := from; n <= to; n++ {
		l.emit(kafkaOutput(b.topic("out"), "key-0", fmt.Sprint(n)))
	}
}

// texts are the numbers of runs, one behind the other.
func texts(runs ...[2]int) map[string][]string {
	out := map[string][]string{}
	for _, r := range runs {
		for n := r[0]; n <= r[1]; n++ {
			out["key-0"] = append(out["key-0"], fmt.Sprint(n))
		}
	}
	return out
}

// forgotten is a lane that has delivered 1 to 5, of which the store still keeps rows (trims are lazy), and has 6 to 9 more; its cursor is gone.
func forgotten(t *testing.T, b *broker, change ...func(*Relay)) (*outbox, *life) {
	t.Helper()
	o := newOutbox("shop/out")
	o.holdTrims = true
	first := begin(t, o, b.cfg)
	first.emitted(b, 1, 5)
	o.waitDelivered(t, 6)
	if err := first.end(t); err != nil {
		t.Fatal(err)
	}
	b.forget(t, first.relay.cfg.name(o.id))
	l := begin(t, o, b.cfg, change...)
	l.told.waitDegraded(t, "egress shop/out: cursor lost")
	l.emitted(b, 6, 9)
	return o, l
}

// decide decides, and fails the test when the lane does not go on where it should.
func (l *life) decide(t *testing.T, d egress.Decision, want uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if next, err := l.relay.Decide(ctx, d); err != nil || next != want {
		t.Fatalf("decided %v: got %d, %v, want %d", d, next, err, want)
	}
	if text := l.relay.Halted(); text != "" {
		t.Errorf("decided %v: the lane still stands: %s", d, text)
	}
	if l.told.lasts("egress shop/out: cursor lost") || l.told.lasts("egress shop/out: store is older") {
		t.Errorf("decided %v: the condition lasts", d)
	}
}

func operatorDecides(t *testing.T, b *broker) {
	for name, c := range map[string]struct {
		d       egress.Decision
		next    uint64
		want    map[string][]string
		leftOut int
	}{
		"stored":        {egress.Decision{Deliver: egress.DeliverStored}, 1, texts([2]int{1, 5}, [2]int{1, 10}), 0},
		"new":           {egress.Decision{Deliver: egress.DeliverNew}, 10, texts([2]int{1, 5}, [2]int{10, 10}), 9},
		"the right one": {egress.Decision{Deliver: egress.DeliverFrom, From: 6}, 6, texts([2]int{1, 10}), 5},
		"too late":      {egress.Decision{Deliver: egress.DeliverFrom, From: 8}, 8, texts([2]int{1, 5}, [2]int{8, 10}), 7},
		"the last one":  {egress.Decision{Deliver: egress.DeliverFrom, From: 10}, 10, texts([2]int{1, 5}, [2]int{10, 10}), 9},
	} {
		t.Run(name, func(t *testing.T) {
			b := b.apart(t, "decide-"+strings.ReplaceAll(name, " ", "-"))
			b.cfg.StoreID = uuid.NewString() // a cursor of its own
			o, l := forgotten(t, b)
			for _, wrong := range []uint64{0, 11, 1 << 63} {
				var none *egress.NoOutput
				d := egress.Decision{Deliver: egress.DeliverFrom, From: wrong}
				if err := l.relay.Check(d); !errors.As(err, &none) {
					t.Errorf("checked %d: got %v", wrong, err)
				}
				if _, err := l.relay.Decide(t.Context(), d); !errors.As(err, &none) || none.Next != 1 || none.Most != 10 {
					t.Errorf("decided %d: got %v", wrong, err)
				}
			}
			if err := l.relay.Check(c.d); err != nil {
				t.Errorf("checked: %v", err)
			}
			l.decide(t, c.d, c.next)
			if got := b.cursor(t, l.relay.cfg.name(o.id)); got < int64(c.next) {
				t.Errorf("the cursor is %d, want it at %d at least", got, c.next)
			}
			l.emitted(b, 10, 10)
			o.waitDelivered(t, 11)
			if got := l.told.count(resultLeftOut); got != c.leftOut {
				t.Errorf("%d outputs are counted as left out, want %d", got, c.leftOut)
			}
			if err := l.relay.Check(c.d); !errors.Is(err, egress.ErrNotHalted) {
				t.Errorf("checked again: got %v", err)
			}
			if _, err := l.relay.Decide(t.Context(), c.d); !errors.Is(err, egress.ErrNotHalted) {
				t.Errorf("decided again: got %v", err)
			}
			if err := l.end(t); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, committed(t, b.cfg.Brokers, b.topic("out"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// operatorAcceptsAnOlderStore: the cursor goes back to the number decided, and restarts find it good.
func operatorAcceptsAnOlderStore(t *testing.T, b *broker) {
	o := newOutbox("shop/out")
	first := begin(t, o, b.cfg)
	first.emitted(b, 1, 5)
	o.waitDelivered(t, 6)
	if err := first.end(t); err != nil {
		t.Fatal(err)
	}
	older := olderThan(o, 3)
	l := begin(t, older, b.cfg)
	l.told.waitDegraded(t, "egress shop/out: store is older")
	l.emitted(b, 103, 104)
	l.decide(t, egress.Decision{Deliver: egress.DeliverStored}, 3)
	older.waitDelivered(t, 5)
	if err := l.end(t); err != nil {
		t.Fatal(err)
	}
	again := begin(t, older, b.cfg)
	again.emitted(b, 105, 105)
	older.waitDelivered(t, 6)
	if err := again.end(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(texts([2]int{1, 5}, [2]int{103, 105}), committed(t, b.cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
}

// crashInTheDecision kills the relay at each point of carrying a decision out. Either the cursor is there, or the lane stands still again.
func crashInTheDecision(t *testing.T, b *broker) {
	for _, point := range []string{"open", "sent", "committed", "decided"} {
		t.Run(point, func(t *testing.T) {
			b := b.apart(t, "crash-"+point)
			b.cfg.StoreID = uuid.NewString()
			var l *life
			armed, ready := make(chan struct{}), make(chan struct{})
			o, l := forgotten(t, b, func(r *Relay) {
				r.reached = func(at string, s *session) {
					select {
					case <-armed:
					default:
						return
					}
					if at == point {
						<-ready
						l.crash(s)
					}
				}
			})
			close(armed)
			close(ready)
			six := egress.Decision{Deliver: egress.DeliverFrom, From: 6}
			if next, err := l.relay.Decide(t.Context(), six); err == nil || next != 6 {
				t.Fatalf("decided in a crash: got %d, %v", next, err)
			}
			<-l.done
			second := begin(t, o, b.cfg)
			if point == "open" || point == "sent" {
				second.told.waitDegraded(t, "egress shop/out: cursor lost")
				second.decide(t, six, 6)
			}
			second.emitted(b, 10, 10)
			o.waitDelivered(t, 11)
			if err := second.end(t); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(texts([2]int{1, 10}), committed(t, b.cfg.Brokers, b.topic("out"))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// decisionOfALaneThatIsLost: whoever sleeps while another takes the lane over writes no cursor.
func decisionOfALaneThatIsLost(t *testing.T, b *broker) {
	o, zombie := forgotten(t, b)
	successor := begin(t, o, b.cfg)
	successor.told.waitDegraded(t, "egress shop/out: cursor lost")
	successor.decide(t, egress.Decision{Deliver: egress.DeliverFrom, From: 6}, 6)
	o.waitDelivered(t, 10)
	if next, err := zombie.relay.Decide(t.Context(), egress.Decision{Deliver: egress.DeliverStored}); err == nil {
		t.Errorf("the old owner has decided: %d", next)
	}
	successor.emitted(b, 10, 10)
	o.waitDelivered(t, 11)
	if diff := cmp.Diff(texts([2]int{1, 10}), committed(t, b.cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
}

// outputsThatWereForgotten: of an egress that was not declared for a while the outputs that waited are gone, and its cursor is below them. The
// lane goes on behind them by itself.
func outputsThatWereForgotten(t *testing.T, b *broker) {
	o := newOutbox("shop/out")
	first := begin(t, o, b.cfg)
	first.emitted(b, 1, 5)
	o.waitDelivered(t, 6)
	if err := first.end(t); err != nil {
		t.Fatal(err)
	}
	o.mu.Lock()
	o.packs, o.next = nil, 10 // 6 to 9 were committed, and forgotten
	o.mu.Unlock()
	second := begin(t, o, b.cfg)
	second.emitted(b, 10, 11)
	o.waitDelivered(t, 12)
	if text := second.relay.Halted(); text != "" {
		t.Errorf("the lane stands still: %s", text)
	}
	if diff := cmp.Diff(texts([2]int{1, 5}, [2]int{10, 11}), committed(t, b.cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
}

// TestDecisionIsCarriedOutLater: every error on the way costs time and nothing else; the decision is kept, and no other one taken.
func TestDecisionIsCarriedOutLater(t *testing.T) {
	for _, key := range []kmsg.Key{kmsg.InitProducerID, kmsg.AddOffsetsToTxn, kmsg.TxnOffsetCommit, kmsg.EndTxn} {
		t.Run(key.Name(), func(t *testing.T) {
			c, cfg := fake(t)
			b := &broker{cfg: cfg}
			o, l := forgotten(t, b)
			h := c.Fault(kfake.Fault{Keys: []kmsg.Key{key}, TopLevel: key != kmsg.TxnOffsetCommit, Err: kerr.InvalidProducerEpoch, Count: 2})
			six := egress.Decision{Deliver: egress.DeliverFrom, From: 6}
			soon, cancel := context.WithCancelCause(t.Context())
			gone := errors.New("whoever asked is gone")
			cancel(gone)
			if _, err := l.relay.Decide(soon, six); err != nil && !errors.Is(err, gone) {
				t.Fatalf("got %v", err)
			}
			if _, err := l.relay.Decide(t.Context(), egress.Decision{Deliver: egress.DeliverNew}); !errors.Is(err, egress.ErrDeciding) && !errors.Is(err, egress.ErrNotHalted) {
				t.Errorf("another decision: got %v", err)
			}
			if _, err := l.relay.Decide(t.Context(), six); err != nil && !errors.Is(err, egress.ErrNotHalted) { // the same one waits along
				t.Errorf("got %v", err)
			}
			o.waitDelivered(t, 10)
			if h.Hits() != 2 {
				t.Errorf("%d errors, want 2", h.Hits())
			}
			if diff := cmp.Diff(texts([2]int{1, 9}), committed(t, cfg.Brokers, "out")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestDecisionsTogether: of many operators at the same moment one has his way, and the others hear of it.
func TestDecisionsTogether(t *testing.T) {
	_, cfg := fake(t)
	o, l := forgotten(t, &broker{cfg: cfg})
	answers := make(chan error, 8)
	var nexts [8]uint64
	for i := range nexts {
		go func() {
			var err error
			nexts[i], err = l.relay.Decide(t.Context(), egress.Decision{Deliver: egress.DeliverFrom, From: uint64(i + 2)})
			answers <- err
		}()
	}
	var good int
	for range nexts {
		err := <-answers
		if err == nil {
			good++
		} else if !errors.Is(err, egress.ErrDeciding) && !errors.Is(err, egress.ErrNotHalted) {
			t.Errorf("got %v", err)
		}
	}
	o.waitDelivered(t, 10)
	got := committed(t, cfg.Brokers, "out")["key-0"]
	if good != 1 || !slices.Contains(nexts[:], uint64(15-len(got))) {
		t.Errorf("%d decisions were carried out, and readers got %v", good, got)
	}
}

// TestWhatAHaltSays: the command, as it is typed.
func TestWhatAHaltSays(t *testing.T) {
	_, cfg := fake(t)
	_, l := forgotten(t, &broker{cfg: cfg})
	text := l.relay.Halted()
	for _, want := range []string{"stored: ", "new: ", "NUMBER: ", l.relay.cfg.name(l.id), cursorTopicDefault} {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
	if !strings.Contains(text[:300], "gateway egresses decide shop/out --lane 0 --deliver stored|new|NUMBER. ") { // /readyz shows no more
		t.Errorf("%q says the command too late", text)
	}
	if err := l.end(t); err != nil {
		t.Fatal(err)
	}
	if _, err := l.relay.Decide(t.Context(), egress.Decision{Deliver: egress.DeliverNew}); err == nil {
		t.Error("a relay that has ended carries out a decision")
	}
}
