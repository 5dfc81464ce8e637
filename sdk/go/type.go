package stategate

import (
	"bytes"
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/proto"
)

// TypedValue is a value as it travels: its type's name and its bytes.
type TypedValue struct {
	TypeName string
	Value    []byte // not to be changed
	absent   bool   // it came without a value, which is not the same as an empty one
	err      error  // why it could not be encoded; told by the effect that it is used for
}

// check answers why a value cannot be carried.
func (v TypedValue) check() error {
	if v.err != nil {
		return v.err
	}
	return checkText("type", v.TypeName)
}

// Type says how values of a Go type travel. Functions share types by name, whatever language they are written in.
type Type[T any] struct {
	Name   string // "namespace/name"
	Encode func(T) ([]byte, error)
	Decode func([]byte) (T, error) // must neither keep nor change the bytes
}

// Of encodes a value. When that fails, the effect that the result is used for fails the call.
func (t Type[T]) Of(value T) TypedValue {
	if t.Name == "" || t.Encode == nil {
		return TypedValue{err: fmt.Errorf("encode %T: its Type needs a Name and an Encode", value)}
	}
	b, err := t.Encode(value)
	if err != nil {
		return TypedValue{err: fmt.Errorf("encode %s: %w", t.Name, err)}
	}
	return TypedValue{TypeName: t.Name, Value: b}
}

// Is tells whether a value is of this type, by name.
func (t Type[T]) Is(v TypedValue) bool { return v.TypeName == t.Name }

// From decodes a value; one of another type, or without a value, is an error.
func (t Type[T]) From(v TypedValue) (T, error) {
	var none T
	switch {
	case v.err != nil:
		return none, v.err
	case !t.Is(v):
		return none, fmt.Errorf("decode %s: the value is of type %q", t.Name, v.TypeName)
	case v.absent:
		return none, fmt.Errorf("decode %s: there is no value", t.Name)
	case t.Decode == nil:
		return none, fmt.Errorf("decode %s: its Type has no Decode", t.Name)
	}
	value, err := t.Decode(v.Value)
	if err != nil {
		return none, fmt.Errorf("decode %s: %w", t.Name, err)
	}
	return value, nil
}

func newMessage[M proto.Message]() M {
	var none M
	return none.ProtoReflect().Type().New().Interface().(M)
}

// Bytes is a type of raw bytes, such as the values of a Kafka topic.
func Bytes(name string) Type[[]byte] {
	clone := func(b []byte) ([]byte, error) { return bytes.Clone(b), nil } // so that the function may change what it has
	return Type[[]byte]{Name: name, Encode: clone, Decode: clone}
}

// JSON is a type whose values travel as JSON.
func JSON[T any](name string) Type[T] {
	return Type[T]{
		Name:   name,
		Encode: func(v T) ([]byte, error) { return json.Marshal(v) },
		Decode: func(b []byte) (T, error) {
			var v T
			err := json.Unmarshal(b, &v)
			return v, err
		},
	}
}

// Protobuf is a type whose values are protobuf messages; M is a pointer to a generated struct. Its name is
// "type.googleapis.com/" and the message's full name.
func Protobuf[M proto.Message]() Type[M] {
	return Type[M]{
		Name:   "type.googleapis.com/" + string(newMessage[M]().ProtoReflect().Descriptor().FullName()),
		Encode: func(m M) ([]byte, error) { return proto.MarshalOptions{Deterministic: true}.Marshal(m) },
		Decode: func(b []byte) (M, error) {
			m := newMessage[M]()
			err := proto.Unmarshal(b, m)
			return m, err
		},
	}
}
