package kinesis

import (
	"bytes"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/stategate/stategate/api"
)

// record turns what a shard holds into what the engine takes. Nothing of the result shares memory with the answer that it came
// in: one small value must not keep megabytes alive.
func record(source api.Source, stream *Stream, offset int64, u *user) api.Record {
	r := api.Record{Offset: offset}
	dead := func(reason, detail string) {
		r.Dead = deadLetter(source, stream, offset, u, reason, detail)
	}
	switch {
	case !u.hasKey:
		dead("null key", "the record has no partition key, so it is for no address")
	case u.long > 0:
		dead("packed key too long", fmt.Sprintf("the record packs others, one of them with a partition key of %d characters, at most %d are allowed", u.long, keyLengthMax))
	case len(u.key) > api.IDBytesMax:
		dead("key too long", fmt.Sprintf("the partition key has %d bytes, an id at most %d", len(u.key), api.IDBytesMax))
	case !utf8.ValidString(u.key):
		dead("key is not UTF-8", "the partition key is no id: it is not UTF-8")
	case len(u.data) > api.ValueBytesMax:
		dead("value too large", fmt.Sprintf("the value has %d bytes, at most %d are allowed", len(u.data), api.ValueBytesMax))
	default:
		r.ID = u.key
		r.Value = api.TypedValue{TypeName: stream.ValueType, HasValue: true, Value: bytes.Clone(u.data)}
		r.Routes = stream.Routes
	}
	return r
}

// deadLetter is the record as it came. What no store could hold of it is cut off, and the detail says so.
func deadLetter(source api.Source, stream *Stream, offset int64, u *user, reason, detail string) *api.DeadLetter {
	d := &api.DeadLetter{
		Kind: api.DeadRecord, From: source.Ingress, Reason: reason, Detail: detail, AtMS: time.Now().UnixMilli(),
		Source: source, Offset: offset, TypeName: stream.ValueType,
	}
	left := api.ValueBytesMax
	keep := func(what string, b []byte) []byte {
		if len(b) > left {
			d.Detail += fmt.Sprintf("; of its %s only %d of %d bytes are kept", what, left, len(b))
			b = b[:left]
		}
		left -= len(b)
		return bytes.Clone(b)
	}
	if u.hasKey {
		d.Key = keep("key", []byte(u.key))
	}
	d.Value = keep("value", u.data)
	return d
}

const (
	batchRecordsMax = 512     // records of one Arrive
	batchBytesMax   = 1 << 20 // bytes of one Arrive; a larger record goes alone
)

// batches cuts users into runs for one Arrive each.
func batches(users []user) [][]user {
	var out [][]user
	from, bytes := 0, 0
	for i := range users {
		size := len(users[i].key) + len(users[i].data)
		if i > from && (i-from >= batchRecordsMax || bytes+size > batchBytesMax) {
			out = append(out, users[from:i])
			from, bytes = i, 0
		}
		bytes += size
	}
	if from < len(users) {
		out = append(out, users[from:])
	}
	return out
}
