package kafka

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

func quick(r *Relay) { r.silence.after = 100 * time.Millisecond }

// hang stops the whole broker at the next request of a kind, until it is told to answer. (kfake's own way to let a request sleep
// blocks for ever now and then when its cluster is closed soon after.)
func hang(c *kfake.Cluster, key kmsg.Key) (hangs <-chan struct{}, answer func()) {
	met, waits := make(chan struct{}), make(chan struct{})
	c.ControlKey(int16(key), func(kmsg.Request) (kmsg.Response, error, bool) {
		c.DropControl()
		close(met)
		<-waits
		return nil, nil, false
	})
	return met, sync.OnceFunc(func() { close(waits) })
}

// TestSilenceIsTold: a broker that takes connections and does not answer fails no call for half a minute; operators hear of it
// before, wherever the relay waits for it, and hear when it is over.
func TestSilenceIsTold(t *testing.T) {
	const key = "egress shop/out: kafka is silent"
	for _, semantic := range []Semantic{ExactlyOnce, AtLeastOnce, None} {
		for _, request := range []kmsg.Key{kmsg.Metadata, kmsg.InitProducerID, kmsg.Produce, kmsg.EndTxn} {
			if semantic != ExactlyOnce && request == kmsg.EndTxn || semantic == None && request == kmsg.InitProducerID {
				continue // not asked
			}
			t.Run(fmt.Sprint(semantic, " ", request.Name()), func(t *testing.T) {
				t.Parallel()
				c, cfg := fake(t)
				cfg.Semantic = semantic
				_, answer := hang(c, request)
				defer answer()
				l := begin(t, newOutbox("shop/out"), cfg, quick)
				l.emit(kafkaOutput("out", "key-0", "1"))
				if text := l.told.waitDegraded(t, key); !strings.Contains(text, "acknowledged nothing for 100ms") {
					t.Errorf("%q does not say for how long", text)
				}
				answer()
				l.waitDelivered(t, 2)
				l.told.wait(t, "the silence ends", func() bool { return len(l.told.degraded) == 0 })
			})
		}
	}
}

// TestSilenceIsOfKafkaOnly: it is no silence when there is nothing to deliver, while outputs are acknowledged one after the other
// (a batch may take long), while the relay waits for the store, or when another condition says why outputs wait.
func TestSilenceIsOfKafkaOnly(t *testing.T) {
	const key = "egress shop/out: kafka is silent"
	q, h := newQueue(1, 1, 1<<20), newTold()
	s := &silence{after: time.Minute, queue: q, trouble: newTrouble("shop/out", h.hooks(), slog.New(slog.DiscardHandler))}
	quietly := func(when string, f func()) {
		t.Helper()
		for range 3 * silenceLooks {
			s.look()
			if f(); h.lasts(key) {
				t.Fatalf("silence is told %s", when)
			}
		}
	}
	silent := func() {
		t.Helper()
		for range silenceLooks {
			s.look()
		}
		if h.lasts(key) {
			t.Fatal("silence is told too soon")
		}
		if s.look(); !h.lasts(key) {
			t.Fatal("silence is not told")
		}
	}
	quietly("although nothing waits", func() {})
	q.offer(statestore.OutputPack{First: 1, Outputs: []api.Output{kafkaOutput("out", "key-0", "1")}}, time.Now())
	silent()
	s.acked.Add(1)
	quietly("while outputs are acknowledged", func() { s.acked.Add(1) })
	s.look()
	silent()
	s.asking.Add(1)
	quietly("while the store is waited for", func() {})
	s.asking.Add(-1)
	s.trouble.begin(troubleTopic, "outputs of other topics wait for nothing", slog.LevelWarn)
	silent()
	s.trouble.begin(troubleLost, "the lane stands still", slog.LevelError)
	quietly("although another condition says why", func() {})
	s.trouble.end(troubleLost, "over")
	silent()
	q.delivered(2)
	quietly("although all is delivered", func() {})
}

// TestConditionsEndWithTheirRelay: what a relay states is about itself; one that ended, at a stop as at a takeover, states nothing.
func TestConditionsEndWithTheirRelay(t *testing.T) {
	c, cfg := fake(t)
	o := newOutbox("shop/out")
	l := begin(t, o, cfg, quick)
	l.emit(kafkaOutput("out", "key-0", "1"))
	o.waitDelivered(t, 2)
	if err := l.end(t); err != nil {
		t.Fatal(err)
	}
	away := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.InitProducerID}, Err: kerr.ClusterAuthorizationFailed, TopLevel: true, Count: -1})
	for _, end := range []func(*life){func(l *life) { l.stop() }, func(*life) { o.claim() }} {
		l = begin(t, o, cfg)
		l.told.waitDegraded(t, "egress shop/out: kafka")
		end(l)
		<-l.done
		if len(l.told.degraded) > 0 {
			t.Errorf("still told: %v", l.told.degraded)
		}
	}
	away.Remove()
	// A lane that stands still is no exception.
	o.started, o.next = true, 1
	cfg.StoreID = "7b1f4b3e-0000-4000-8000-000000000002"
	l = begin(t, o, cfg)
	l.told.waitDegraded(t, "egress shop/out: cursor lost")
	if err := l.end(t); err != nil || len(l.told.degraded) > 0 {
		t.Errorf("it ends with %v, and still told: %v", err, l.told.degraded)
	}
}
