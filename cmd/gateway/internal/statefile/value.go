package statefile

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// The built-in types of StateFun: each is a protobuf message with one field 1, which is left out when it is the type's zero.
const (
	typeBool   = "io.statefun.types/bool"
	typeInt    = "io.statefun.types/int"
	typeLong   = "io.statefun.types/long"
	typeFloat  = "io.statefun.types/float"
	typeDouble = "io.statefun.types/double"
	typeString = "io.statefun.types/string"
)

// plainBytesMax is the longest text that is written as JSON: its escapes may take six times the room, base64 never does.
const plainBytesMax = 1 << 20

// exactMax is the highest integer below which a double tells all from each other: JavaScript and jq read numbers as doubles.
const exactMax = 1 << 53

// plain is a value of a built-in type as JSON; nil where it has another type, or other bytes than Import would make of that JSON.
func plain(typeName string, value []byte) []byte {
	text := toJSON(typeName, value)
	if text == nil {
		return nil
	}
	if back, err := fromJSON(typeName, text); err != nil || !bytes.Equal(back, value) {
		return nil
	}
	return text
}

func toJSON(typeName string, value []byte) []byte {
	field, ok := content(value)
	if !ok || len(value) > plainBytesMax {
		return nil
	}
	switch typeName {
	case typeBool:
		return strconv.AppendBool(nil, len(field) > 0)
	case typeInt:
		return strconv.AppendInt(nil, int64(int32(fixed(field))), 10)
	case typeLong:
		n := int64(fixed(field))
		if n <= -exactMax || n >= exactMax {
			return strconv.AppendQuote(nil, strconv.FormatInt(n, 10))
		}
		return strconv.AppendInt(nil, n, 10)
	case typeFloat:
		return number(float64(math.Float32frombits(uint32(fixed(field)))), 32)
	case typeDouble:
		return number(math.Float64frombits(fixed(field)), 64)
	case typeString:
		if !utf8.Valid(field) {
			return nil
		}
		return quote(string(field))
	}
	return nil
}

// content is what the one field of a wrapper holds; nil: the field is left out.
func content(value []byte) (field []byte, ok bool) {
	if len(value) == 0 {
		return nil, true
	}
	_, typ, n := protowire.ConsumeTag(value)
	if n < 0 {
		return nil, false
	}
	if typ == protowire.BytesType {
		field, n = protowire.ConsumeBytes(value[n:])
		return field, n >= 0
	}
	return value[n:], true
}

func fixed(field []byte) uint64 {
	var b [8]byte
	copy(b[:], field)
	return binary.LittleEndian.Uint64(b[:])
}

func number(f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return []byte(`"NaN"`)
	case math.IsInf(f, 1):
		return []byte(`"Infinity"`)
	case math.IsInf(f, -1):
		return []byte(`"-Infinity"`)
	}
	return strconv.AppendFloat(nil, f, 'g', -1, bits)
}

// quote is a text in JSON, without the escapes that only HTML needs.
func quote(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(s) // a text can be written always
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

var errNotBuiltIn = errors.New(`"value" is for the built-in types only (io.statefun.types/bool, int, long, float, double and string); give the bytes of other types as "base64"`)

// fromJSON is the bytes of a value of a built-in type, as the SDKs write them.
func fromJSON(typeName string, text []byte) ([]byte, error) {
	switch typeName {
	case typeBool:
		var v *bool
		if err := json.Unmarshal(text, &v); err != nil || v == nil {
			return nil, unlike("true or false", typeName)
		}
		if !*v {
			return []byte{}, nil
		}
		return []byte{8, 1}, nil
	case typeInt:
		n, err := strconv.ParseInt(unquoted(text), 10, 32)
		if err != nil {
			return nil, unlike("an integer of 32 bits", typeName)
		}
		return wrapper(0x0d, uint64(uint32(n)), 4), nil
	case typeLong:
		n, err := strconv.ParseInt(unquoted(text), 10, 64)
		if err != nil {
			return nil, unlike("an integer of 64 bits, as a number or as text", typeName)
		}
		return wrapper(0x09, uint64(n), 8), nil
	case typeFloat:
		f, err := strconv.ParseFloat(unquoted(text), 32)
		if err != nil || !isNumber(text) {
			return nil, unlike("a number that a float of 32 bits can hold, or \"NaN\", \"Infinity\", \"-Infinity\"", typeName)
		}
		return wrapper(0x0d, uint64(math.Float32bits(float32(f))), 4), nil
	case typeDouble:
		f, err := strconv.ParseFloat(unquoted(text), 64)
		if err != nil || !isNumber(text) {
			return nil, unlike("a number that a double can hold, or \"NaN\", \"Infinity\", \"-Infinity\"", typeName)
		}
		return wrapper(0x09, math.Float64bits(f), 8), nil
	case typeString:
		var v *string
		if err := json.Unmarshal(text, &v); err != nil || v == nil {
			return nil, unlike("a text", typeName)
		}
		if *v == "" {
			return []byte{}, nil
		}
		return protowire.AppendString([]byte{0x0a}, *v), nil
	}
	return nil, errNotBuiltIn
}

func unlike(want, typeName string) error { return fmt.Errorf("value: want %s for %s", want, typeName) }

// unquoted is a number's text, also of one that is written as text.
func unquoted(text []byte) string {
	if len(text) > 2 && text[0] == '"' && text[len(text)-1] == '"' {
		return string(text[1 : len(text)-1])
	}
	return string(text)
}

// isNumber keeps out what ParseFloat takes beside JSON's numbers.
func isNumber(text []byte) bool {
	switch string(text) {
	case `"NaN"`, `"Infinity"`, `"-Infinity"`:
		return true
	}
	return len(text) > 0 && (text[0] == '-' || text[0] >= '0' && text[0] <= '9')
}

// wrapper is a message with one number, or none: zero is left out. Of floats only the zero without a sign is.
func wrapper(tag byte, bits uint64, size int) []byte {
	if bits == 0 {
		return []byte{}
	}
	return binary.LittleEndian.AppendUint64([]byte{tag}, bits)[:1+size]
}
