package stategate

import (
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/sdk/go/internal/protocol"
)

// The built-in types, which every SDK knows.
var (
	Bool = wrapped("io.statefun.types/bool", encodeBool, decodeBool, func(m *protocol.BooleanWrapper) bool { return m.Value })
	Int  = wrapped("io.statefun.types/int", func(v int32) ([]byte, error) { return encode4(uint32(v)), nil },
		func(b []byte) (int32, bool) { v, ok := decode4(b); return int32(v), ok },
		func(m *protocol.IntWrapper) int32 { return m.Value })
	Long = wrapped("io.statefun.types/long", func(v int64) ([]byte, error) { return encode8(uint64(v)), nil },
		func(b []byte) (int64, bool) { v, ok := decode8(b); return int64(v), ok },
		func(m *protocol.LongWrapper) int64 { return m.Value })
	Float = wrapped("io.statefun.types/float", func(v float32) ([]byte, error) { return encode4(math.Float32bits(v)), nil },
		func(b []byte) (float32, bool) { v, ok := decode4(b); return math.Float32frombits(v), ok },
		func(m *protocol.FloatWrapper) float32 { return m.Value })
	Double = wrapped("io.statefun.types/double", func(v float64) ([]byte, error) { return encode8(math.Float64bits(v)), nil },
		func(b []byte) (float64, bool) { v, ok := decode8(b); return math.Float64frombits(v), ok },
		func(m *protocol.DoubleWrapper) float64 { return m.Value })
	String = wrapped("io.statefun.types/string", encodeString, decodeString, func(m *protocol.StringWrapper) string { return m.Value })
)

// wrapped is a built-in type: a message with one field. decode reads it as everybody writes it; anything else is left to protobuf.
func wrapped[T any, M proto.Message](name string, encode func(T) ([]byte, error), decode func([]byte) (T, bool), unwrap func(M) T) Type[T] {
	return Type[T]{
		Name:   name,
		Encode: encode,
		Decode: func(b []byte) (T, error) {
			if v, ok := decode(b); ok {
				return v, nil
			}
			m := newMessage[M]()
			err := proto.Unmarshal(b, m)
			return unwrap(m), err
		},
	}
}

func encodeBool(v bool) ([]byte, error) {
	if !v {
		return nil, nil
	}
	return []byte{1 << 3, 1}, nil
}

func decodeBool(b []byte) (v, ok bool) {
	v = len(b) == 2 && b[0] == 1<<3 && b[1] == 1
	return v, v || len(b) == 0
}

func encode4(bits uint32) []byte {
	if bits == 0 {
		return nil
	}
	return binary.LittleEndian.AppendUint32(append(make([]byte, 0, 5), 1<<3|byte(protowire.Fixed32Type)), bits)
}

func decode4(b []byte) (bits uint32, ok bool) {
	if len(b) == 5 && b[0] == 1<<3|byte(protowire.Fixed32Type) {
		return binary.LittleEndian.Uint32(b[1:]), true
	}
	return 0, len(b) == 0
}

func encode8(bits uint64) []byte {
	if bits == 0 {
		return nil
	}
	return binary.LittleEndian.AppendUint64(append(make([]byte, 0, 9), 1<<3|byte(protowire.Fixed64Type)), bits)
}

func decode8(b []byte) (bits uint64, ok bool) {
	if len(b) == 9 && b[0] == 1<<3|byte(protowire.Fixed64Type) {
		return binary.LittleEndian.Uint64(b[1:]), true
	}
	return 0, len(b) == 0
}

func encodeString(v string) ([]byte, error) {
	if !utf8.ValidString(v) {
		return nil, errors.New("the text is not UTF-8")
	}
	return appendText(make([]byte, 0, sizeOf(len(v))), 1, v), nil
}

func decodeString(b []byte) (v string, ok bool) {
	if len(b) == 0 {
		return "", true
	}
	if b[0] != 1<<3|byte(protowire.BytesType) {
		return "", false
	}
	text, n := protowire.ConsumeBytes(b[1:])
	return string(text), n == len(b)-1 && utf8.Valid(text)
}
