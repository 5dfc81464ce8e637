package kafka

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// asked is which partitions of a topic a fetch asks for.
func asked(request kmsg.Request) (partitions []int32) {
	for _, topic := range request.(*kmsg.FetchRequest).Topics {
		for _, p := range topic.Partitions {
			partitions = append(partitions, p.Partition)
		}
	}
	return partitions
}

// fetched is an answer to a fetch, of one partition, with what is given.
func fetched(request kmsg.Request, partition int32, fill func(p *kmsg.FetchResponseTopicPartition)) kmsg.Response {
	answer := request.ResponseKind().(*kmsg.FetchResponse)
	topic := kmsg.NewFetchResponseTopic()
	topic.Topic = request.(*kmsg.FetchRequest).Topics[0].Topic
	p := kmsg.NewFetchResponseTopicPartition()
	p.Partition = partition
	fill(&p)
	topic.Partitions = append(topic.Partitions, p)
	answer.Topics = append(answer.Topics, topic)
	return answer
}

// A batch that cannot be read is its partition's fault alone.
func TestUnreadablePartitionStopsNoOther(t *testing.T) {
	t.Parallel()
	// magic, so it counts as a batch, and a length that no batch has
	testUnreadablePartition(t, append(append(make([]byte, 16), 2), bytes.Repeat([]byte{0xff}, 60)...))
}

// An answer that the library cannot read, as of formats before batches, is one partition's fault, and the others' trouble only until that is
// known: then it is asked for alone, and they together as ever.
func TestUnreadableAnswerStopsNoOther(t *testing.T) {
	t.Parallel()
	message := oldMessage(1, 0)
	message[len(message)-1]++ // its checksum is another one
	if alone, withOthers := testUnreadablePartition(t, message); alone == 0 || withOthers > 1 {
		t.Errorf("asked for %d times with others, %d times alone; want at most once, and then alone", withOthers, alone)
	}
}

// testUnreadablePartition reads two partitions beside one that holds what is given, and that too once it is another.
func testUnreadablePartition(t *testing.T, set []byte) (alone, withOthers int) {
	c := fake(t)
	k := newBroker(t, c.ListenAddrs())
	k.create("in", 3)
	var mu sync.Mutex
	bad := true
	c.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		of := asked(request)
		for _, p := range of {
			if p != 1 || !bad {
				continue
			}
			if len(of) == 1 {
				alone++
			} else {
				withOthers++
			}
			return fetched(request, 1, func(p *kmsg.FetchResponseTopicPartition) { p.RecordBatches = set }), nil, true
		}
		return nil, nil, false
	})
	o, e := observe(t), newEngine(t)
	run(t, k.config(o, "in"), e)
	o.untilDegraded("in/1: " + cannotBeRead)
	for i := range 5 {
		for p := range int32(3) {
			k.produce("in", p, numbered("a", i, i+1)...)
		}
		e.untilArrived(source("in", 0), i+1)
		e.untilArrived(source("in", 2), i+1)
	}
	if n := len(e.visible(source("in", 1))); n > 0 {
		t.Errorf("got %d records of what cannot be read", n)
	}
	mu.Lock()
	bad = false
	mu.Unlock()
	equal(t, "records", ids(e.untilArrived(source("in", 1), 5)), wantIDs("a", 0, 5))
	o.untilRecovered(cannotBeRead)
	mu.Lock()
	defer mu.Unlock()
	return alone, withOthers
}

// The leader may say that another broker is nearer. That one is read until it fails; then the leader is asked again.
func TestReplicaIsRead(t *testing.T) {
	t.Parallel()
	c := fake(t, kfake.NumBrokers(2))
	k := newBroker(t, c.ListenAddrs())
	k.create("in", 1)
	leader := c.LeaderFor("in", 0)
	nearer := 1 - leader
	var mu sync.Mutex
	sent, racks := 0, map[string]bool{}
	asReplica := make(chan struct{})
	c.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		racks[request.(*kmsg.FetchRequest).Rack] = true
		switch {
		case c.CurrentNode() == nearer:
			select {
			case <-asReplica:
			default:
				close(asReplica)
			}
			return nil, nil, false // it is none: that it is not the leader is an error like any other
		case sent == 0:
			sent++
			return fetched(request, 0, func(p *kmsg.FetchResponseTopicPartition) { p.PreferredReadReplica = nearer }), nil, true
		}
		return nil, nil, false
	})
	e := newEngine(t)
	config := k.config(observe(t), "in")
	config.Properties = map[string]string{"client.rack": "here"}
	run(t, config, e)
	select {
	case <-asReplica:
	case <-time.After(patience):
		t.Fatal("the replica was never asked")
	}
	k.produce("in", 0, numbered("a", 0, 3)...)
	equal(t, "records", ids(e.untilArrived(source("in", 0), 3)), wantIDs("a", 0, 3))
	mu.Lock()
	defer mu.Unlock()
	if len(racks) != 1 || !racks["here"] {
		t.Errorf("got racks %v in fetches, want one", racks)
	}
}

// Partitions with records larger than a fetch, small records beside them, and transactions of many producers that end either way: all
// arrive, once, in order, though a fetch holds little and one partition waits for its engine.
func TestMixture(t *testing.T) {
	kafkas(t, func(t *testing.T, k *broker) {
		topic := k.name("in")
		k.create(topic, 4)
		const n = 60
		value := bytes.Repeat([]byte("x"), 100_000)
		var producers []*kgo.Client
		for i := range 3 {
			client, err := kgo.NewClient(kgo.SeedBrokers(k.addresses...), kgo.RecordPartitioner(kgo.ManualPartitioner()),
				kgo.TransactionalID(k.name(fmt.Sprint("txn", i))), kgo.MaxVersions(kversion.V3_0_0()))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			producers = append(producers, client)
		}
		e := newEngine(t)
		gate := make(chan struct{})
		e.gates[source(topic, 2)] = gate
		config := k.config(observe(t), topic)
		config.BufferRecords = 20
		config.Properties = map[string]string{"max.partition.fetch.bytes": "10000", "fetch.max.bytes": "50000"}
		run(t, config, e)

		written, aborted := 0, 0
		for round := range n / 10 {
			// Three transactions at once; records of all of them lie beside each other, and one of them is not to be.
			for _, p := range producers {
				if err := p.BeginTransaction(); err != nil {
					t.Fatal(err)
				}
			}
			for i := range 15 {
				who := i % 3
				key := fmt.Sprintf("a%d", written)
				if who == round%3 {
					key = fmt.Sprintf("bad%d", aborted)
					aborted++
				} else {
					written++
				}
				for partition := range int32(4) {
					v := []byte("v")
					if partition == 1 {
						v = value
					}
					if err := producers[who].ProduceSync(t.Context(), &kgo.Record{Topic: topic, Partition: partition, Key: []byte(key), Value: v}).FirstErr(); err != nil {
						t.Fatal(err)
					}
				}
			}
			for who, p := range producers {
				if err := p.EndTransaction(t.Context(), kgo.TransactionEndTry(who != round%3)); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, partition := range []int32{0, 1, 3} {
			got := e.untilArrived(source(topic, partition), n)
			equal(t, source(topic, partition).String(), ids(got), wantIDs("a", 0, n))
			if partition == 1 && !bytes.Equal(got[n-1].Value.Value, value) {
				t.Error("a large value has changed")
			}
		}
		if got := len(e.visible(source(topic, 2))); got > 0 {
			t.Errorf("got %d records of the partition that waits", got)
		}
		close(gate)
		equal(t, "the one that waited", ids(e.untilArrived(source(topic, 2), n)), wantIDs("a", 0, n))
	})
}

// A partition that was full comes back soon, however long the others' fetch would wait for a record.
func TestNobodyWaitsForAnIdlePartition(t *testing.T) {
	t.Parallel()
	c := fake(t)
	k := newBroker(t, c.ListenAddrs())
	k.create("in", 2)
	const waitMS, many = 60_000, 60 // more short fetches than come while partitions are opened
	var mu sync.Mutex
	without := 0
	longest := int32(0)
	enough := make(chan struct{})
	c.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		if of := asked(request); len(of) == 1 && of[0] == 1 {
			longest = max(longest, request.(*kmsg.FetchRequest).MaxWaitMillis)
			if without++; without == many {
				close(enough)
			}
		}
		return nil, nil, false
	})
	e := newEngine(t)
	gate := make(chan struct{})
	e.gates[source("in", 0)] = gate
	config := k.config(observe(t), "in")
	config.BufferRecords = 10
	config.Properties = map[string]string{"fetch.max.wait.ms": fmt.Sprint(waitMS), "max.partition.fetch.bytes": "1"}
	run(t, config, e)
	const n = 40
	for i := range n {
		k.produce("in", 0, numbered("a", i, i+1)...)
	}
	select {
	case <-enough:
	case <-time.After(patience):
		t.Error("the full partition was not left out often enough")
	}
	close(gate)
	equal(t, "records", ids(e.untilArrived(source("in", 0), n)), wantIDs("a", 0, n))
	mu.Lock()
	defer mu.Unlock()
	if longest == waitMS {
		t.Errorf("a fetch that leaves out a full partition waits %d ms", longest)
	}
}

// A quota that is used up makes a broker wait for minutes; the end of Run does not.
func TestThrottled(t *testing.T) {
	t.Parallel()
	c := fake(t)
	k := newBroker(t, c.ListenAddrs())
	k.create("in", 1)
	throttled := make(chan struct{})
	c.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		close(throttled) // the only one
		answer := fetched(request, 0, func(p *kmsg.FetchResponseTopicPartition) { p.PreferredReadReplica = -1 })
		answer.(*kmsg.FetchResponse).ThrottleMillis = 600_000
		return answer, nil, true
	})
	e := newEngine(t)
	stop := run(t, k.config(observe(t), "in"), e)
	<-throttled
	k.produce("in", 0, numbered("a", 0, 1)...)
	stop() // it fails when that takes too long
	if n := len(e.visible(source("in", 0))); n > 0 {
		t.Errorf("got %d records within the pause", n)
	}
}

// A look is asked for before a fetch of what was not waited for up to now, and only then.
func TestDoubt(t *testing.T) {
	doubts := 0
	f := newFeed(newClientConfig(), func() { doubts++ })
	b := &fetcher{feed: f, wake: make(chan struct{}, 1), streams: map[*stream]struct{}{}}
	first, second := newTestStream(), newTestStream()
	second.source.Partition = 1
	first.buffer.resume = b.poke
	full := func(s *stream) { s.buffer.put(pack(10, 100, 1), 110) }
	for i, step := range []struct {
		what  string
		do    func()
		doubt bool
	}{
		{"the first fetch", func() { b.streams[first] = struct{}{} }, true},
		{"the next one, at once", func() {}, false},
		{"another partition", func() { b.streams[second] = struct{}{} }, true},
		{"both again", func() {}, false},
		{"one is full", func() { full(first) }, false},
		{"it is full still", func() {}, false},
		{"it is back", func() { _, _, _ = first.buffer.take() }, true},
		{"both again", func() {}, false},
		{"a pause between two fetches", func() { b.heard = time.Now().Add(-10 * unheardMax) }, true},
		{"one goes alone", func() { second.alone.Store(true) }, false},
		{"the other one, which was left out", func() {}, true},
	} {
		if i > 0 {
			b.heard = time.Now().Add(time.Minute) // a fetch has just ended, however slow this machine is
		}
		before := doubts
		step.do()
		if _, asked := b.request(); len(asked) == 0 {
			t.Fatalf("%s: nothing to fetch", step.what)
		}
		if got := doubts > before; got != step.doubt {
			t.Errorf("%s: doubt %v, want %v", step.what, got, step.doubt)
		}
	}
}

// A topic that is made anew while none of it is fetched, for there is no room, is noticed all the same.
func TestTopicMadeAnewWhileFull(t *testing.T) {
	t.Parallel()
	c := fake(t)
	k := newBroker(t, c.ListenAddrs())
	k.create("in", 1)
	const n = 10
	second := make(chan struct{}) // closed when the second batch is asked for
	c.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if request.(*kmsg.FetchRequest).Topics[0].Partitions[0].FetchOffset == n {
			select {
			case <-second:
			default:
				close(second)
			}
		}
		return nil, nil, false
	})
	for i := range 4 {
		k.produce("in", 0, numbered("old", n*i, n*i+n)...)
	}
	o, e := observe(t), newEngine(t)
	gate := make(chan struct{})
	e.gates[source("in", 0)] = gate
	config := k.config(o, "in")
	config.BufferRecords, config.DiscoveryInterval = n, time.Hour
	config.Properties = map[string]string{"max.partition.fetch.bytes": "1"}
	in, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	in.config.DiscoveryInterval = time.Hour // no look comes by itself
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { ended <- in.Run(ctx, e) }()
	defer func() { cancel(); <-ended }()
	e.until("a blocked hand-over", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.waiting[source("in", 0)] })
	<-second
	k.delete("in")
	k.create("in", 1)
	for i := range 6 {
		k.produce("in", 0, numbered("new", n*i, n*i+n)...)
	}
	close(gate)
	o.untilDegraded("in/0: " + topicAnew)
	got := ids(e.visible(source("in", 0)))
	equal(t, "records", got, wantIDs("old", 0, len(got)))
}
