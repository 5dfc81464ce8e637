package log

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
)

// ShownMax is how much of a value is shown, in bytes.
const ShownMax = 400

// Text is a value as people read it: on one line, without control characters, cut where it is long.
type Text struct {
	Type  string // type name, as it came
	Topic string // or stream, of a record for Kafka or Kinesis
	Key   string // of such a record
	Value string
}

// TextOf makes a value readable. Built-in types, JSON, text and the records of Kafka and Kinesis are decoded; of other bytes
// the first are shown as escapes. Any value has a text.
func TextOf(v api.TypedValue) Text {
	t := Text{Type: v.TypeName}
	if !v.HasValue {
		t.Value = "(no value)"
		return t
	}
	switch v.TypeName {
	case protocol.TypeKafkaProducerRecord:
		var r protocol.KafkaProducerRecord
		if proto.Unmarshal(v.Value, &r) == nil {
			return Text{Type: v.TypeName, Topic: r.Topic, Key: Bytes([]byte(r.Key)), Value: Bytes(r.ValueBytes)}
		}
	case protocol.TypeKinesisEgressRecord:
		var r protocol.KinesisEgressRecord
		if proto.Unmarshal(v.Value, &r) == nil {
			return Text{Type: v.TypeName, Topic: r.Stream, Key: Bytes([]byte(r.PartitionKey)), Value: Bytes(r.ValueBytes)}
		}
	}
	if text, ok := scalar(v); ok {
		t.Value = text
	} else {
		t.Value = Bytes(v.Value)
	}
	return t
}

// scalar reads the types that every SDK has.
func scalar(v api.TypedValue) (string, bool) {
	var (
		b protocol.BooleanWrapper
		i protocol.IntWrapper
		l protocol.LongWrapper
		f protocol.FloatWrapper
		d protocol.DoubleWrapper
		s protocol.StringWrapper
	)
	read := func(m proto.Message) bool { return proto.Unmarshal(v.Value, m) == nil }
	switch {
	case v.TypeName == protocol.TypeBool && read(&b):
		return strconv.FormatBool(b.Value), true
	case v.TypeName == protocol.TypeInt && read(&i):
		return strconv.FormatInt(int64(i.Value), 10), true
	case v.TypeName == protocol.TypeLong && read(&l):
		return strconv.FormatInt(l.Value, 10), true
	case v.TypeName == protocol.TypeFloat && read(&f):
		return strconv.FormatFloat(float64(f.Value), 'g', -1, 32), true
	case v.TypeName == protocol.TypeDouble && read(&d):
		return strconv.FormatFloat(d.Value, 'g', -1, 64), true
	case v.TypeName == protocol.TypeString && read(&s):
		return Bytes([]byte(s.Value)), true
	}
	return "", false
}

// Bytes shows bytes: text as it is, JSON on one line, what cannot be printed as escapes of Go.
func Bytes(b []byte) string {
	if len(b) > 0 && (b[0] == '{' || b[0] == '[') {
		var line bytes.Buffer
		if json.Compact(&line, b) == nil {
			b = line.Bytes()
		}
	}
	head, more := b, ""
	if len(b) > ShownMax {
		n := ShownMax
		for n > ShownMax-utf8.UTFMax && !utf8.RuneStart(b[n]) {
			n--
		}
		head, more = b[:n], fmt.Sprintf("... (%d bytes)", len(b))
	}
	return printable(head) + more
}

func cut(s string) string { return Bytes([]byte(s)) }

// printable escapes what a terminal would obey, or show as nothing.
func printable(b []byte) string {
	var out strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&out, `\x%02x`, b[0])
		case unicode.IsPrint(r):
			out.Write(b[:n])
		default:
			q := strconv.QuoteRune(r)
			out.WriteString(q[1 : len(q)-1])
		}
		b = b[n:]
	}
	return out.String()
}
