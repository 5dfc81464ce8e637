package kafka

import (
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// Versions of requests. Connections lower them to what their broker knows.
const (
	initVersion         = 4
	transactionVersion  = 3 // of AddPartitionsToTxn, AddOffsetsToTxn and EndTxn
	offsetCommitVersion = 3
)

// Bounds of asking again. An answer that says "not now" proves that the request is done with. More connections that cannot be made, or more
// that break, only hide that a broker is away.
const (
	againMax   = 100 // answers
	brokenMax  = 3   // connections
	unknownMax = 10  // answers that a topic or partition is not known; brokers hear of a new one a moment later
)

// restMax is how long a connection to a coordinator may rest. Brokers end connections that rest, and what is between loses them, mostly
// after some minutes; the client learns of it from the answer that is lost, and that costs a session.
const restMax = time.Minute

// coordinator is a broker with a task of its own.
type coordinator struct {
	find    func() (*sarama.Broker, error)
	refresh func() error
}

// byTransaction keeps the transactional id; where there is none, any broker does.
func (p *producer) byTransaction() coordinator {
	id := p.transactional()
	if id == "" {
		return coordinator{
			find: func() (*sarama.Broker, error) {
				if b := p.client.LeastLoadedBroker(); b != nil {
					return b, nil
				}
				return nil, sarama.ErrOutOfBrokers
			},
			refresh: func() error { return nil },
		}
	}
	return coordinator{
		find:    func() (*sarama.Broker, error) { return p.client.TransactionCoordinator(id) },
		refresh: func() error { return p.client.RefreshTransactionCoordinator(id) },
	}
}

// byGroup keeps the cursor.
func (p *producer) byGroup(group string) coordinator {
	return coordinator{
		find:    func() (*sarama.Broker, error) { return p.client.Coordinator(group) },
		refresh: func() error { return p.client.RefreshCoordinator(group) },
	}
}

// insist asks a coordinator until it answers for good: again where it says "not now", or where the request was never sent. A request of a
// transaction whose answer is lost is not made again. It may be on its way still, in the broker or behind a network that stood still, and
// says the producer's id and epoch but not of which transaction it is: the next one would be committed half, or its cursor set back. Only
// an end of the session, with a new epoch, keeps it out.
func (p *producer) insist(action string, at coordinator, ask func(*sarama.Broker) error) error {
	backoff := p.s.conf.Producer.Transaction.Retry.BackoffFunc
	for again, broken, unknown := 0, 0, 0; ; {
		b, err := at.find()
		if err == nil {
			err = p.reach(b)
		}
		if err == nil {
			p.s.about(action)
			err = lost(ask(b))
			p.used[b] = time.Now()
		}
		if err == nil {
			return nil
		}
		var code sarama.KError
		var left bool // to be asked again
		switch {
		case p.s.wires.isCut(), unsendable(err):
		case !errors.As(err, &code):
			broken++
			left = broken <= brokenMax && !(p.open && isLost(err))
			if b != nil {
				_ = b.Close() // else the broken connection would be used again
			}
			_ = at.refresh() // what it does not find shows when it is asked for
		case code == sarama.ErrUnknownTopicOrPartition:
			unknown++
			left = unknown <= unknownMax
		case notNow(code):
			again++
			left = again <= againMax
			if code == sarama.ErrNotCoordinatorForConsumer || code == sarama.ErrConsumerCoordinatorNotAvailable {
				_ = at.refresh()
			}
		}
		switch {
		case left:
		case isFenced(err):
			return &fencedError{action, err}
		default:
			return fmt.Errorf("%s: %w", action, err)
		}
		p.s.wait(backoff(again+broken+unknown-1, againMax))
	}
}

// reach makes sure of a connection to a coordinator.
func (p *producer) reach(b *sarama.Broker) error {
	last, asked := p.used[b]
	if !asked {
		last = p.made
	}
	if time.Since(last) > restMax {
		_ = b.Close() // it may never have been open
		_ = b.Open(p.s.conf)
	}
	return connected(b)
}

// notNow reports whether an answer says that nothing was done, or that what was done may be asked for once more: what Kafka's Java
// client calls retriable. The request behind such an answer is over, it does nothing later.
func notNow(code sarama.KError) bool {
	switch code {
	case sarama.ErrConcurrentTransactions, sarama.ErrOffsetsLoadInProgress, sarama.ErrConsumerCoordinatorNotAvailable, sarama.ErrNotCoordinatorForConsumer,
		sarama.ErrRequestTimedOut, sarama.ErrLeaderNotAvailable, sarama.ErrNotLeaderForPartition, sarama.ErrReplicaNotAvailable, sarama.ErrNetworkException,
		sarama.ErrNotEnoughReplicas, sarama.ErrNotEnoughReplicasAfterAppend, sarama.ErrNotController, sarama.ErrKafkaStorageError,
		sarama.ErrFencedLeaderEpoch, sarama.ErrUnknownLeaderEpoch, sarama.ErrListenerNotFound, sarama.ErrOffsetNotAvailable,
		sarama.ErrUnstableOffsetCommit, sarama.ErrThrottlingQuotaExceeded, sarama.ErrInvalidMessage:
		return true
	}
	return false
}

// begin gets the producer's id and epoch. With a transactional id it ends what a former session left open, and fences it: Kafka takes
// nothing any more under a lower epoch. One whose answer is lost may be made again: should the first arrive late, it fences this session,
// which then gives way to another.
func (p *producer) begin() error {
	conf := &p.s.conf.Producer
	if !conf.Idempotent {
		return nil
	}
	return p.insist("open producer", p.byTransaction(), func(b *sarama.Broker) error {
		req := &sarama.InitProducerIDRequest{Version: initVersion, ProducerID: -1, ProducerEpoch: -1}
		if conf.Transaction.ID != "" {
			req.TransactionalID, req.TransactionTimeout = &conf.Transaction.ID, conf.Transaction.Timeout
		}
		resp, err := b.InitProducerID(req)
		if err == nil {
			err = failure(resp.Err)
		}
		if err == nil {
			p.id, p.epoch = resp.ProducerID, resp.ProducerEpoch
		}
		return err
	})
}

// addPartitions makes the partitions of what is to be sent part of the transaction: with the first request it begins. A record for a
// partition that is not in it would be nobody's to commit or abort.
func (p *producer) addPartitions(lots []*lot) error {
	places := make(map[string][]int32)
	for _, l := range lots {
		at := l.batches[0].place
		places[at.topic] = append(places[at.topic], at.partition)
	}
	p.open = true
	return p.insist("add partitions to transaction", p.byTransaction(), func(b *sarama.Broker) error {
		resp, err := b.AddPartitionsToTxn(&sarama.AddPartitionsToTxnRequest{
			Version: transactionVersion, TransactionalID: p.transactional(), ProducerID: p.id, ProducerEpoch: p.epoch, TopicPartitions: places,
		})
		if err != nil {
			return err
		}
		return ofPlaces(places, resp.Errors)
	})
}

// ofPlaces is what an answer says that has an error code for each partition: every one that was asked for must be good. Of several
// errors it is the one that the others follow from.
func ofPlaces(places map[string][]int32, answers map[string][]*sarama.PartitionError) error {
	var worst error
	for topic, partitions := range places {
		codes := make(map[int32]sarama.KError, len(partitions))
		for _, a := range answers[topic] {
			codes[a.Partition] = a.Err
		}
		for _, id := range partitions {
			code, answered := codes[id]
			switch {
			case !answered:
				return &topicError{topic, sarama.ErrIncompleteResponse}
			case code == sarama.ErrNoError:
			case worst == nil, errors.Is(worst, sarama.ErrOperationNotAttempted), !notNow(code) && code != sarama.ErrOperationNotAttempted:
				worst = &topicError{topic, code}
			}
		}
	}
	return worst
}

// moveCursor makes the cursor part of the transaction. Nobody ever joins the group, so no generation is asked for.
func (p *producer) moveCursor(group, topic string, next uint64, claim string) error {
	p.open = true
	err := p.insist("add cursor to transaction", p.byTransaction(), func(b *sarama.Broker) error {
		resp, err := b.AddOffsetsToTxn(&sarama.AddOffsetsToTxnRequest{
			Version: transactionVersion, TransactionalID: p.transactional(), ProducerID: p.id, ProducerEpoch: p.epoch, GroupID: group,
		})
		if err != nil {
			return err
		}
		return failure(resp.Err)
	})
	if err != nil {
		return err
	}
	places := map[string][]int32{topic: {0}}
	cursor := map[string][]*sarama.PartitionOffsetMetadata{topic: {{Partition: 0, Offset: int64(next), Metadata: &claim}}}
	return p.insist("write cursor in transaction", p.byGroup(group), func(b *sarama.Broker) error {
		resp, err := b.TxnOffsetCommit(&sarama.TxnOffsetCommitRequest{
			Version: offsetCommitVersion, TransactionalID: p.transactional(), ProducerID: p.id, ProducerEpoch: p.epoch, GroupID: group,
			GenerationID: -1, Topics: cursor,
		})
		if err != nil {
			return err
		}
		return ofPlaces(places, resp.Topics)
	})
}

// end commits or aborts the transaction. No error: it is as asked; an error: only the cursor tells.
func (p *producer) end(commit bool) error {
	action := "abort transaction"
	if commit {
		action = "commit transaction"
	}
	err := p.insist(action, p.byTransaction(), func(b *sarama.Broker) error {
		resp, err := b.EndTxn(&sarama.EndTxnRequest{
			Version: transactionVersion, TransactionalID: p.transactional(), ProducerID: p.id, ProducerEpoch: p.epoch, TransactionResult: commit,
		})
		if err != nil {
			return err
		}
		return failure(resp.Err)
	})
	if err == nil {
		p.open, p.astray = false, false
	}
	return err
}

// failure is an error code as an error.
func failure(code sarama.KError) error {
	if code == sarama.ErrNoError {
		return nil
	}
	return code
}

// wait waits, but not longer than the session's connections last.
func (s *session) wait(d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-s.wires.ctx.Done():
	}
}
