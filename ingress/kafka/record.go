package kafka

import (
	"bytes"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/IBM/sarama"

	"github.com/stategate/stategate/api"
)

// record turns what Kafka holds into what the engine takes. Nothing of the result shares memory with the fetch that it came
// in: one small value must not keep a megabyte alive. skipped is the reason when the module says to pass over it.
func record(source api.Source, topic *Topic, m *sarama.ConsumerMessage) (r api.Record, skipped string) {
	r.Offset = m.Offset
	switch {
	case m.Key == nil:
		if topic.OnNullKey == NullSkip {
			return r, "null key"
		}
		r.Dead = deadLetter(source, topic, m, "null key", "the record has no key, so it is for no address")
	case m.Value == nil:
		if topic.OnNullValue == NullSkip {
			return r, "null value"
		}
		r.Dead = deadLetter(source, topic, m, "null value", "the record has no value (a tombstone)")
	case len(m.Key) > api.IDBytesMax:
		r.Dead = deadLetter(source, topic, m, "key too long", fmt.Sprintf("the key has %d bytes, an id at most %d", len(m.Key), api.IDBytesMax))
	case !utf8.Valid(m.Key):
		r.Dead = deadLetter(source, topic, m, "key is not UTF-8", "the key is no id: it is not UTF-8")
	case len(m.Value) > api.ValueBytesMax:
		r.Dead = deadLetter(source, topic, m, "value too large", fmt.Sprintf("the value has %d bytes, at most %d are allowed", len(m.Value), api.ValueBytesMax))
	default:
		r.ID = string(m.Key)
		r.Value = api.TypedValue{TypeName: topic.ValueType, HasValue: true, Value: bytes.Clone(m.Value)}
		r.Routes = topic.Routes
	}
	return r, ""
}

// deadLetter is the record as it came. What no store could hold of it is cut off, and the detail says so.
func deadLetter(source api.Source, topic *Topic, m *sarama.ConsumerMessage, reason, detail string) *api.DeadLetter {
	d := &api.DeadLetter{
		Kind: api.DeadRecord, From: source.Ingress, Reason: reason, Detail: detail, AtMS: time.Now().UnixMilli(),
		Source: source, Offset: m.Offset, TypeName: topic.ValueType,
	}
	left := api.ValueBytesMax
	keep := func(what string, b []byte) []byte {
		if b == nil {
			return nil
		}
		if len(b) > left {
			d.Detail += fmt.Sprintf("; of its %s only %d of %d bytes are kept", what, left, len(b))
			b = b[:left]
		}
		left -= len(b)
		return bytes.Clone(b)
	}
	d.Key = keep("key", m.Key)
	for i, h := range m.Headers {
		if h == nil {
			continue
		}
		if len(h.Key)+len(h.Value) > left {
			d.Detail += fmt.Sprintf("; of its %d headers only %d are kept", len(m.Headers), i)
			break
		}
		d.Headers = append(d.Headers, api.Header{Key: string(keep("header", h.Key)), Value: keep("header", h.Value)})
	}
	d.Value = keep("value", m.Value)
	return d
}
