package protocol_test

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

// The bytes that docs/PROTOCOL.md shows mean what it says of them.
func TestProtocolDocument(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "PROTOCOL.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := regexp.MustCompile(`(?m)^a[2a]06[0-9a-f]+$`).FindAllString(string(text), -1)
	if len(shown) != 3 {
		t.Fatalf("it shows %d messages, want 3", len(shown))
	}
	for i, c := range []struct {
		message proto.Message
		want    string
	}{
		{&protocol.ToFunction{}, `invocation { target { namespace: "a.b" type: "st" id: "k" }
			invocations { argument { typename: "io.statefun.types/string" has_value: true value: "\n\x02hi" } } }`},
		{&protocol.FromFunction{}, `incomplete_invocation_context { missing_values {
			state_name: "seen" expiration_spec { mode: AFTER_WRITE expire_after_millis: 5000 } type_typename: "io.statefun.types/int" } }`},
		{&protocol.FromFunction{}, `invocation_result {
			state_mutations { mutation_type: MODIFY state_name: "seen" state_value { typename: "io.statefun.types/int" has_value: true } }
			delayed_invocations { target { namespace: "a.b" type: "st" id: "k" }
				argument { typename: "io.statefun.types/string" has_value: true value: "\n\x01x" } } }`},
	} {
		data, err := hex.DecodeString(shown[i])
		if err != nil {
			t.Fatal(err)
		}
		want := c.message.ProtoReflect().New().Interface()
		if err := prototext.Unmarshal([]byte(c.want), want); err != nil {
			t.Fatal(err)
		}
		if err := proto.Unmarshal(data, c.message); err != nil || !proto.Equal(c.message, want) {
			t.Errorf("message %d: got %v, %v, want %v", i, c.message, err, want)
		}
	}
	for _, c := range []struct {
		message proto.Message
		bytes   string
	}{
		{&protocol.BooleanWrapper{Value: true}, "08 01"}, {&protocol.IntWrapper{Value: 1}, "0d 01 00 00 00"},
		{&protocol.LongWrapper{Value: 1}, "09 01 00 00 00 00 00 00 00"}, {&protocol.FloatWrapper{Value: 1.5}, "0d 00 00 c0 3f"},
		{&protocol.DoubleWrapper{Value: 1.5}, "09 00 00 00 00 00 00 f8 3f"}, {&protocol.StringWrapper{Value: "hi"}, "0a 02 68 69"},
	} {
		data, err := proto.Marshal(c.message)
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.ReplaceAll(c.bytes, " ", ""); hex.EncodeToString(data) != want || !strings.Contains(string(text), ": `"+c.bytes+"`") {
			t.Errorf("%v is %x, and the document must show %s", c.message, data, c.bytes)
		}
	}
}
