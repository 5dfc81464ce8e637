//go:build unix

package sdktest

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stategate/stategate/api/protocol"
)

// Names of effects and of their parts, for tests that write them.
type (
	effects    = protocol.FromFunction_InvocationResponse
	spec       = protocol.FromFunction_PersistedValueSpec
	expiry     = protocol.FromFunction_ExpirationSpec
	mutation   = protocol.FromFunction_PersistedValueMutation
	message    = protocol.FromFunction_Invocation
	later      = protocol.FromFunction_DelayedInvocation
	egressed   = protocol.FromFunction_EgressMessage
	typedValue = protocol.TypedValue
	persisted  = protocol.ToFunction_PersistedValue
)

const (
	modify = protocol.FromFunction_PersistedValueMutation_MODIFY
	remove = protocol.FromFunction_PersistedValueMutation_DELETE
)

func value(typeName, bytes string) *typedValue {
	return &typedValue{Typename: typeName, HasValue: true, Value: []byte(bytes)}
}

func stringValue(t *testing.T, text string) *typedValue {
	t.Helper()
	return value(protocol.TypeString, string(encode(t, &protocol.StringWrapper{Value: text})))
}

func set(name string, v *typedValue) *mutation {
	return &mutation{MutationType: modify, StateName: name, StateValue: v}
}

func to(namespace, name, id string) *protocol.Address {
	return &protocol.Address{Namespace: namespace, Type: name, Id: id}
}

// record is an output for the topic "out" of the stage.
func (s *stage) record(t *testing.T, key, text string) *egressed {
	t.Helper()
	return s.recordOf(encode(t, &protocol.KafkaProducerRecord{Key: []byte(key), ValueBytes: []byte(text), Topic: s.prefix + "out"}))
}

func (s *stage) recordOf(bytes []byte) *egressed {
	return &egressed{EgressNamespace: "e.f", EgressType: "out", Argument: value(protocol.TypeKafkaProducerRecord, string(bytes))}
}

// protocolVector is one of testdata/protocol; its README says what the fields are.
type protocolVector struct {
	Name      string `json:"name"`
	Message   string `json:"message"`
	Hex       string `json:"hex"`
	Canonical *bool  `json:"canonical"`
}

func vectors(t *testing.T, file string) []protocolVector {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../../../testdata/protocol", file+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var all []protocolVector
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}
