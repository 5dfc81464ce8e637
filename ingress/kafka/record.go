package kafka

import (
	"bytes"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/stategate/stategate/api"
)

// entry is a record as it lies in a fetch.
type entry struct {
	offset     int64
	key, value []byte // nil: null
	headers    []header
}

type header struct{ key, value []byte }

// bytes is what it holds.
func (m *entry) bytes() int {
	n := len(m.key) + len(m.value)
	for _, h := range m.headers {
		n += len(h.key) + len(h.value)
	}
	return n
}

// slab is where small values are copied to, some to an allocation. A value that stays keeps the others of its slab in memory, so
// a slab is small: no record that waits costs more than slabBytes by it, about what a partition's bounds reckon with anyway.
type slab []byte

const (
	slabBytes    = 1024
	slabValueMax = slabBytes / 4 // a larger value has an allocation of its own
)

// clone copies a value that is not null.
func (s *slab) clone(value []byte) []byte {
	n := len(value)
	if n > slabValueMax {
		return bytes.Clone(value)
	}
	if cap(*s)-len(*s) < n || *s == nil {
		*s = make([]byte, 0, slabBytes)
	}
	at := len(*s)
	*s = append(*s, value...)
	return (*s)[at : at+n : at+n]
}

// record turns what Kafka holds into what the engine takes, in r, which is empty. Nothing of the result shares memory with the fetch
// that it came in: one small value must not keep a megabyte alive. skipped is the reason when the module says to pass over it.
func record(r *api.Record, source api.Source, topic *Topic, m *entry, values *slab) (skipped string) {
	r.Offset = m.offset
	switch {
	case m.key == nil:
		if topic.OnNullKey == NullSkip {
			return "null key"
		}
		r.Dead = deadLetter(source, topic, m, "null key", "the record has no key, so it is for no address")
	case m.value == nil:
		if topic.OnNullValue == NullSkip {
			return "null value"
		}
		r.Dead = deadLetter(source, topic, m, "null value", "the record has no value (a tombstone)")
	case len(m.key) > api.IDBytesMax:
		r.Dead = deadLetter(source, topic, m, "key too long", fmt.Sprintf("the key has %d bytes, an id at most %d", len(m.key), api.IDBytesMax))
	case !utf8.Valid(m.key):
		r.Dead = deadLetter(source, topic, m, "key is not UTF-8", "the key is no id: it is not UTF-8")
	case len(m.value) > api.ValueBytesMax:
		r.Dead = deadLetter(source, topic, m, "value too large", fmt.Sprintf("the value has %d bytes, at most %d are allowed", len(m.value), api.ValueBytesMax))
	default:
		// An id has memory of its own: it may stay for as long as its address is cached.
		r.ID = string(m.key)
		r.Value = api.TypedValue{TypeName: topic.ValueType, HasValue: true, Value: values.clone(m.value)}
		r.Routes = topic.Routes
	}
	if topic.traced {
		r.Trace = traceOf(m.headers)
	}
	return ""
}

// traceOf is the trace that a record's headers name; nil: none, or two that may differ.
func traceOf(headers []header) *api.Trace {
	var found []byte
	for i := range headers {
		if string(headers[i].key) != api.TraceHeader {
			continue
		}
		if found != nil || headers[i].value == nil {
			return nil
		}
		found = headers[i].value
	}
	return api.ParseTrace(found)
}

// deadLetter is the record as it came. What no store could hold of it is cut off, and the detail says so.
func deadLetter(source api.Source, topic *Topic, m *entry, reason, detail string) *api.DeadLetter {
	d := &api.DeadLetter{
		Kind: api.DeadRecord, From: source.Ingress, Reason: reason, Detail: detail, AtMS: time.Now().UnixMilli(),
		Source: source, Offset: m.offset, TypeName: topic.ValueType,
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
	d.Key = keep("key", m.key)
	for i, h := range m.headers {
		if len(h.key)+len(h.value) > left {
			d.Detail += fmt.Sprintf("; of its %d headers only %d are kept", len(m.headers), i)
			break
		}
		d.Headers = append(d.Headers, api.Header{Key: string(keep("header", h.key)), Value: keep("header", h.value)})
	}
	d.Value = keep("value", m.value)
	return d
}
