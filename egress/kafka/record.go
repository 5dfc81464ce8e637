package kafka

import (
	"fmt"

	"github.com/IBM/sarama"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
)

// record is what an output asks Kafka to keep.
type record struct {
	topic string
	key   []byte     // nil: none
	value []byte     // never nil: there are no tombstones
	trace *api.Trace // that its header says; nil: it has none
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
const (
	batchOverhead  = 61
	recordMax      = 21 // at most, beside key and value
	recordOverhead = batchOverhead + recordMax
)

// traceMax is what the header of a trace takes at most: its name, its text, and their lengths.
const traceMax = len(api.TraceHeader) + api.TraceTextBytes + 4

func (r *record) size() int { return batchOverhead + r.bytes() }

// bytes are those that it takes in a batch.
func (r *record) bytes() int {
	n := recordMax + len(r.key) + len(r.value)
	if r.trace != nil {
		n += traceMax
	}
	return n
}

// headers of the record in Kafka.
func (r *record) headers() []*sarama.RecordHeader {
	if r.trace == nil {
		return nil
	}
	return []*sarama.RecordHeader{{Key: []byte(api.TraceHeader), Value: r.trace.Append(nil)}}
}

// judge reads the record from the output, or says why there is none. Java's SDK puts any bytes into the key; they are carried as
// they are.
func (it *item) judge(topics *topics, recordBytes int) {
	if it.judged {
		return
	}
	it.judged = true
	v := &it.output.Value
	if v.TypeName != protocol.TypeKafkaProducerRecord {
		it.refuse(reasonType, fmt.Sprintf("type %q: a Kafka egress takes %q", short(v.TypeName), protocol.TypeKafkaProducerRecord))
		return
	}
	topic, key, value, err := parse(v.Value)
	if err != nil {
		it.refuse(reasonParse, err.Error())
		return
	}
	name, err := topics.name(topic)
	if err != nil {
		it.refuse(reasonTopic, short(err.Error()))
		return
	}
	it.record = record{topic: name, key: key, value: value, trace: it.output.Trace}
	if len(key) == 0 {
		it.record.key = nil
	}
	if value == nil {
		it.record.value = []byte{}
	}
	if it.record.size() > recordBytes {
		it.record.trace = nil // it is no reason for setting it aside
	}
	if size := it.record.size(); size > recordBytes {
		it.refuse(reasonLarge, fmt.Sprintf("record of %d bytes for topic %s: max.request.size allows %d", size, name, recordBytes))
	}
}

// Fields of protocol.KafkaProducerRecord.
const (
	fieldKey   = 1
	fieldValue = 2
	fieldTopic = 3
)

// parse reads a protocol.KafkaProducerRecord as proto.Unmarshal does, without copying: what it answers lies in b.
func parse(b []byte) (topic, key, value []byte, err error) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil, nil, nil, protowire.ParseError(n)
		}
		if num > protowire.MaxValidNumber {
			return nil, nil, nil, fmt.Errorf("field number %d", num)
		}
		b = b[n:]
		if typ == protowire.BytesType && num >= fieldKey && num <= fieldTopic {
			var field []byte
			if field, n = protowire.ConsumeBytes(b); n >= 0 {
				switch num {
				case fieldKey:
					key = field
				case fieldValue:
					value = field
				case fieldTopic:
					topic = field
				}
			}
		} else {
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return nil, nil, nil, protowire.ParseError(n)
		}
		b = b[n:]
	}
	return topic, key, value, nil
}

// refuse marks the output as one that is to be set aside. What it asked to be sent is forgotten.
func (it *item) refuse(reason, detail string) {
	it.judged, it.record, it.reason, it.detail = true, record{}, reason, detail
}

// sends reports whether the output is to be sent.
func (it *item) sends() bool { return !it.aside && it.reason == "" }

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
