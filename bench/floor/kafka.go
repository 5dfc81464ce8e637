package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

func clientConfig(cfg config) *sarama.Config {
	c := sarama.NewConfig()
	c.ClientID = cfg.name
	c.Version = sarama.V2_8_0_0
	c.ChannelBufferSize = 2048
	c.Consumer.IsolationLevel = sarama.ReadCommitted
	c.Consumer.Return.Errors = true
	// While the caller is busy all partitions wait for it: none need be let go of so that others are not held up.
	c.Consumer.MaxProcessingTime = time.Minute
	p := &c.Producer
	p.Idempotent, p.RequiredAcks, c.Net.MaxOpenRequests = true, sarama.WaitForAll, 1
	p.Partitioner = sarama.NewMurmur2Partitioner
	// What fails fails the transaction, so nobody need be told what did not.
	p.Return.Successes, p.Return.Errors = false, true
	p.Transaction.ID = cfg.name
	p.Transaction.Timeout = 30 * time.Second
	p.Transaction.Retry.Max = 100
	p.Transaction.Retry.BackoffFunc = func(retries, _ int) time.Duration { return backoff(retries) }
	return c
}

// backoff is short at first: the end of the transaction before this one is what is mostly waited for, and it takes a millisecond or two.
func backoff(retries int) time.Duration {
	return min(time.Millisecond<<min(retries, 10), 100*time.Millisecond)
}

// openKafka ends what an earlier life left open, and only then asks which outputs were delivered.
func openKafka(ctx context.Context, cfg config) (in source, out sink, cursor int64, err error) {
	client, err := sarama.NewClient([]string{cfg.kafka}, clientConfig(cfg))
	if err != nil {
		return nil, nil, 0, fmt.Errorf("connect to Kafka: %w", err)
	}
	own := cfg.batches == "own"
	if own {
		out, err = openProducer(cfg, client)
	} else {
		out, err = openAsync(cfg, client)
	}
	if err != nil {
		_ = client.Close()
		return nil, nil, 0, err
	}
	defer func() {
		if err != nil {
			out.close()
		}
	}()
	if err := makeCursors(client, cfg.cursors); err != nil {
		return nil, nil, 0, err
	}
	if cursor, err = readCursor(ctx, client, cfg); err != nil {
		return nil, nil, 0, err
	}
	// Of its own: a fetch that waits for records holds up all that is behind it on its connection.
	reader, err := sarama.NewClient([]string{cfg.kafka}, clientConfig(cfg))
	if err != nil {
		return nil, nil, 0, fmt.Errorf("connect to Kafka: %w", err)
	}
	if own {
		return &fetcher{client: reader, topic: cfg.in}, out, cursor, nil
	}
	return &consumer{client: reader, topic: cfg.in}, out, cursor, nil
}

func makeCursors(client sarama.Client, topic string) error {
	controller, err := client.Controller()
	if err != nil {
		return err
	}
	detail := &sarama.TopicDetail{NumPartitions: 1, ReplicationFactor: -1}
	answer, err := controller.CreateTopics(sarama.NewCreateTopicsRequest(sarama.V2_8_0_0, map[string]*sarama.TopicDetail{topic: detail}, 10*time.Second, false))
	if err != nil {
		return err
	}
	if e := answer.TopicErrors[topic]; e != nil && e.Err != sarama.ErrNoError && e.Err != sarama.ErrTopicAlreadyExists {
		return fmt.Errorf("make topic %s: %w", topic, e)
	}
	return nil
}

// readCursor is the number of the last output that was delivered, 0: none was. Only an offset, or -1 without an error, is an answer; a
// coordinator that moved, loads or still settles a transaction is asked again.
func readCursor(ctx context.Context, client sarama.Client, cfg config) (int64, error) {
	for retries := 0; ; retries++ {
		cursor, err := askCursor(client, cfg)
		if err == nil {
			return cursor, nil
		}
		if !errors.Is(err, sarama.ErrUnstableOffsetCommit) {
			_ = client.RefreshCoordinator(cfg.name)
		}
		select {
		case <-ctx.Done():
			return 0, errors.Join(ctx.Err(), err)
		case <-time.After(backoff(retries)):
		}
	}
}

func askCursor(client sarama.Client, cfg config) (int64, error) {
	coordinator, err := client.Coordinator(cfg.name)
	if err != nil {
		return 0, err
	}
	request := sarama.NewOffsetFetchRequest(sarama.V2_8_0_0, cfg.name, map[string][]int32{cfg.cursors: {0}})
	request.RequireStable = true
	answer, err := coordinator.FetchOffset(request)
	if err != nil {
		_ = coordinator.Close()
		return 0, err
	}
	if err := answer.GroupError(); err != sarama.ErrNoError {
		return 0, err
	}
	block := answer.GetBlock(cfg.cursors, 0)
	switch {
	case block == nil:
		return 0, errors.New("the answer leaves the cursor out")
	case block.Err != sarama.ErrNoError:
		return 0, block.Err
	}
	return max(block.Offset, 0), nil
}

// async delivers with sarama's AsyncProducer.
type async struct {
	cfg      config
	client   sarama.Client
	producer sarama.AsyncProducer
	drained  chan struct{}
}

func openAsync(cfg config, client sarama.Client) (sink, error) {
	producer, err := sarama.NewAsyncProducerFromClient(client)
	if err != nil {
		return nil, fmt.Errorf("open the producer: %w", err)
	}
	a := &async{cfg: cfg, client: client, producer: producer, drained: make(chan struct{})}
	go func() {
		defer close(a.drained)
		for range producer.Errors() { // CommitTxn answers with it
		}
	}()
	return a, nil
}

func (a *async) close() {
	a.producer.AsyncClose()
	<-a.drained
	_ = a.client.Close()
}

// piece is an Encoder that costs no allocation of its own.
type piece []byte

func (p *piece) Encode() ([]byte, error) { return *p, nil }
func (p *piece) Length() int             { return len(*p) }

func (a *async) commit(rows []row) error {
	if err := a.producer.BeginTxn(); err != nil {
		return err
	}
	for _, r := range rows {
		messages, pieces, n := make([]sarama.ProducerMessage, r.count), make([]piece, 2*r.count), 0
		err := r.each(func(topic string, key, value []byte) {
			m, k, v := &messages[n], &pieces[2*n], &pieces[2*n+1]
			n++
			*k, *v = key, value
			m.Topic, m.Value = topic, v
			if key != nil {
				m.Key = k
			}
			a.producer.Input() <- m
		})
		if err != nil {
			return err
		}
	}
	cursor := map[string][]*sarama.PartitionOffsetMetadata{a.cfg.cursors: {{Offset: rows[len(rows)-1].last, LeaderEpoch: -1}}}
	if err := a.producer.AddOffsetsToTxn(cursor, a.cfg.name); err != nil {
		return err
	}
	return a.producer.CommitTxn()
}
