package stategate

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// toFunction is a ToFunction, decoded. It is decoded by hand, in one copy of its bytes and with the names that a handler knows already:
// generated code makes some fifteen allocations of one message and one state.
type toFunction struct {
	namespace, name, id []byte // of the target
	targeted            bool   // it has a target
	states              []stateIn
	messages            []Invocation
}

// stateIn is a state as a request shows it.
type stateIn struct {
	name  []byte
	value TypedValue
}

// names are strings that come again and again: they need no copy.
type names map[string]string

func (n names) of(b []byte) string {
	if s, ok := n[string(b)]; ok {
		return s
	}
	return string(b)
}

var errNotUTF8 = errors.New("a string is not UTF-8")

// decodeRequest decodes a ToFunction as protobuf does: of a field that comes twice the last counts, messages are merged, what is not known
// is left out. What it answers shares nothing with b.
func (n names) decodeRequest(b []byte) (*toFunction, error) {
	r := &toFunction{}
	err := eachField(bytes.Clone(b), func(number protowire.Number, kind protowire.Type, value []byte, _ uint64) error {
		if number != 100 || kind != protowire.BytesType {
			return nil
		}
		return n.decodeBatch(r, value)
	})
	if err != nil {
		return nil, fmt.Errorf("parse request: %w", err)
	}
	return r, nil
}

func (n names) decodeBatch(r *toFunction, b []byte) error {
	return eachField(b, func(number protowire.Number, kind protowire.Type, value []byte, _ uint64) error {
		if kind != protowire.BytesType {
			return nil
		}
		switch number {
		case 1:
			r.targeted = true
			return decodeAddress(value, &r.namespace, &r.name, &r.id)
		case 2:
			r.states = append(r.states, stateIn{value: TypedValue{absent: true}})
			return n.decodeState(&r.states[len(r.states)-1], value)
		case 3:
			r.messages = append(r.messages, Invocation{argument: TypedValue{absent: true}})
			return n.decodeMessage(&r.messages[len(r.messages)-1], value)
		}
		return nil
	})
}

func decodeAddress(b []byte, namespace, name, id *[]byte) error {
	return eachField(b, func(number protowire.Number, kind protowire.Type, value []byte, _ uint64) error {
		if kind != protowire.BytesType || number > 3 {
			return nil
		}
		if !utf8.Valid(value) {
			return errNotUTF8
		}
		*[]*[]byte{namespace, name, id}[number-1] = value
		return nil
	})
}

func (n names) decodeState(s *stateIn, b []byte) error {
	return eachField(b, func(number protowire.Number, kind protowire.Type, value []byte, _ uint64) error {
		switch {
		case number == 1 && kind == protowire.BytesType:
			s.name = value
			if !utf8.Valid(value) {
				return errNotUTF8
			}
		case number == 2 && kind == protowire.BytesType:
			return n.decodeValue(&s.value, value)
		}
		return nil
	})
}

func (n names) decodeMessage(in *Invocation, b []byte) error {
	return eachField(b, func(number protowire.Number, kind protowire.Type, value []byte, _ uint64) error {
		switch {
		case number == 1 && kind == protowire.BytesType:
			var namespace, name, id []byte
			if in.called {
				namespace, name, id = []byte(in.caller.Namespace), []byte(in.caller.Name), []byte(in.caller.ID)
			}
			err := decodeAddress(value, &namespace, &name, &id)
			in.called, in.caller = true, Address{Namespace: n.of(namespace), Name: n.of(name), ID: string(id)}
			return err
		case number == 2 && kind == protowire.BytesType:
			return n.decodeValue(&in.argument, value)
		}
		return nil
	})
}

func (n names) decodeValue(v *TypedValue, b []byte) error {
	return eachField(b, func(number protowire.Number, kind protowire.Type, value []byte, has uint64) error {
		switch {
		case number == 1 && kind == protowire.BytesType:
			if !utf8.Valid(value) {
				return errNotUTF8
			}
			v.TypeName = n.of(value)
		case number == 2 && kind == protowire.VarintType:
			v.absent = has == 0
		case number == 3 && kind == protowire.BytesType:
			v.Value = value[:len(value):len(value)]
		}
		return nil
	})
}
