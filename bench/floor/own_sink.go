package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/IBM/sarama"
)

// batchBytesMax is what a record batch holds: brokers take 1 MB unless they are told otherwise.
const batchBytesMax = 900_000

// producer delivers with record batches of its own: transactions are small and one at a time, so all of a partition's outputs are one
// batch, and a transaction five requests. What goes wrong ends this life, so nothing is ever sent again under the same number.
type producer struct {
	cfg        config
	client     sarama.Client
	id         int64
	epoch      int16
	partitions map[string]*partitioner
	records    []sarama.Record // used again
}

// partitioner is a topic.
type partitioner struct {
	sarama.Partitioner
	topic      string
	partitions []*partition
}

// partition gathers a transaction's outputs.
type partition struct {
	number   int32
	sequence int32 // of the next record
	records  []*sarama.Record
	bytes    int
}

func openProducer(cfg config, client sarama.Client) (sink, error) {
	p := &producer{cfg: cfg, client: client, partitions: map[string]*partitioner{}}
	err := p.ask(func(coordinator *sarama.Broker) (sarama.KError, error) {
		answer, err := coordinator.InitProducerID(&sarama.InitProducerIDRequest{
			Version: 4, TransactionalID: &cfg.name, TransactionTimeout: client.Config().Producer.Transaction.Timeout, ProducerID: -1, ProducerEpoch: -1,
		})
		if err != nil {
			return 0, err
		}
		p.id, p.epoch = answer.ProducerID, answer.ProducerEpoch
		return answer.Err, nil
	})
	if err != nil {
		return nil, fmt.Errorf("open the producer: %w", err)
	}
	return p, nil
}

func (p *producer) close() { _ = p.client.Close() }

// ask asks the coordinator of the transactions, and again while it waits for the end of the one before or does not serve yet.
func (p *producer) ask(request func(*sarama.Broker) (sarama.KError, error)) error {
	for retries := 0; ; retries++ {
		coordinator, err := p.client.TransactionCoordinator(p.cfg.name)
		if err != nil {
			return err
		}
		code, err := request(coordinator)
		switch {
		case err != nil:
			return err
		case code == sarama.ErrNoError:
			return nil
		case code == sarama.ErrNotCoordinatorForConsumer || code == sarama.ErrConsumerCoordinatorNotAvailable:
			if err := p.client.RefreshTransactionCoordinator(p.cfg.name); err != nil {
				return err
			}
		case code != sarama.ErrConcurrentTransactions && code != sarama.ErrOffsetsLoadInProgress || retries == 100:
			return code
		}
		time.Sleep(backoff(retries))
	}
}

func (p *producer) commit(rows []row) error {
	if err := p.gather(rows); err != nil {
		return err
	}
	if err := p.addPartitions(); err != nil {
		return fmt.Errorf("add partitions: %w", err)
	}
	if err := p.produce(); err != nil {
		return fmt.Errorf("produce: %w", err)
	}
	if err := p.moveCursor(rows[len(rows)-1].last); err != nil {
		return fmt.Errorf("move the cursor: %w", err)
	}
	err := p.ask(func(coordinator *sarama.Broker) (sarama.KError, error) {
		answer, err := coordinator.EndTxn(&sarama.EndTxnRequest{Version: 3, TransactionalID: p.cfg.name, ProducerID: p.id, ProducerEpoch: p.epoch, TransactionResult: true})
		if err != nil {
			return 0, err
		}
		return answer.Err, nil
	})
	if err != nil {
		return fmt.Errorf("end the transaction: %w", err)
	}
	return nil
}

// gather sorts outputs by partition.
func (p *producer) gather(rows []row) error {
	count := 0
	for _, r := range rows {
		count += r.count
	}
	if cap(p.records) < count {
		p.records = make([]sarama.Record, count)
	}
	records, n := p.records[:count], 0
	var at *partitioner
	var message sarama.ProducerMessage
	var encoded piece
	for _, r := range rows {
		var failed error
		err := r.each(func(topic string, key, value []byte) {
			if at == nil || at.topic != topic {
				if at, failed = p.topic(topic); failed != nil {
					return
				}
			}
			if message.Key, encoded = nil, key; key != nil {
				message.Key = &encoded
			}
			number, _ := at.Partition(&message, int32(len(at.partitions))) // a hash, or chance: nothing that fails
			to := at.partitions[number]
			record := &records[n]
			n++
			*record = sarama.Record{Key: key, Value: value}
			to.records = append(to.records, record)
			to.bytes += len(key) + len(value) + 20
		})
		if err := errors.Join(failed, err); err != nil {
			return err
		}
	}
	return nil
}

func (p *producer) topic(name string) (*partitioner, error) {
	if t := p.partitions[name]; t != nil {
		return t, nil
	}
	numbers, err := p.client.Partitions(name)
	if err != nil {
		return nil, fmt.Errorf("partitions of %s: %w", name, err)
	}
	t := &partitioner{Partitioner: sarama.NewMurmur2Partitioner(name), topic: name}
	for _, number := range numbers {
		t.partitions = append(t.partitions, &partition{number: number})
	}
	p.partitions[name] = t
	return t, nil
}

func (p *producer) addPartitions() error {
	touched := map[string][]int32{}
	for name, t := range p.partitions {
		for _, part := range t.partitions {
			if len(part.records) > 0 {
				touched[name] = append(touched[name], part.number)
			}
		}
	}
	return p.ask(func(coordinator *sarama.Broker) (sarama.KError, error) {
		answer, err := coordinator.AddPartitionsToTxn(&sarama.AddPartitionsToTxnRequest{
			Version: 2, TransactionalID: p.cfg.name, ProducerID: p.id, ProducerEpoch: p.epoch, TopicPartitions: touched,
		})
		if err != nil {
			return 0, err
		}
		for _, partitions := range answer.Errors {
			for _, e := range partitions {
				if e.Err != sarama.ErrNoError {
					return e.Err, nil
				}
			}
		}
		return sarama.ErrNoError, nil
	})
}

// produce sends what is gathered: a request takes one batch of each partition, so there is mostly one request to each broker.
func (p *producer) produce() error {
	for left := true; left; {
		left = false
		requests := map[*sarama.Broker]*sarama.ProduceRequest{}
		for name, t := range p.partitions {
			for _, part := range t.partitions {
				if len(part.records) == 0 {
					continue
				}
				leader, err := p.client.Leader(name, part.number)
				if err != nil {
					return err
				}
				if requests[leader] == nil {
					requests[leader] = &sarama.ProduceRequest{Version: 7, TransactionalID: &p.cfg.name, RequiredAcks: sarama.WaitForAll, Timeout: 10_000}
				}
				requests[leader].AddBatch(name, part.number, part.take(p.id, p.epoch))
				left = left || len(part.records) > 0
			}
		}
		for leader, request := range requests {
			answer, err := leader.Produce(request)
			if err != nil {
				return err
			}
			for name, partitions := range answer.Blocks {
				for number, block := range partitions {
					if block.Err != sarama.ErrNoError {
						return fmt.Errorf("partition %d of %s: %w", number, name, block.Err)
					}
				}
			}
		}
	}
	return nil
}

// take makes a batch of the first records, of all when they fit.
func (part *partition) take(producer int64, epoch int16) *sarama.RecordBatch {
	n := len(part.records)
	if part.bytes > batchBytesMax {
		n = 0
		for size := 0; n < len(part.records); n++ {
			if size += len(part.records[n].Key) + len(part.records[n].Value) + 20; size > batchBytesMax && n > 0 {
				break
			}
		}
	}
	records := part.records[:n]
	for i, r := range records {
		r.OffsetDelta = int64(i)
		part.bytes -= len(r.Key) + len(r.Value) + 20
	}
	if part.records = part.records[n:]; len(part.records) == 0 {
		part.records = records[:0]
	}
	now := time.Now()
	b := &sarama.RecordBatch{
		Version: 2, ProducerID: producer, ProducerEpoch: epoch, FirstSequence: part.sequence, IsTransactional: true,
		FirstTimestamp: now, MaxTimestamp: now, LastOffsetDelta: int32(n - 1), Records: records,
	}
	part.sequence = int32((int64(part.sequence) + int64(n)) & 0x7fffffff) // as Kafka counts: behind the last comes 0
	return b
}

func (p *producer) moveCursor(last int64) error {
	err := p.ask(func(coordinator *sarama.Broker) (sarama.KError, error) {
		answer, err := coordinator.AddOffsetsToTxn(&sarama.AddOffsetsToTxnRequest{
			Version: 2, TransactionalID: p.cfg.name, ProducerID: p.id, ProducerEpoch: p.epoch, GroupID: p.cfg.name,
		})
		if err != nil {
			return 0, err
		}
		return answer.Err, nil
	})
	if err != nil {
		return err
	}
	coordinator, err := p.client.Coordinator(p.cfg.name)
	if err != nil {
		return err
	}
	answer, err := coordinator.TxnOffsetCommit(&sarama.TxnOffsetCommitRequest{
		Version: 2, TransactionalID: p.cfg.name, GroupID: p.cfg.name, ProducerID: p.id, ProducerEpoch: p.epoch,
		Topics: map[string][]*sarama.PartitionOffsetMetadata{p.cfg.cursors: {{Offset: last, LeaderEpoch: -1}}},
	})
	if err != nil {
		return err
	}
	for _, e := range answer.Topics[p.cfg.cursors] {
		if e.Err != sarama.ErrNoError {
			return e.Err
		}
	}
	return nil
}
