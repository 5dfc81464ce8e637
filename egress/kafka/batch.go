package kafka

import (
	"math/rand/v2"
	"time"

	"github.com/IBM/sarama"

	"github.com/stategate/stategate/api"
)

// place is one partition.
type place struct {
	topic     string
	partition int32
}

// batch is one record batch: outputs of one partition, in their order, that Kafka takes or refuses together.
type batch struct {
	place
	items   []*item
	bytes   int // as Kafka's Java producer judges it: never less than what is sent
	records []*sarama.Record
	sends   sarama.RecordBatch // the same bytes and the same sequence each time that it is tried again

	tries int   // that failed
	err   error // what the last one said; nil: Kafka has it, or it was not tried
}

// lot is what goes to one partition, a batch after the other.
type lot struct {
	batches []*batch
	taken   int // of batches, that Kafka has
}

// head is the batch to send now, or nil.
func (l *lot) head() *batch {
	if l.taken == len(l.batches) {
		return nil
	}
	return l.batches[l.taken]
}

// spread is how the outputs of one topic are spread over its partitions.
type spread struct {
	all, writable []int32 // the ids of its partitions; writable: of those that have a leader
	lots          []*lot  // by index in all; nil: nothing for it yet
	failed        *batch  // instead: outputs whose topic could not be looked up
}

// packer packs outputs into batches. What it hands out is good until it packs again.
type packer struct {
	lookup  func(topic string) (all, writable []int32, err error)
	spreads map[string]*spread
	lots    []*lot // of this time, in the order of their first outputs
	records []sarama.Record
	free    []*batch
}

func newPacker(lookup func(topic string) (all, writable []int32, err error)) *packer {
	return &packer{lookup: lookup, spreads: make(map[string]*spread)}
}

// pack puts what a part of outputs asks to be sent into batches, none above its topic's bound unless it is of one output. failed
// are outputs of topics that could not be looked up: then nothing should be sent.
func (p *packer) pack(part []item, limits *limits) (lots []*lot, failed []*batch) {
	p.release()
	if cap(p.records) < len(part) {
		p.records = make([]sarama.Record, 0, len(part))
	}
	var sp *spread
	topic, bound := "", 0
	for i := range part {
		it := &part[i]
		if !it.sends() {
			continue
		}
		if sp == nil || it.record.topic != topic {
			topic = it.record.topic
			sp, bound = p.spread(topic), limits.batch(topic)
			if sp.failed != nil && len(sp.failed.items) == 0 {
				failed = append(failed, sp.failed)
			}
		}
		if sp.failed != nil {
			sp.failed.items = append(sp.failed.items, it)
			continue
		}
		p.add(sp, it, bound)
	}
	return p.lots, failed
}

// spread is the topic's, looked up once each time.
func (p *packer) spread(topic string) *spread {
	if sp := p.spreads[topic]; sp != nil {
		return sp
	}
	all, writable, err := p.lookup(topic)
	sp := &spread{all: all, writable: writable}
	if err == nil && len(all) == 0 {
		err = sarama.ErrLeaderNotAvailable
	}
	if err != nil {
		sp.failed = &batch{place: place{topic, -1}, err: err}
	} else {
		sp.lots = make([]*lot, len(all))
	}
	p.spreads[topic] = sp
	return sp
}

// add puts an output behind what goes to its partition.
func (p *packer) add(sp *spread, it *item, bound int) {
	r := &it.record
	index := sp.choose(r.key)
	l := sp.lots[index]
	if l == nil {
		l = new(lot)
		sp.lots[index] = l
		p.lots = append(p.lots, l)
	}
	size := r.bytes()
	var b *batch
	if n := len(l.batches); n > 0 && l.batches[n-1].bytes+size <= bound {
		b = l.batches[n-1]
	} else {
		b = p.batch(place{r.topic, sp.all[index]})
		l.batches = append(l.batches, b)
	}
	p.records = append(p.records, sarama.Record{Key: r.key, Value: r.value, Headers: r.headers(), OffsetDelta: int64(len(b.records))})
	b.records = append(b.records, &p.records[len(p.records)-1])
	b.items = append(b.items, it)
	b.bytes += size
}

// choose is the index of the partition for a key.
func (sp *spread) choose(key []byte) int {
	if key != nil {
		return partition(key, len(sp.all))
	}
	if len(sp.writable) == 0 || len(sp.writable) == len(sp.all) {
		return rand.IntN(len(sp.all))
	}
	id := sp.writable[rand.IntN(len(sp.writable))]
	for i := range sp.all {
		if sp.all[i] == id {
			return i
		}
	}
	return 0
}

// partition is the one of n where Kafka's default partitioner puts a key.
func partition(key []byte, n int) int { return int(api.Murmur2(string(key))&0x7fffffff) % n }

func (p *packer) batch(at place) *batch {
	if n := len(p.free); n > 0 {
		b := p.free[n-1]
		p.free = p.free[:n-1]
		b.place, b.bytes = at, batchOverhead
		return b
	}
	return &batch{place: at, bytes: batchOverhead}
}

// release forgets what was packed last.
func (p *packer) release() {
	for _, l := range p.lots {
		for _, b := range l.batches {
			clear(b.items)
			clear(b.records)
			*b = batch{items: b.items[:0], records: b.records[:0]}
		}
		p.free = append(p.free, l.batches...)
	}
	clear(p.lots)
	clear(p.records)
	clear(p.spreads)
	p.lots, p.records = p.lots[:0], p.records[:0]
}

// seal makes the batch ready to be sent. Nothing of it changes any more.
func (b *batch) seal(id int64, epoch int16, sequence int32, transactional bool, codec sarama.CompressionCodec, level int, now time.Time) {
	b.sends = sarama.RecordBatch{
		Version: 2, Codec: codec, CompressionLevel: level, FirstTimestamp: now, MaxTimestamp: now,
		ProducerID: id, ProducerEpoch: epoch, FirstSequence: sequence, IsTransactional: transactional,
		Records: b.records, LastOffsetDelta: int32(len(b.records) - 1),
	}
}

// after is the sequence number n records behind another one. Behind the largest one they begin at 0 again.
func after(sequence int32, n int) int32 {
	return int32((int64(sequence) + int64(n)) & (1<<31 - 1))
}
