package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/IBM/sarama"
)

// producer speaks what Kafka's protocol asks of a producer, over a session's connections: its id and epoch, a sequence of numbers for
// each partition, transactions. One call of it runs at a time. It ends with the first error that it answers: what was under way then
// may have arrived or not, no number is taken back, and the next session begins with a new epoch or id.
type producer struct {
	s      *session
	client sarama.Client
	packer *packer

	id     int64 // -1: it is not idempotent
	epoch  int16
	next   map[place]int32 // sequence number of the next record; 0 where there is none
	open   bool            // Kafka may know of an open transaction
	astray bool            // records of it may still be on their way

	made time.Time                    // before it first needs a coordinator
	used map[*sarama.Broker]time.Time // when a coordinator was last asked
}

func newProducer(s *session, client sarama.Client) *producer {
	p := &producer{s: s, client: client, id: -1, epoch: -1, next: make(map[place]int32), made: time.Now(), used: make(map[*sarama.Broker]time.Time)}
	p.packer = newPacker(func(topic string) (all, writable []int32, err error) {
		if all, err = client.Partitions(topic); err != nil {
			return nil, nil, err
		}
		writable, _ = client.WritablePartitions(topic) // none: Partitions has just said that there are some
		return all, writable, nil
	})
	return p
}

// transactional is the transactional id, or "".
func (p *producer) transactional() string { return p.s.conf.Producer.Transaction.ID }

// send brings a part of outputs to Kafka, and returns when all are acknowledged or one batch has failed for good; then nothing more is
// sent. failed are the batches that Kafka does not take; others that are not marked as taken may have arrived.
func (p *producer) send(ctx context.Context, part []item, limits *limits) (lots []*lot, failed []*batch, err error) {
	lots, failed = p.packer.pack(part, limits)
	if len(failed) > 0 {
		return nil, failed, nil
	}
	if p.transactional() != "" && len(lots) > 0 {
		if err := p.addPartitions(lots); err != nil {
			return nil, nil, err
		}
	}
	p.seal(lots)
	for {
		if err := ctx.Err(); err != nil {
			return lots, nil, err
		}
		round := heads(lots)
		if len(round) == 0 {
			return lots, nil, nil
		}
		p.s.about("send")
		p.exchange(round)
		if failed = p.settle(lots); len(failed) > 0 {
			return lots, failed, nil
		}
	}
}

// seal gives every batch its sequence numbers.
func (p *producer) seal(lots []*lot) {
	conf, now := &p.s.conf.Producer, time.Now().Truncate(time.Millisecond)
	for _, l := range lots {
		for _, b := range l.batches {
			first := int32(-1)
			if p.id >= 0 {
				first = p.next[b.place]
				p.next[b.place] = after(first, len(b.records))
			}
			b.seal(p.id, p.epoch, first, p.transactional() != "", conf.Compression, conf.CompressionLevel, now)
		}
	}
}

// heads are the batches to send now: at most one of each partition, so that none can overtake another.
func heads(lots []*lot) (round []*batch) {
	for _, l := range lots {
		if b := l.head(); b != nil {
			round = append(round, b)
		}
	}
	return round
}

// exchange sends batches to their leaders, all leaders at once, and waits for all answers. What came of a batch is its err.
func (p *producer) exchange(round []*batch) {
	leaders := make(map[*sarama.Broker][]*batch, 1)
	for _, b := range round {
		leader, err := p.client.Leader(b.topic, b.partition)
		if b.err = err; err == nil {
			leaders[leader] = append(leaders[leader], b)
		}
	}
	if len(leaders) == 1 {
		for leader, batches := range leaders {
			p.deliver(leader, batches)
		}
		return
	}
	var all sync.WaitGroup
	for leader, batches := range leaders {
		all.Go(func() { p.deliver(leader, batches) })
	}
	all.Wait()
}

// deliver sends batches to one leader, in as few requests as their bound allows; one batch always goes.
func (p *producer) deliver(leader *sarama.Broker, batches []*batch) {
	for len(batches) > 0 {
		n, bytes := 1, batches[0].bytes
		for n < len(batches) && bytes+batches[n].bytes <= p.s.requestBytes {
			bytes += batches[n].bytes
			n++
		}
		p.ask(leader, batches[:n])
		batches = batches[n:]
	}
}

// ask sends one request. It touches nothing but the batches in it.
func (p *producer) ask(leader *sarama.Broker, batches []*batch) {
	conf := &p.s.conf.Producer
	req := &sarama.ProduceRequest{Version: produceVersion, RequiredAcks: conf.RequiredAcks, Timeout: int32(conf.Timeout / time.Millisecond)}
	if conf.Transaction.ID != "" {
		req.TransactionalID = &conf.Transaction.ID
	}
	for _, b := range batches {
		req.AddBatch(b.topic, b.partition, &b.sends)
	}
	var resp *sarama.ProduceResponse
	err := connected(leader)
	if err == nil {
		resp, err = leader.Produce(req)
		err = lost(err)
	}
	if err != nil && !unsendable(err) {
		_ = leader.Close() // else the broken connection would be used again
	}
	for _, b := range batches {
		b.err = err
		if err != nil || resp == nil { // none is awaited where the property acks says so
			continue
		}
		block := resp.GetBlock(b.topic, b.partition)
		switch {
		case block == nil:
			b.err = sarama.ErrIncompleteResponse
		case block.Err != sarama.ErrNoError && block.Err != sarama.ErrDuplicateSequenceNumber:
			b.err = block.Err
		}
	}
}

// settle takes what came of a round's batches: those that Kafka has are done, those that are worth it are tried again with the next
// round, after a while and by what metadata then say.
func (p *producer) settle(lots []*lot) (failed []*batch) {
	conf := &p.s.conf.Producer.Retry
	var ask []string
	tries := 0
	for _, l := range lots {
		b := l.head()
		if b != nil && isLost(b.err) {
			p.astray = true
		}
		switch {
		case b == nil:
		case b.err == nil:
			l.taken++
			p.s.acked.Add(uint64(len(b.items)))
		case b.tries < conf.Max && passing(b.err) && !p.s.wires.isCut():
			b.tries++
			tries = max(tries, b.tries)
			ask = append(ask, b.topic)
		default:
			failed = append(failed, b)
		}
	}
	if len(failed) == 0 && tries > 0 {
		p.s.wait(conf.BackoffFunc(tries-1, conf.Max))
		_ = p.client.RefreshMetadata(ask...) // what it does not know shows when the leader is asked for
	}
	return failed
}

// passing reports whether the same batch may be taken when it is sent once more: an idempotent producer's at most once, for its partition
// knows by the sequence number that it has it. So the one before may even arrive later, over whichever connection and in whichever
// transaction: it is refused.
func passing(err error) bool {
	var code sarama.KError
	if !errors.As(err, &code) {
		return !unsendable(err) && !errors.Is(err, sarama.ErrIncompleteResponse)
	}
	switch code {
	case sarama.ErrInvalidMessage, sarama.ErrUnknownTopicOrPartition, sarama.ErrLeaderNotAvailable, sarama.ErrNotLeaderForPartition,
		sarama.ErrRequestTimedOut, sarama.ErrNotEnoughReplicas, sarama.ErrNotEnoughReplicasAfterAppend, sarama.ErrKafkaStorageError:
		return true
	}
	return false
}

// connected waits for a broker's connection to be made. Its error says that there is none: nothing was sent.
func connected(b *sarama.Broker) error {
	ok, err := b.Connected()
	if err == nil && !ok {
		err = sarama.ErrNotConnected
	}
	return err
}

// lost makes what a connection says that was made of what it means: it leaves open what has become of the request.
func lost(err error) error {
	var code sarama.KError
	if err == nil || errors.As(err, &code) || unsendable(err) {
		return err
	}
	return &lostError{err}
}

// lostError does not unwrap: what helps against connections that cannot be made is of no use here.
type lostError struct{ cause error }

func (e *lostError) Error() string { return fmt.Sprintf("the answer is lost: %v", e.cause) }

func isLost(err error) bool {
	var e *lostError
	return errors.As(err, &e)
}

// unsendable reports whether a request never left, and never will.
func unsendable(err error) bool {
	var encoding sarama.PacketEncodingError
	return errors.As(err, &encoding) || errors.Is(err, sarama.ErrUnsupportedVersion)
}

// topicError is an error about one topic.
type topicError struct {
	topic string
	err   error
}

func (e *topicError) Error() string { return fmt.Sprintf("topic %s: %v", e.topic, e.err) }
func (e *topicError) Unwrap() error { return e.err }

const produceVersion = 8 // flexible ones cost a pass over the records more; brokers before 2.4 do not matter
