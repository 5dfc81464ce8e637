package kafka

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/statestore"
)

// base is long ago, so that every record lies before "now".
var base = time.UnixMilli(1_700_000_000_000)

func TestStartPositions(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		topic, some := k.name("in"), "some" // a group of each case that has committed something
		k.create(topic, 3, "retention.ms", "-1")
		for p := int32(0); p < 3; p++ {
			records := numbered("a", 0, 10)
			for i, r := range records {
				r.Timestamp = base.Add(time.Duration(i) * time.Second)
			}
			k.produce(topic, p, records...)
			k.deleteRecords(topic, p, 2)
		}
		k.commitGroup(k.name("outside"), topic, map[int32]int64{0: 1, 1: 99, 2: 4})
		for _, c := range []struct {
			name  string
			start Startup
			reset Reset
			group string
			want  [3]int64
		}{
			{"latest", Startup{}, ResetEarliest, "", [3]int64{10, 10, 10}},
			{"earliest", Startup{Kind: StartEarliest}, ResetLatest, "", [3]int64{2, 2, 2}},
			{"group offsets, reset latest", Startup{Kind: StartGroupOffsets}, ResetLatest, some, [3]int64{5, 10, 10}},
			{"group offsets, reset earliest", Startup{Kind: StartGroupOffsets}, ResetEarliest, some, [3]int64{5, 10, 2}},
			{"group that nobody knows", Startup{Kind: StartGroupOffsets}, ResetEarliest, k.name("nobody"), [3]int64{2, 2, 2}},
			{"specific offsets", Startup{Kind: StartSpecificOffsets, Offsets: map[TopicPartition]int64{{topic, 1}: 7}}, ResetEarliest, some, [3]int64{5, 7, 2}},
			{"specific offsets, no group", Startup{Kind: StartSpecificOffsets, Offsets: map[TopicPartition]int64{{topic, 1}: 10}}, ResetLatest, "", [3]int64{10, 10, 10}},
			{"date", Startup{Kind: StartDate, Date: base.Add(3500 * time.Millisecond)}, ResetEarliest, "", [3]int64{4, 4, 4}},
			{"date of a record", Startup{Kind: StartDate, Date: base.Add(3 * time.Second)}, ResetEarliest, "", [3]int64{3, 3, 3}},
			{"date before the log", Startup{Kind: StartDate, Date: base.Add(-time.Hour)}, ResetLatest, "", [3]int64{2, 2, 2}},
			{"date after the log", Startup{Kind: StartDate, Date: base.Add(time.Hour)}, ResetEarliest, "", [3]int64{10, 10, 10}},
		} {
			t.Run(c.name, func(t *testing.T) {
				e := newEngine(t)
				config := k.config(observe(t), topic)
				config.Startup, config.Reset, config.Group = c.start, c.reset, c.group
				if c.group == some {
					config.Group = newBroker(t, k.addresses).name(some)
					k.commitGroup(config.Group, topic, map[int32]int64{0: 5, 1: 10})
				}
				stop := run(t, config, e)
				for p, want := range c.want {
					s := source(topic, int32(p))
					if got := e.untilStarted(s); got != want {
						t.Errorf("partition %d: got start %d, want %d", p, got, want)
					}
					equal(t, s.String(), ids(e.untilArrived(s, int(10-want))), wantIDs("a", int(want), 10))
				}
				stop()
			})
		}
		t.Run("outside of the log", func(t *testing.T) {
			o, e := observe(t), newEngine(t)
			config := k.config(o, topic)
			config.Startup, config.Group = Startup{Kind: StartGroupOffsets}, k.name("outside")
			config.pace.groupCommit = time.Hour
			stop := run(t, config, e)
			o.untilDegraded(topic + "/0: " + startOutside)
			o.untilDegraded(topic + "/1: " + startOutside)
			e.untilArrived(source(topic, 2), 6)
			if _, ok := e.startOf(source(topic, 0)); ok {
				t.Error("a start outside of the log was committed")
			}
			stop()
			config.Reset, config.ResetWritten = ResetEarliest, true
			e = newEngine(t)
			run(t, config, e)
			e.untilArrived(source(topic, 0), 8)
			e.untilArrived(source(topic, 1), 8)
			e.untilStarted(source(topic, 2)) // those that were reset do not hold it up
		})
	})
}

func TestStartIsWhatTheEngineNeeds(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		topic := k.name("in")
		k.create(topic, 1)
		k.produce(topic, 0, numbered("a", 0, 3)...)
		e := newEngine(t)
		config := k.config(observe(t), topic)
		config.Startup.Kind = StartLatest
		run(t, config, e)
		e.untilStarted(source(topic, 0))
		e.mu.Lock()
		got := e.starts[0].Clone()
		e.mu.Unlock()
		if len(got.TopicID) != 22 {
			t.Errorf("got topic id %q, want 22 characters", got.TopicID)
		}
		got.TopicID = ""
		want := statestore.Progress{Source: source(topic, 0), Partitions: 1, Start: 3, Targets: []statestore.TargetProgress{
			{Key: "shop/audit", Done: statestore.Ranges{Watermark: 3}}, {Key: "shop/cart", Done: statestore.Ranges{Watermark: 3}}}}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("progress (-want +got):\n%s", d)
		}
		k.produce(topic, 0, numbered("a", 3, 5)...)
		equal(t, "records", ids(e.untilArrived(source(topic, 0), 2)), wantIDs("a", 3, 5))
	})
}

func TestRestartGoesOnFromTheStore(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		topic := k.name("in")
		k.create(topic, 2)
		k.produce(topic, 0, numbered("a", 0, 5)...)
		e := newEngine(t)
		config := k.config(observe(t), topic)
		stop := run(t, config, e)
		e.untilArrived(source(topic, 0), 5)
		stop()
		k.produce(topic, 0, numbered("a", 5, 8)...)
		k.grow(topic, 3)
		k.produce(topic, 2, numbered("c", 0, 2)...)
		config.Startup.Kind = StartLatest // is for topics that the store does not know
		stop = run(t, config, e)
		equal(t, "known partition", ids(e.untilArrived(source(topic, 0), 8)), wantIDs("a", 0, 8))
		equal(t, "partition added while away", ids(e.untilArrived(source(topic, 2), 2)), wantIDs("c", 0, 2))
		k.grow(topic, 4)
		k.produce(topic, 3, numbered("d", 0, 2)...)
		equal(t, "partition added while running", ids(e.untilArrived(source(topic, 3), 2)), wantIDs("d", 0, 2))
		stop()
		second := k.name("second")
		k.create(second, 1)
		k.produce(second, 0, numbered("s", 0, 2)...)
		config.Topics = append(config.Topics, Topic{Name: second, ValueType: "x/y", Routes: routes})
		run(t, config, e)
		if got := e.untilStarted(source(second, 0)); got != 2 {
			t.Errorf("topic that is new in the module: got start %d, want 2", got)
		}
	})
}

func TestMissingTopic(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		here, there := k.name("here"), k.name("there")
		k.create(here, 1)
		o, e := observe(t), newEngine(t)
		config := k.config(o, here, there)
		config.Startup.Kind = StartLatest
		run(t, config, e)
		o.untilDegraded(there + ": topic does not exist")
		e.untilStarted(source(here, 0))
		k.produce(here, 0, numbered("a", 0, 2)...)
		e.untilArrived(source(here, 0), 2)
		k.create(there, 1)
		k.produce(there, 0, numbered("b", 0, 2)...)
		equal(t, "records of a topic that appeared", ids(e.untilArrived(source(there, 0), 2)), wantIDs("b", 0, 2))
		o.untilRecovered(there + ": topic does not exist")
	})
}

func TestTopicMadeAnew(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		for _, c := range []struct {
			name   string
			while  bool // the ingress runs meanwhile
			again  int  // records in the new topic
			before int
		}{
			{"while away, fewer records", false, 2, 5},
			{"while away, more records", false, 9, 5},
			{"while running, fewer records", true, 2, 5},
			{"while running, more records", true, 9, 5},
			{"while running, nothing read yet", true, 3, 0},
		} {
			t.Run(c.name, func(t *testing.T) {
				k := newBroker(t, k.addresses)
				topic, other := k.name("in"), k.name("other")
				k.create(topic, 1)
				k.create(other, 1)
				k.produce(topic, 0, numbered("old", 0, c.before)...)
				o, e := observe(t), newEngine(t)
				config := k.config(o, topic, other)
				stop := run(t, config, e)
				e.untilStarted(source(topic, 0))
				e.untilArrived(source(topic, 0), c.before)
				if !c.while {
					stop()
				}
				k.delete(topic)
				k.create(topic, 1)
				k.produce(topic, 0, numbered("new", 0, c.again)...)
				if !c.while {
					stop = run(t, config, e)
				}
				o.untilDegraded(topic + "/0: " + topicAnew)
				k.produce(other, 0, numbered("x", 0, 1)...)
				e.untilArrived(source(other, 0), 1)
				if got := len(e.visible(source(topic, 0))); got != c.before {
					t.Errorf("got %d records of the topics, want %d: the new one must not be read", got, c.before)
				}
				// An operator's decision, by way of the engine.
				p, _ := e.Progress(source(topic, 0))
				p.TopicID, p.Start = "", 1
				for i := range p.Targets {
					p.Targets[i].Done.Watermark = 1
				}
				_ = e.Start(context.Background(), []statestore.Progress{p})
				e.untilArrived(source(topic, 0), c.before+c.again-1)
				o.untilRecovered(topicAnew)
				stop()
			})
		}
		t.Run("between two looks", func(t *testing.T) {
			k := newBroker(t, k.addresses)
			topic := k.name("in")
			k.create(topic, 1)
			k.produce(topic, 0, numbered("old", 0, 5)...)
			o, e := observe(t), newEngine(t)
			config := k.config(o, topic)
			config.DiscoveryInterval = time.Hour
			run(t, config, e)
			e.untilArrived(source(topic, 0), 5)
			k.delete(topic)
			k.create(topic, 1)
			k.produce(topic, 0, numbered("new", 0, 20)...)
			o.untilDegraded(topic + "/0: " + topicAnew)
			equal(t, "records", ids(e.visible(source(topic, 0))), wantIDs("old", 0, 5))
		})
		t.Run("reset is written", func(t *testing.T) {
			k := newBroker(t, k.addresses)
			topic := k.name("in")
			k.create(topic, 1)
			k.produce(topic, 0, numbered("old", 0, 5)...)
			e := newEngine(t)
			config := k.config(observe(t), topic)
			config.Reset, config.ResetWritten = ResetEarliest, true
			run(t, config, e)
			e.untilArrived(source(topic, 0), 5)
			k.delete(topic)
			k.create(topic, 1)
			k.produce(topic, 0, numbered("new", 0, 9)...)
			equal(t, "records", ids(e.untilArrived(source(topic, 0), 14)), append(wantIDs("old", 0, 5), wantIDs("new", 0, 9)...))
			e.mu.Lock()
			defer e.mu.Unlock()
			if len(e.starts) != 2 || e.starts[0].TopicID == e.starts[1].TopicID || e.starts[1].Start != 0 {
				t.Errorf("got starts %+v, want a second one at 0 with another topic id", e.starts)
			}
		})
	})
}

func TestPositionOutOfRange(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		topic := k.name("in")
		k.create(topic, 3)
		for p := int32(0); p < 3; p++ {
			k.produce(topic, p, numbered("a", 0, 5)...)
		}
		o, e := observe(t), newEngine(t)
		config := k.config(o, topic)
		stop := run(t, config, e)
		for p := int32(0); p < 3; p++ {
			e.untilArrived(source(topic, p), 5)
		}
		stop()
		k.produce(topic, 0, numbered("a", 5, 9)...)
		k.deleteRecords(topic, 0, 6) // the store says 5
		k.deleteRecords(topic, 1, 5) // the store says 5, the end: in range
		e.mu.Lock()
		p := e.progress[source(topic, 2)]
		for i := range p.Targets {
			p.Targets[i].Done.Watermark = 8 // beyond the end
		}
		e.mu.Unlock()
		stop = run(t, config, e)
		if text := o.untilDegraded(topic + "/0: " + positionLost); !contains(text, "5", "begins at 6", "autoOffsetResetPosition") {
			t.Errorf("got text %q", text)
		}
		if text := o.untilDegraded(topic + "/2: " + positionLost); !contains(text, "8", "ends at 5") {
			t.Errorf("got text %q", text)
		}
		k.produce(topic, 2, numbered("a", 5, 20)...) // now 8 is in range: still no jump
		k.produce(topic, 1, numbered("a", 5, 7)...)
		e.untilArrived(source(topic, 1), 7)
		if a, c := len(e.visible(source(topic, 0))), len(e.visible(source(topic, 2))); a != 5 || c != 5 {
			t.Errorf("got %d and %d records of the lost partitions, want 5 and 5", a, c)
		}
		stop()
		k.deleteRecords(topic, 0, 7)
		config.ResetWritten, config.Reset = true, ResetEarliest
		run(t, config, e)
		equal(t, "after the reset", ids(e.untilArrived(source(topic, 0), 7)), append(wantIDs("a", 0, 5), wantIDs("a", 7, 9)...))
	})
}

// Retention passes a partition whose records wait behind others.
func TestOutOfRangeWhileRunning(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		topic := k.name("in")
		k.create(topic, 1)
		k.produce(topic, 0, numbered("a", 0, 100)...)
		o, e := observe(t), newEngine(t)
		gate := make(chan struct{})
		e.gates[source(topic, 0)] = gate
		config := k.config(o, topic)
		config.BufferRecords = 10
		config.Properties = map[string]string{"max.partition.fetch.bytes": "1"}
		run(t, config, e)
		e.until("a blocked hand-over", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.waiting[source(topic, 0)] })
		for i := 1; i < 20; i++ { // many small batches: more than the buffer takes
			k.produce(topic, 0, numbered("a", i*100, i*100+100)...)
		}
		k.deleteRecords(topic, 0, 1990)
		close(gate)
		o.untilDegraded(topic + "/0: " + positionLost)
		got := ids(e.visible(source(topic, 0)))
		equal(t, "what was read before", got, wantIDs("a", 0, len(got)))
		if len(got) >= 1990 {
			t.Errorf("got %d records before the deletion, want fewer: nothing was lost", len(got))
		}
	})
}

// A partition's position must not stay before the transaction markers at its end: retention would make it look lost.
func TestPositionPassesWhatNobodyIsShown(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		topic := k.name("in")
		k.create(topic, 1)
		k.transaction(topic, kgo.TryCommit, numbered("a", 0, 3)...)
		k.transaction(topic, kgo.TryAbort, numbered("bad", 0, 4)...)
		o, e := observe(t), newEngine(t)
		config := k.config(o, topic)
		stop := run(t, config, e)
		end := int64(3 + 1 + 4 + 1)
		e.until("a position at the end", func() bool { p, _ := e.Progress(source(topic, 0)); return p.Position() == end })
		equal(t, "records", ids(e.visible(source(topic, 0))), wantIDs("a", 0, 3))
		o.until("no lag", func() bool { n, ok := o.lag[source(topic, 0)]; return ok && n == 0 })
		k.transaction(topic, kgo.TryCommit, numbered("a", 3, 5)...)
		e.untilArrived(source(topic, 0), 5)
		end += 3
		e.until("a position at the end", func() bool { p, _ := e.Progress(source(topic, 0)); return p.Position() == end })
		stop()
		k.deleteRecords(topic, 0, end)
		k.produce(topic, 0, numbered("a", 5, 6)...)
		run(t, config, e)
		equal(t, "records", ids(e.untilArrived(source(topic, 0), 6)), wantIDs("a", 0, 6))
	})
}
