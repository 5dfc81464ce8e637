package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

// builtIn is the namespace of the types that SDKs have built in.
const builtIn = "io.statefun.types/"

// bytesOfJSON is what an SDK reads as this value: of a type that SDKs have built in as they wrap it, of another one the JSON itself.
func bytesOfJSON(typeName string, raw json.RawMessage) ([]byte, error) {
	if len(raw) == 0 {
		return nil, errors.New("value is missing")
	}
	name, ours := strings.CutPrefix(typeName, builtIn)
	if !ours {
		return plainJSONBytes(typeName, raw)
	}
	var of proto.Message
	var err error
	switch name {
	case "bool":
		var v *bool
		if err = json.Unmarshal(raw, &v); err == nil && v != nil {
			of = &protocol.BooleanWrapper{Value: *v}
		}
	case "int":
		var n int64
		if n, err = wholeNumber(raw, 32); err == nil {
			of = &protocol.IntWrapper{Value: int32(n)}
		}
	case "long":
		var n int64
		if n, err = wholeNumber(raw, 64); err == nil {
			of = &protocol.LongWrapper{Value: n}
		}
	case "float":
		var f float64
		if f, err = floating(raw, 32); err == nil {
			of = &protocol.FloatWrapper{Value: float32(f)}
		}
	case "double":
		var f float64
		if f, err = floating(raw, 64); err == nil {
			of = &protocol.DoubleWrapper{Value: f}
		}
	case "string":
		var v *string
		if err = json.Unmarshal(raw, &v); err == nil && v != nil {
			of = &protocol.StringWrapper{Value: *v}
		}
	default:
		return nil, fmt.Errorf("the type %s has no values in JSON: send it in base64", shown(typeName))
	}
	if errors.Is(err, strconv.ErrRange) {
		return nil, fmt.Errorf("value is outside of what the type %s holds", name)
	}
	if err != nil || of == nil {
		return nil, fmt.Errorf("value is no %s", name)
	}
	value, err := proto.Marshal(of)
	if value == nil {
		value = []byte{} // what a wrapper leaves out is there all the same
	}
	return value, err
}

// wholeNumber reads a number, or one as a string where JSON's would lose digits on its way.
func wholeNumber(raw json.RawMessage, bits int) (int64, error) {
	text := string(raw)
	var unquoted string
	if json.Unmarshal(raw, &unquoted) == nil && text != "null" {
		text = unquoted
	}
	return strconv.ParseInt(text, 10, bits)
}

// notNumbers are the values that JSON has no numbers for.
var notNumbers = map[string]float64{"NaN": math.NaN(), "Infinity": math.Inf(1), "+Infinity": math.Inf(1), "-Infinity": math.Inf(-1), "+Inf": math.Inf(1), "-Inf": math.Inf(-1)}

func floating(raw json.RawMessage, bits int) (float64, error) {
	var text string
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &text); err != nil {
			return 0, err
		}
		f, ok := notNumbers[text]
		if !ok {
			return 0, errors.New("it is no number")
		}
		return f, nil
	}
	return strconv.ParseFloat(string(raw), bits)
}

// plainJSONBytes is JSON as the value of a type whose values are JSON, as far as its name tells.
func plainJSONBytes(typeName string, raw json.RawMessage) ([]byte, error) {
	object := slices.Contains([]byte("{["), raw[0])
	if strings.HasPrefix(typeName, "type.googleapis.com/") || !object && !strings.Contains(strings.ToLower(typeName), "json") {
		return nil, fmt.Errorf("it is not known how the type %s writes this value: send it in base64", shown(typeName))
	}
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return nil, errors.New("value is no JSON")
	}
	return b.Bytes(), nil
}
