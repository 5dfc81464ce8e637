package admin

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

// jsonPayload is a typed value as it is shown: decoded where that can be done, else in base64.
type jsonPayload struct {
	TypeName string          `json:"typeName" about:"of the value; \"\": it has none"`
	Bytes    int             `json:"bytes" about:"of the value as it is stored"`
	Encoding string          `json:"encoding" about:"json: the value itself; base64: its bytes"`
	Value    json.RawMessage `json:"value" about:"null where there is none, or where it is left out"`
	Omitted  bool            `json:"omitted,omitempty" about:"the answer would grow too large"`
}

// Words for how a value is shown.
const (
	encodingJSON   = "json"
	encodingBase64 = "base64"
)

// depthMax is how deep the JSON of a value may be nested to be shown as JSON.
const depthMax = 100

// showing is how values are shown in one answer.
type showing struct {
	raw  bool // all in base64
	left int  // bytes of the answer for values
}

// payload shows a value, if there is room for it.
func (s *showing) payload(typeName string, value []byte) jsonPayload {
	p := jsonPayload{TypeName: typeName, Bytes: len(value), Encoding: encodingBase64}
	if value == nil {
		return p
	}
	size := base64.StdEncoding.EncodedLen(len(value)) + 2
	var decoded json.RawMessage
	if !s.raw && len(value) <= s.left {
		if d, shown := decode(typeName, value, s.left); d != nil {
			decoded, size, p.Encoding = d, shown, encodingJSON
		}
	}
	if size > s.left {
		p.Encoding, p.Omitted = encodingBase64, true
		return p
	}
	s.left -= size
	if p.Value = decoded; decoded == nil {
		p.Value = make(json.RawMessage, 0, size)
		p.Value = append(p.Value, '"')
		p.Value = base64.StdEncoding.AppendEncode(p.Value, value)
		p.Value = append(p.Value, '"')
	}
	return p
}

// decode is a value as JSON, and how many bytes of an answer that takes; nil where it is none, or takes more than there are left.
func decode(typeName string, value []byte, left int) (json.RawMessage, int) {
	if name, ours := strings.CutPrefix(typeName, builtIn); ours {
		if text, ok := decodeBuiltIn(name, value); ok {
			if size := textSize(text); size <= left {
				return quoted(text), size
			}
			return nil, 0
		}
		if scalar, ok := decodeScalar(name, value); ok {
			return scalar, len(scalar)
		}
		return nil, 0
	}
	trimmed := bytes.TrimLeft(value, " \t\r\n")
	whole := len(trimmed) > 0 && (trimmed[0] == '{' || trimmed[0] == '[')
	if !whole && !strings.Contains(strings.ToLower(typeName), "json") {
		return nil, 0
	}
	if size := jsonSize(value); size >= 0 && size <= left && utf8.Valid(value) && json.Valid(value) {
		return value, size
	}
	return nil, 0
}

// decodeBuiltIn reads io.statefun.types/string.
func decodeBuiltIn(name string, value []byte) (string, bool) {
	var text protocol.StringWrapper
	if name != "string" || !unwrap(value, &text) {
		return "", false
	}
	return text.Value, true
}

// decodeScalar reads the other types that SDKs have built in. What JSON has no numbers for is a text.
func decodeScalar(name string, value []byte) (json.RawMessage, bool) {
	var (
		truth  protocol.BooleanWrapper
		short  protocol.IntWrapper
		long   protocol.LongWrapper
		single protocol.FloatWrapper
		double protocol.DoubleWrapper
	)
	switch {
	case name == "bool" && unwrap(value, &truth):
		return strconv.AppendBool(nil, truth.Value), true
	case name == "int" && unwrap(value, &short):
		return strconv.AppendInt(nil, int64(short.Value), 10), true
	case name == "long" && unwrap(value, &long):
		return strconv.AppendInt(nil, long.Value, 10), true
	case name == "float" && unwrap(value, &single):
		return floatText(float64(single.Value), 32), true
	case name == "double" && unwrap(value, &double):
		return floatText(double.Value, 64), true
	}
	return nil, false
}

func floatText(f float64, bits int) json.RawMessage {
	switch {
	case math.IsNaN(f):
		return json.RawMessage(`"NaN"`)
	case math.IsInf(f, 1):
		return json.RawMessage(`"Infinity"`)
	case math.IsInf(f, -1):
		return json.RawMessage(`"-Infinity"`)
	}
	return strconv.AppendFloat(nil, f, 'g', -1, bits)
}

// unwrap reads one of the wrappers, and nothing that has more in it than that.
func unwrap(value []byte, into proto.Message) bool {
	return proto.Unmarshal(value, into) == nil && len(into.ProtoReflect().GetUnknown()) == 0
}

// quoted is a text in JSON.
func quoted(text string) json.RawMessage {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(text) // a text can be encoded always
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// textSize is how many bytes a text takes in an answer, at most.
func textSize(text string) int {
	size := 2
	for _, r := range text {
		size += runeSize(r)
		if r == '"' || r == '\\' {
			size++
		}
	}
	return size
}

// runeSize is how many bytes a character takes in an answer, at most.
func runeSize(r rune) int {
	switch {
	case r > 0xffff && harmful(r):
		return 12
	case r < ' ', harmful(r), r == '\u2028', r == '\u2029', r == utf8.RuneError:
		return 6
	}
	return utf8.RuneLen(r)
}

// indentOf is how deep a value stands in an answer, at most.
const indentOf = 8

// jsonSize is how many bytes a JSON takes in an answer, where each element has a line of its own; -1 where it is nested too deep.
func jsonSize(value []byte) int {
	size, depth, inText := 2, 0, false
	for i := 0; i < len(value); {
		r, n := utf8.DecodeRune(value[i:])
		i += n
		size += runeSize(r)
		switch {
		case inText:
			switch {
			case r == '\\' && i < len(value):
				i++
				size++
			case r == '"':
				inText = false
			}
		case r == '"':
			inText = true
		case r == '{' || r == '[':
			if depth++; depth > depthMax {
				return -1
			}
			size += 1 + 2*(depth+indentOf)
		case r == '}' || r == ']':
			depth--
			size += 1 + 2*(max(depth, 0)+indentOf)
		case r == ',':
			size += 1 + 2*(max(depth, 0)+indentOf)
		case r == ':':
			size++
		}
	}
	return size
}
