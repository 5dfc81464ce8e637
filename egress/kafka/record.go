package kafka

import (
	"fmt"

	"github.com/IBM/sarama"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
)

// record is what an output asks Kafka to keep.
type record struct {
	topic string
	key   []byte // nil: none
	value []byte // never nil: there are no tombstones
}

// Reasons of dead letters. They are stable: operators count by them.
const (
	reasonType    = "wrong type"
	reasonParse   = "unreadable record"
	reasonTopic   = "invalid topic"
	reasonMissing = "missing topic"
	reasonLarge   = "record too large"
	reasonBroker  = "refused by Kafka"
)

// Overheads by which Kafka's Java producer judges a record against max.request.size, in bytes.
const recordOverhead = 61 + 21 // of a batch, and at most of a record

func (r *record) size() int { return recordOverhead + len(r.key) + len(r.value) }

// judge reads the record from the output, or says why there is none. Java's SDK puts any bytes into the key; they are carried as
// they are.
func (it *item) judge(recordBytes int) {
	if it.judged {
		return
	}
	it.judged = true
	v := &it.output.Value
	if v.TypeName != protocol.TypeKafkaProducerRecord {
		it.refuse(reasonType, fmt.Sprintf("type %q: a Kafka egress takes %q", short(v.TypeName), protocol.TypeKafkaProducerRecord))
		return
	}
	var m protocol.KafkaProducerRecord
	if err := proto.Unmarshal(v.Value, &m); err != nil {
		it.refuse(reasonParse, err.Error())
		return
	}
	if err := checkTopic(m.Topic); err != nil {
		it.refuse(reasonTopic, short(err.Error()))
		return
	}
	it.record = record{topic: m.Topic, key: m.Key, value: m.ValueBytes}
	if len(it.record.key) == 0 {
		it.record.key = nil
	}
	if it.record.value == nil {
		it.record.value = []byte{}
	}
	if size := it.record.size(); size > recordBytes {
		it.refuse(reasonLarge, fmt.Sprintf("record of %d bytes for topic %s: max.request.size allows %d", size, m.Topic, recordBytes))
	}
}

// refuse marks the output as one that is to be set aside. What it asked to be sent is forgotten.
func (it *item) refuse(reason, detail string) {
	it.judged, it.record, it.reason, it.detail = true, record{}, reason, detail
}

// sends reports whether the output is to be sent.
func (it *item) sends() bool { return !it.aside && it.reason == "" }

// message is the record for the client. Metadata leads its answer back to the output.
func (it *item) message() *sarama.ProducerMessage {
	m := &sarama.ProducerMessage{Topic: it.record.topic, Value: sarama.ByteEncoder(it.record.value), Metadata: it}
	if it.record.key != nil {
		m.Key = sarama.ByteEncoder(it.record.key)
	}
	return m
}

// dead is the output's dead letter.
func (it *item) dead(egress string) api.DeadLetter {
	return api.DeadLetter{
		Kind: api.DeadOutput, From: egress, Reason: it.reason, Detail: it.detail, Offset: int64(it.number),
		Address: it.output.Sender, TypeName: it.output.Value.TypeName, Value: it.output.Value.Value,
	}
}

// short cuts hostile text.
func short(s string) string {
	const most = 300
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
