package protocol_test

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/stategate/stategate/api/protocol"
)

// vector is one entry of a file in testdata/protocol; its README says what the keys mean.
type vector struct {
	Name, Description, Message, Hex string
	JSON                            json.RawMessage
	Canonical                       *bool
}

func (v vector) bytes(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(v.Hex)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	return b
}

func (v vector) empty(t testing.TB) proto.Message {
	t.Helper()
	for _, m := range []proto.Message{
		&protocol.ToFunction{}, &protocol.FromFunction{}, &protocol.ToFunctions{}, &protocol.FromFunctions{},
		&protocol.BooleanWrapper{}, &protocol.IntWrapper{}, &protocol.LongWrapper{},
		&protocol.FloatWrapper{}, &protocol.DoubleWrapper{}, &protocol.StringWrapper{},
		&protocol.KafkaProducerRecord{}, &protocol.KinesisEgressRecord{},
	} {
		if string(m.ProtoReflect().Descriptor().Name()) == v.Message {
			return m
		}
	}
	t.Fatalf("%s: no message %q", v.Name, v.Message)
	return nil
}

func vectors(t testing.TB, file string) []vector {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "testdata", "protocol", file))
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(b, &vs); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if len(vs) == 0 {
		t.Fatalf("%s holds no vectors", file)
	}
	return vs
}

func TestVectors(t *testing.T) {
	for _, file := range []string{"request.json", "reply.json", "bulk.json", "bulk-refused.json", "type.json", "egress.json"} {
		for _, v := range vectors(t, file) {
			t.Run(file+"/"+v.Name, func(t *testing.T) {
				want := v.empty(t)
				if err := protojson.Unmarshal(v.JSON, want); err != nil {
					t.Fatalf("json: %v", err)
				}
				got := v.empty(t)
				if err := proto.Unmarshal(v.bytes(t), got); err != nil {
					t.Fatalf("decode: %v", err)
				}
				if diff := cmp.Diff(want, got, protocmp.Transform(), protocmp.IgnoreUnknown()); diff != "" {
					t.Errorf("decoded (-want +got):\n%s", diff)
				}
				if v.Canonical != nil && !*v.Canonical {
					return
				}
				b, err := proto.Marshal(want)
				if err != nil {
					t.Fatalf("encode: %v", err)
				}
				if got := hex.EncodeToString(b); got != v.Hex {
					t.Errorf("encoded\n got %s\nwant %s", got, v.Hex)
				}
			})
		}
	}
}

func TestBroken(t *testing.T) {
	for _, v := range vectors(t, "broken.json") {
		t.Run(v.Name, func(t *testing.T) {
			m := v.empty(t)
			if err := proto.Unmarshal(v.bytes(t), m); err == nil {
				t.Errorf("decoded to %v, want an error", m)
			}
		})
	}
}

// What bulk-refused.json holds breaks the rules of numbers, and what bulk.json holds keeps them.
func TestBulkNumbers(t *testing.T) {
	for file, want := range map[string]bool{"bulk.json": true, "bulk-refused.json": false} {
		for _, v := range vectors(t, file) {
			if v.Message != "ToFunctions" {
				continue
			}
			var m protocol.ToFunctions
			if err := proto.Unmarshal(v.bytes(t), &m); err != nil {
				t.Fatalf("%s: %v", v.Name, err)
			}
			numbers := map[uint32]bool{0: true}
			got := true
			for _, call := range m.GetCalls() {
				got = got && !numbers[call.GetNumber()]
				numbers[call.GetNumber()] = true
			}
			if got != want {
				t.Errorf("%s: the numbers are good: %v, want %v", v.Name, got, want)
			}
		}
	}
}

// The presence of a value and of a caller must survive the wire: absent and empty mean different things.
func TestPresence(t *testing.T) {
	for _, v := range vectors(t, "request.json") {
		var m protocol.ToFunction
		if err := proto.Unmarshal(v.bytes(t), &m); err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		switch states := m.GetInvocation().GetState(); v.Name {
		case "state-unset":
			if got := states[0].GetStateValue(); got != nil {
				t.Errorf("%s: state value %v, want none", v.Name, got)
			}
		case "state-empty":
			if got := states[0].GetStateValue(); !got.GetHasValue() || len(got.GetValue()) != 0 {
				t.Errorf("%s: state value %v, want an empty one", v.Name, got)
			}
		case "batch-with-caller":
			invocations := m.GetInvocation().GetInvocations()
			if invocations[0].GetCaller().GetId() != "j" || invocations[1].Caller != nil {
				t.Errorf("%s: callers %v, %v, want j and none", v.Name, invocations[0].Caller, invocations[1].Caller)
			}
		}
	}
}

// No name of StateFun's own protobuf definitions may be registered: an official SDK linked into the same process would panic.
func TestNames(t *testing.T) {
	for _, m := range []proto.Message{&protocol.ToFunction{}, &protocol.IntWrapper{}, &protocol.KafkaProducerRecord{}} {
		d := m.ProtoReflect().Descriptor()
		if got, want := string(d.ParentFile().Package()), "stategate.protocol.v1"; got != want {
			t.Errorf("%s is in protobuf package %s, want %s", d.Name(), got, want)
		}
		if got, want := filepath.Dir(d.ParentFile().Path()), "stategate/protocol/v1"; got != want {
			t.Errorf("%s is in folder %s, want %s", d.Name(), got, want)
		}
	}
}
