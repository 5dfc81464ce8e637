package kafka

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/statestore"
)

// A crash while a topic is read for the first time leaves the start of all its partitions or of none: with latest, a partition
// whose start was left out would be taken for one that was added later, and its history be read.
func TestStartsAreOneCommit(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		const partitions = 20
		topic := k.name("in")
		k.create(topic, partitions)
		produce := func(from, to int) {
			for p := range int32(partitions) {
				k.produce(topic, p, numbered("a", from, to)...)
			}
		}
		produce(0, 3)
		config := k.config(observe(t), topic)
		config.Startup.Kind = StartLatest
		in, err := New(config)
		if err != nil {
			t.Fatal(err)
		}

		e, crash := newEngine(t), errors.New("crash")
		e.starting = func([]statestore.Progress) error { return crash }
		if err := in.Run(t.Context(), e); !errors.Is(err, crash) {
			t.Fatalf("got %v from Run, want the crash", err)
		}
		if len(e.commits) != 1 || len(e.commits[0]) != partitions {
			t.Fatalf("got starts %v, want one of all partitions", e.commits)
		}

		produce(3, 5)
		e = e.restart()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		e.starting = func([]statestore.Progress) error { cancel(); return nil } // it is durable, and nobody hears of it
		if err := in.Run(ctx, e); err != nil {
			t.Fatal(err)
		}
		produce(5, 7)
		e = e.restart()
		run(t, config, e)
		for p := range int32(partitions) {
			s := source(topic, p)
			equal(t, s.String(), ids(e.untilArrived(s, 2)), wantIDs("a", 5, 7))
		}
		if len(e.commits) != 0 {
			t.Errorf("got starts %v after the restart, want none", e.commits)
		}
	})
}

// A partition whose start lies outside of the log begins nowhere, also after restarts, until the module says where. Those that
// Kafka appends meanwhile begin at the earliest.
func TestStartOutsideThroughRestarts(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		topic := k.name("in")
		k.create(topic, 2)
		for p := range int32(2) {
			k.produce(topic, p, numbered("a", 0, 5)...)
		}
		e := newEngine(t)
		configure := func(o *observed, offset int64) Config {
			config := k.config(o, topic)
			config.Startup = Startup{Kind: StartSpecificOffsets, Offsets: map[TopicPartition]int64{{topic, 0}: 2, {topic, 1}: offset}}
			return config
		}
		stopped := source(topic, 1)
		for range 2 { // at first, and after a restart that changes nothing
			o := observe(t)
			stop := run(t, configure(o, 99), e)
			o.untilDegraded(topic + "/1: " + startOutside)
			e.until("a start of partition 0", func() bool { _, ok := e.Progress(source(topic, 0)); return ok })
			stop()
			if _, ok := e.Progress(stopped); ok {
				t.Fatal("a start outside of the log was committed")
			}
			e = e.restart()
		}
		k.grow(topic, 3)
		k.produce(topic, 2, numbered("c", 0, 2)...)
		o := observe(t)
		stop := run(t, configure(o, 99), e)
		equal(t, "added while away", ids(e.untilArrived(source(topic, 2), 2)), wantIDs("c", 0, 2))
		k.grow(topic, 4)
		k.produce(topic, 3, numbered("d", 0, 2)...)
		equal(t, "added while running", ids(e.untilArrived(source(topic, 3), 2)), wantIDs("d", 0, 2))
		o.untilDegraded(topic + "/1: " + startOutside)
		stop()

		for name, c := range map[string]struct {
			offset int64
			reset  bool
			want   int64
		}{"corrected offset": {4, false, 4}, "reset written": {99, true, 5}} {
			t.Run(name, func(t *testing.T) {
				e, config := e.restart(), configure(observe(t), c.offset)
				config.Reset, config.ResetWritten = ResetLatest, c.reset
				stop := run(t, config, e)
				if got := e.untilStarted(stopped); got != c.want {
					t.Errorf("got start %d, want %d", got, c.want)
				}
				if p, _ := e.Progress(stopped); p.Partitions != 2 {
					t.Errorf("got %d partitions at the first start, want 2", p.Partitions)
				}
				stop()
			})
		}
	})
}

// A partition that cannot be looked up at its topic's first start holds nobody up, and begins by the same rule as the others
// when it can be, also after a restart.
func TestStartOfPartitionThatCannotBeLookedUp(t *testing.T) {
	t.Parallel()
	c := fake(t)
	var broken atomic.Bool
	c.ControlKey(int16(kmsg.ListOffsets), func(request kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		asked := request.(*kmsg.ListOffsetsRequest)
		if !broken.Load() || asked.Topics[0].Partitions[0].Partition != 1 {
			return nil, nil, false
		}
		answer := asked.ResponseKind().(*kmsg.ListOffsetsResponse)
		p := kmsg.NewListOffsetsResponseTopicPartition()
		p.Partition, p.ErrorCode = 1, 56 // KAFKA_STORAGE_ERROR
		of := kmsg.NewListOffsetsResponseTopic()
		of.Topic, of.Partitions = asked.Topics[0].Topic, append(of.Partitions, p)
		answer.Topics = append(answer.Topics, of)
		return answer, nil, true
	})
	k := newBroker(t, c.ListenAddrs())
	topic := k.name("in")
	k.create(topic, 2)
	for p := range int32(2) {
		k.produce(topic, p, numbered("a", 0, 3)...)
	}
	o, e := observe(t), newEngine(t)
	config := k.config(o, topic)
	config.Startup.Kind = StartLatest
	broken.Store(true)
	stop := run(t, config, e)
	if got := e.untilStarted(source(topic, 0)); got != 3 {
		t.Errorf("partition 0: got start %d, want 3", got)
	}
	o.untilDegraded(topic + "/1: " + cannotBeRead)
	stop()
	broken.Store(false)
	e = e.restart()
	run(t, config, e)
	if got := e.untilStarted(source(topic, 1)); got != 3 {
		t.Errorf("partition 1: got start %d, want 3", got)
	}
}
