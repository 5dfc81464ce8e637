package kafka

import (
	"context"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/internal/testserver"
)

// A broker that is killed and comes back is a pause: what it acknowledged arrives once, in order, and the group's offset follows.
func TestBrokerKilled(t *testing.T) {
	t.Parallel()
	srv := testserver.PrivateKafka(t, testserver.KafkaConfig{})
	k := newBroker(t, []string{srv.Addr()})
	topic, group := k.name("in"), k.name("group")
	k.create(topic, 2)
	o, e := observe(t), newEngine(t)
	config := k.config(o, topic)
	config.Group = group
	stop := run(t, config, e)
	const step = 50
	for round, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		from := round * step
		k.produce(topic, 0, numbered("a", from, from+step/2)...)
		e.untilArrived(source(topic, 0), from+step/2)
		if err := srv.Stop(sig); err != nil {
			t.Fatal(err)
		}
		o.untilDegraded("no broker answers")
		if err := srv.Start(); err != nil {
			t.Fatal(err)
		}
		k.produce(topic, 0, numbered("a", from+step/2, from+step)...)
		e.untilArrived(source(topic, 0), from+step)
		o.untilRecovered("no broker answers")
	}
	equal(t, "records", ids(e.visible(source(topic, 0))), wantIDs("a", 0, 2*step))
	untilGroup(t, k, group, topic, 2*step)
	stop()
}

// A broker that is frozen in the middle of a transaction takes connections and answers nothing. That is said long before a
// request times out; nothing of the transaction is seen before its end, and all of it after.
func TestBrokerFrozen(t *testing.T) {
	t.Parallel()
	srv := testserver.PrivateKafka(t, testserver.KafkaConfig{})
	k := newBroker(t, []string{srv.Addr()})
	topic := k.name("in")
	k.create(topic, 1)
	o, e := observe(t), newEngine(t)
	run(t, k.config(o, topic), e)
	k.produce(topic, 0, numbered("a", 0, 1)...)
	e.untilArrived(source(topic, 0), 1)

	client, err := kgo.NewClient(kgo.SeedBrokers(k.addresses...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID(k.name("txn")))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	if err := client.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	records := numbered("a", 1, 20)
	for _, r := range records {
		r.Topic = topic
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := srv.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- client.EndTransaction(ctx, kgo.TryCommit) }()
	o.untilDegraded("no broker answers")
	if got := len(e.visible(source(topic, 0))); got != 1 {
		t.Errorf("got %d records of an open transaction, want the 1 before it", got)
	}
	if err := srv.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	o.untilRecovered("no broker answers")
	equal(t, "records", ids(e.untilArrived(source(topic, 0), 20)), wantIDs("a", 0, 20))
}
