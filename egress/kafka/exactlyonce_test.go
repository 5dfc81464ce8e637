package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/statestore"
)

// crash ends a relay as a kill does: from one moment on nothing of it reaches Kafka, nor the store.
func (l *life) crash(s *session) {
	l.kill()
	s.cut()
	l.stop()
}

// storm is a history of relays that crash while outputs flow.
type storm struct {
	o       *outbox
	b       *broker
	change  []func(*Relay)
	seq     map[string]int
	rand    *rand.Rand
	skipped int            // outputs that recoveries left out because the cursor said so
	behind  int            // outputs whose transaction was committed although the store never heard of it
	crashes map[string]int // by the point that was reached
}

func newStorm(o *outbox, b *broker, change ...func(*Relay)) *storm {
	return &storm{o: o, b: b, change: change, seq: map[string]int{}, rand: rand.New(rand.NewPCG(1, 2)), crashes: map[string]int{}}
}

// emit commits n outputs, numbered by their key.
func (w *storm) emit(l *life, n int) {
	for range n {
		key := fmt.Sprintf("key-%d", w.rand.IntN(8))
		w.seq[key]++
		l.emit(kafkaOutput(w.b.topic("out"), key, fmt.Sprint(w.seq[key])))
	}
}

// crash runs a relay that dies when it comes to a point for the n-th time (of a transaction: with outputs in it).
func (w *storm) crash(t *testing.T, point string, n, outputs int) {
	t.Helper()
	var l *life
	ready, died := make(chan struct{}), make(chan int, 1)
	l = begin(t, w.o, w.b.cfg, append(w.change, func(r *Relay) {
		r.reached = func(at string, s *session) {
			if at != point || (at == "sent" || at == "committed") && len(r.batch) == 0 {
				return
			}
			if n--; n == 0 {
				<-ready
				l.crash(s)
				died <- len(r.batch)
			}
		}
	})...)
	close(ready)
	limit := time.After(patience)
	for {
		moved := w.o.moved()
		w.emit(l, outputs)
		select {
		case <-moved: // something was delivered: the relay will ask for more
			continue
		case inHand := <-died:
			<-l.done
			w.crashes[point]++
			w.skipped += l.told.count("skipped")
			if point == "committed" {
				w.behind += inHand
			}
			return
		case <-limit:
			t.Fatalf("%q is not reached", point)
		}
	}
}

// calm delivers the rest and answers what is wrong with all that arrived.
func (w *storm) calm(t *testing.T) string {
	t.Helper()
	l := begin(t, w.o, w.b.cfg, w.change...)
	w.emit(l, 1)
	w.o.waitDelivered(t, w.o.next)
	if err := l.end(t); err != nil {
		t.Fatal(err)
	}
	w.skipped += l.told.count("skipped")
	want := map[string][]string{}
	for key, n := range w.seq {
		for i := range n {
			want[key] = append(want[key], fmt.Sprint(i+1))
		}
	}
	return cmp.Diff(want, committed(t, w.b.cfg.Brokers, w.b.topic("out")))
}

func crashesDeliverOnce(t *testing.T, b *broker) {
	w := newStorm(newOutbox("shop/out"), b)
	points := []string{"open", "sent", "committed", "delivered", "sent", "committed"}
	for n := range 30 {
		w.crash(t, points[n%len(points)], 1+n%3, 40)
	}
	if diff := w.calm(t); diff != "" {
		t.Errorf("outputs lost, doubled or out of order:\n%s", diff)
	}
	if w.behind == 0 || w.skipped != w.behind {
		t.Errorf("recoveries skipped %d outputs, want the %d of transactions that the store had not heard of", w.skipped, w.behind)
	}
	if want := map[string]int{"open": 5, "sent": 10, "committed": 10, "delivered": 5}; !cmp.Equal(want, w.crashes) {
		t.Errorf("crashes %v, want %v", w.crashes, want)
	}
}

// crashesDoubleWithoutTheCursor removes the guard that the test above trusts in.
func crashesDoubleWithoutTheCursor(t *testing.T, b *broker) {
	w := newStorm(newOutbox("shop/out"), b, func(r *Relay) {
		r.fetchCursor = func(context.Context, *session) (egress.Cursor, error) {
			return egress.Cursor{Found: true, Next: r.next}, nil
		}
		r.started = true
	})
	for range 3 {
		w.crash(t, "committed", 1, 20)
	}
	if diff := w.calm(t); diff == "" || w.behind == 0 {
		t.Errorf("nothing is doubled although the cursor is ignored: the test proves nothing (%d outputs behind)", w.behind)
	}
}

// TestCursorIsAskedAgain injects what brokers say while the cursor's coordinator moves, loads or settles a transaction. A relay that
// took one of these for "no cursor" would halt or send its outbox again.
func TestCursorIsAskedAgain(t *testing.T) {
	for _, e := range []*kerr.Error{kerr.NotCoordinator, kerr.CoordinatorLoadInProgress, kerr.UnstableOffsetCommit, kerr.CoordinatorNotAvailable} {
		for _, top := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", e.Message, top), func(t *testing.T) {
				c, cfg := fake(t)
				o := newOutbox("shop/out")
				o.holdTrims = true
				first := begin(t, o, cfg)
				for n := range 10 {
					first.emit(kafkaOutput("out", "key-0", fmt.Sprint(n+1)))
				}
				o.waitDelivered(t, 11)
				if err := first.end(t); err != nil {
					t.Fatal(err)
				}
				h := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, TopLevel: top, Err: e, Count: 6})
				second := begin(t, o, cfg)
				second.emit(kafkaOutput("out", "key-0", "11"))
				o.waitDelivered(t, 12)
				if got := h.Hits(); got != 6 {
					t.Errorf("%d answers were faulty, want 6", got)
				}
				if got := second.told.count("skipped"); got != 10 {
					t.Errorf("skipped %d, want 10", got)
				}
				if diff := cmp.Diff(numbers(1, 11), committed(t, cfg.Brokers, "out")); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// TestAnswerWithoutTheCursor: brokers leave the partition out when the coordinator is not ready. That does not mean "none".
func TestAnswerWithoutTheCursor(t *testing.T) {
	c, cfg := fake(t)
	o := newOutbox("shop/out")
	first := begin(t, o, cfg)
	first.emit(kafkaOutput("out", "key-0", "1"))
	o.waitDelivered(t, 2)
	if err := first.end(t); err != nil {
		t.Fatal(err)
	}
	left := 3
	c.ControlKey(int16(kmsg.OffsetFetch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if left == 0 {
			return nil, nil, false
		}
		if left--; left > 0 {
			c.KeepControl()
		}
		return req.ResponseKind(), nil, true
	})
	second := begin(t, o, cfg)
	second.emit(kafkaOutput("out", "key-0", "2"))
	o.waitDelivered(t, 3)
	if left != 0 {
		t.Errorf("%d answers without the cursor were not asked for", left)
	}
	if diff := cmp.Diff(numbers(1, 2), committed(t, cfg.Brokers, "out")); diff != "" {
		t.Error(diff)
	}
}

func zombieIsFenced(t *testing.T, b *broker) {
	cfg := b.cfg
	o := newOutbox("shop/out")
	old, lane := o.claim()
	asleep, wake := make(chan struct{}), make(chan struct{})
	first := true
	zombie := beginAs(t, old, lane, cfg, func(r *Relay) {
		r.reached = func(point string, _ *session) {
			if point == "sent" && len(r.batch) > 0 && first {
				first = false
				close(asleep)
				<-wake
			}
		}
	})
	zombie.emit(kafkaOutput(b.topic("out"), "key-0", "1"))
	<-asleep
	successor := begin(t, o, cfg)
	o.waitDelivered(t, 2)
	successor.emit(kafkaOutput(b.topic("out"), "key-0", "2"))
	o.waitDelivered(t, 3)
	close(wake)
	select {
	case err := <-zombie.done:
		if !errors.Is(err, statestore.ErrFenced) {
			t.Errorf("zombie ends with %v, want ErrFenced", err)
		}
	case <-time.After(patience):
		t.Fatal("the zombie does not notice")
	}
	if diff := cmp.Diff(numbers(1, 2), committed(t, cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
}

// fencedOwnerGoesOn: somebody else's session with the same id must not stop the lane's owner.
func fencedOwnerGoesOn(t *testing.T, b *broker) {
	cfg := b.cfg
	o := newOutbox("shop/out")
	l := begin(t, o, cfg)
	for n := range 5 {
		l.emit(kafkaOutput(b.topic("out"), "key-0", fmt.Sprint(n+1)))
		o.waitDelivered(t, uint64(n)+2)
		cl, err := kgo.NewClient(kgo.SeedBrokers(cfg.Brokers...), kgo.TransactionalID(l.relay.cfg.name(o.id)))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := cl.ProducerID(context.Background()); err != nil {
			t.Fatal(err)
		}
		cl.Close()
	}
	l.emit(kafkaOutput(b.topic("out"), "key-0", "6"))
	o.waitDelivered(t, 7)
	if diff := cmp.Diff(numbers(1, 6), committed(t, cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
}

func cursorLostHaltsTheLane(t *testing.T, b *broker) {
	cfg := b.cfg
	o := newOutbox("shop/out")
	first := begin(t, o, cfg)
	first.emit(kafkaOutput(b.topic("out"), "key-0", "1"))
	o.waitDelivered(t, 2)
	if err := first.end(t); err != nil {
		t.Fatal(err)
	}
	b.forget(t, first.relay.cfg.name(o.id))
	second := begin(t, o, cfg)
	second.emit(kafkaOutput(b.topic("out"), "key-0", "2"))
	text := second.told.waitDegraded(t, "egress shop/out: cursor lost")
	if !strings.Contains(text, first.relay.cfg.name(o.id)) {
		t.Errorf("%q does not name the group", text)
	}
	if err := second.end(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(1, 1), committed(t, cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
}

func storeWentBackHaltsTheLane(t *testing.T, b *broker) {
	cfg := b.cfg
	o := newOutbox("shop/out")
	first := begin(t, o, cfg)
	for n := range 5 {
		first.emit(kafkaOutput(b.topic("out"), "key-0", fmt.Sprint(n+1)))
	}
	o.waitDelivered(t, 6)
	if err := first.end(t); err != nil {
		t.Fatal(err)
	}
	for name, older := range map[string]*outbox{
		"started":     olderThan(o, 3),
		"not started": newOutbox("shop/out"),
	} {
		t.Run(name, func(t *testing.T) {
			l := begin(t, older, cfg)
			l.emit(kafkaOutput(b.topic("out"), "key-0", "other"))
			text := l.told.waitDegraded(t, "egress shop/out: store is older")
			if !strings.Contains(text, "below 6") {
				t.Errorf("%q does not name the cursor", text)
			}
			for range 10 { // the numbers of the lane pass the cursor
				l.emit(kafkaOutput(b.topic("out"), "key-0", "other"))
			}
			if err := l.end(t); err != nil {
				t.Fatal(err)
			}
			again := begin(t, older, cfg)
			again.told.waitDegraded(t, "egress shop/out: store is older")
			if err := again.end(t); err != nil {
				t.Fatal(err)
			}
		})
	}
	t.Run("outputs before the first question", func(t *testing.T) {
		older := olderThan(o, 3)
		older.claims = o.claims // by the numbers alone
		m, lane := older.claim()
		l := beginAs(t, m, lane, cfg, func(r *Relay) {
			m.relay = r
			for range 5 {
				m.emit(kafkaOutput(b.topic("out"), "key-0", "other"))
			}
		})
		l.told.waitDegraded(t, "egress shop/out: store is older")
		if err := l.end(t); err != nil {
			t.Fatal(err)
		}
	})
	if diff := cmp.Diff(numbers(1, 5), committed(t, cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
}

// olderThan is a copy of a started lane's store from when its next number was another one.
func olderThan(o *outbox, next uint64) *outbox {
	older := newOutbox(o.id.Egress)
	older.next, older.delivered, older.started = next, next, true
	return older
}

// crashBetweenFirstCursorAndMark: the lane is not marked as started although its cursor is there.
func crashBetweenFirstCursorAndMark(t *testing.T, b *broker) {
	cfg := b.cfg
	o := newOutbox("shop/out")
	var l *life
	ready := make(chan struct{})
	l = begin(t, o, cfg, func(r *Relay) {
		r.reached = func(point string, s *session) {
			if point == "first cursor" {
				<-ready
				l.crash(s)
			}
		}
	})
	close(ready)
	<-l.done
	if o.started {
		t.Fatal("the lane is marked as started: the crash came too late")
	}
	second := begin(t, o, cfg)
	second.emit(kafkaOutput(b.topic("out"), "key-0", "1"))
	o.waitDelivered(t, 2)
	if !o.started {
		t.Error("the lane is not marked as started")
	}
	if diff := cmp.Diff(numbers(1, 1), committed(t, cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
}

func twoStoresDoNotFenceEachOther(t *testing.T, b *broker) {
	cfg := b.cfg
	one, two := newOutbox("shop/out"), newOutbox("shop/out")
	other := cfg
	other.StoreID = "7b1f4b3e-0000-4000-8000-000000000002"
	first, second := begin(t, one, cfg), begin(t, two, other)
	for n := range 50 {
		first.emit(kafkaOutput(b.topic("out"), "key-0", fmt.Sprint(n+1)))
		second.emit(kafkaOutput(b.topic("out"), "key-1", fmt.Sprint(n+1)))
	}
	one.waitDelivered(t, 51)
	two.waitDelivered(t, 51)
	if diff := cmp.Diff(numbers(2, 50), committed(t, cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
	for _, l := range []*life{first, second} {
		l.told.mu.Lock()
		if len(l.told.degraded)+len(l.told.ended) > 0 {
			t.Errorf("trouble: %v, was: %v", l.told.degraded, l.told.ended)
		}
		l.told.mu.Unlock()
	}
}

func idleCursorIsKeptAlive(t *testing.T, b *broker) {
	cfg := b.cfg
	cfg.keepAlive = 30 * time.Millisecond
	o := newOutbox("shop/out")
	kept := make(chan struct{}, 100)
	l := begin(t, o, cfg, func(r *Relay) {
		r.reached = func(point string, _ *session) {
			if point == "kept alive" {
				kept <- struct{}{}
			}
		}
	})
	for range 3 {
		<-kept
	}
	if got := b.cursor(t, l.relay.cfg.name(o.id)); got != 1 {
		t.Errorf("the cursor is %d, want 1", got)
	}
	l.emit(kafkaOutput(b.topic("out"), "key-0", "1"))
	o.waitDelivered(t, 2)
	if err := l.end(t); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(numbers(1, 1), committed(t, cfg.Brokers, b.topic("out"))); diff != "" {
		t.Error(diff)
	}
}
