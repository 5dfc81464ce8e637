//go:build unix

package sdktest

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/stategate/stategate/api/protocol"
)

// kind is a type of values that all three applications have, and what its values look like on the wire.
type kind struct {
	name         string
	sample, next string // a value, and the one after it
	zero, one    string // the type's zero, and the one after that
}

// kinds in the order in which the application of a language shows them.
func kinds(t *testing.T, language string) []kind {
	t.Helper()
	note := func(n int, text string) string {
		if language == "python" { // whose json has spaces
			return fmt.Sprintf(`{"n": %d, "text": "%s"}`, n, text)
		}
		return fmt.Sprintf(`{"n":%d,"text":"%s"}`, n, text)
	}
	wire := func(m proto.Message) string {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	tenth := 0.1 // a variable: constants are added exactly
	return []kind{
		{name: "bool", sample: "\x08\x01", next: "", zero: "", one: "\x08\x01"},
		{name: "int", sample: "\x0d\x07\x00\x00\x00", next: "\x0d\x08\x00\x00\x00", zero: "", one: "\x0d\x01\x00\x00\x00"},
		{name: "long", sample: wire(&protocol.LongWrapper{Value: 1<<40 + 1}), next: wire(&protocol.LongWrapper{Value: 1<<40 + 2}), one: wire(&protocol.LongWrapper{Value: 1})},
		{name: "float", sample: "\x0d\x00\x00\xc0\x3f", next: "\x0d\x00\x00\x00\x40", one: "\x0d\x00\x00\x00\x3f"},
		{name: "double", sample: wire(&protocol.DoubleWrapper{Value: tenth}), next: wire(&protocol.DoubleWrapper{Value: tenth + 0.25}), one: wire(&protocol.DoubleWrapper{Value: 0.25})},
		{name: "string", sample: wire(&protocol.StringWrapper{Value: "grüße 😀"}), next: wire(&protocol.StringWrapper{Value: "grüße 😀!"}), one: "\x0a\x01!"},
		{name: "note", sample: note(1, "é"), next: note(2, "é"), zero: note(0, ""), one: note(1, "")},
		{name: "name", sample: wire(wrapperspb.String("p")), next: wire(wrapperspb.String("p!")), one: "\x0a\x01!"},
		{name: "blob", sample: "\x00\xff", next: "\x00\xff\x01", one: "\x01"},
	}
}
