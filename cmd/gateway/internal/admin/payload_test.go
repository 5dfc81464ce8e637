package admin

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

func wrapped(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{}, b...)
}

// TestPayload: built-in types and JSON are shown as they mean, everything else in base64.
func TestPayload(t *testing.T) {
	deep := strings.Repeat("[", depthMax) + strings.Repeat("]", depthMax)
	for _, c := range []struct {
		name, typeName string
		value          []byte
		encoding, want string
	}{
		{"bool", "io.statefun.types/bool", wrapped(t, &protocol.BooleanWrapper{Value: true}), "json", "true"},
		{"a default", "io.statefun.types/bool", []byte{}, "json", "false"},
		{"int", "io.statefun.types/int", wrapped(t, &protocol.IntWrapper{Value: -7}), "json", "-7"},
		{"long", "io.statefun.types/long", wrapped(t, &protocol.LongWrapper{Value: math.MaxInt64}), "json", "9223372036854775807"},
		{"float", "io.statefun.types/float", wrapped(t, &protocol.FloatWrapper{Value: 1.5}), "json", "1.5"},
		{"double", "io.statefun.types/double", wrapped(t, &protocol.DoubleWrapper{Value: 1e300}), "json", "1e+300"},
		{"not a number", "io.statefun.types/double", wrapped(t, &protocol.DoubleWrapper{Value: math.NaN()}), "json", `"NaN"`},
		{"infinity", "io.statefun.types/float", wrapped(t, &protocol.FloatWrapper{Value: float32(math.Inf(-1))}), "json", `"-Infinity"`},
		{"string", "io.statefun.types/string", wrapped(t, &protocol.StringWrapper{Value: "a\"<é"}), "json", `"a\"<é"`},
		{"a string that is none", "io.statefun.types/string", []byte{0x0a, 1, 0xff}, "base64", `"CgH/"`},
		{"a string with something behind", "io.statefun.types/string", []byte{0x0a, 1, 'a', 0x10, 1}, "base64", `"CgFhEAE="`},
		{"another type in it", "io.statefun.types/int", wrapped(t, &protocol.StringWrapper{Value: "1"}), "base64", `"CgEx"`},
		{"a length that lies", "io.statefun.types/string", []byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f}, "base64", `"Cv////9/"`},
		{"an unknown built-in type", "io.statefun.types/decimal", []byte("{}"), "base64", `"e30="`},
		{"an object", "shop/cart", []byte(` {"a": [1, "x"]}`), "json", `{"a":[1,"x"]}`},
		{"a number of a type that says so", "shop/JSON", []byte("12"), "json", "12"},
		{"a number of another type", "shop/cart", []byte("12"), "base64", `"MTI="`},
		{"half an object", "shop/json", []byte(`{"a":`), "base64", `"eyJhIjo="`},
		{"two objects", "shop/json", []byte(`{}{}`), "base64", `"e317fQ=="`},
		{"JSON that is no UTF-8", "shop/json", []byte("[\"\xff\"]"), "base64", `"WyL/Il0="`},
		{"JSON that is deep", "shop/json", []byte(deep), "json", deep},
		{"JSON that is too deep", "shop/json", []byte("[" + deep + "]"), "base64", `"` + base64.StdEncoding.EncodeToString([]byte("["+deep+"]")) + `"`},
		{"nothing", "shop/cart", nil, "base64", "null"},
		{"an empty one", "shop/cart", []byte{}, "base64", `""`},
	} {
		s := showing{left: 1 << 20}
		p := s.payload(c.typeName, c.value)
		value := p.Value
		if value == nil {
			value = json.RawMessage("null")
		}
		var got bytes.Buffer
		if err := json.Compact(&got, value); err != nil || p.Encoding != c.encoding || got.String() != c.want || p.Bytes != len(c.value) || p.Omitted {
			t.Errorf("%s: %s %s, want %s %s: %v", c.name, p.Encoding, got.String(), c.encoding, c.want, err)
		}
		s.raw = true
		if p := s.payload(c.typeName, c.value); p.Encoding != "base64" || c.value != nil && string(p.Value) != `"`+base64.StdEncoding.EncodeToString(c.value)+`"` {
			t.Errorf("%s, raw: %s %s", c.name, p.Encoding, p.Value)
		}
	}
}

// TestPayloadRoom: what does not fit is left out, and nothing that fits grows beyond its room when it is written.
func TestPayloadRoom(t *testing.T) {
	lines := []byte(strings.Repeat("[", depthMax-1) + "[" + strings.Repeat("1,", 10_000) + "1]" + strings.Repeat("]", depthMax-1))
	for name, value := range map[string][]byte{"elements": lines, "tags": []byte(`["` + strings.Repeat("<", 20_000) + `"]`), "controls": []byte(`["` + strings.Repeat("\u009b", 20_000) + `"]`)} {
		room := 10 * len(value)
		s := showing{left: room}
		p := s.payload("shop/json", value)
		if written := len(encode(p)); p.Encoding == encodingJSON && written > room-s.left+300 || written > room+300 {
			t.Errorf("%s: %d bytes took %d of %d", name, len(value), written, room-s.left)
		}
	}
	s := showing{left: 100}
	if p := s.payload("a/b", make([]byte, 100)); !p.Omitted || p.Value != nil || s.left != 100 {
		t.Errorf("got %+v, %d are left", p, s.left)
	}
}

// FuzzPayload: any bytes are shown as JSON that is valid, harmless and within its room, and base64 gives them back.
func FuzzPayload(f *testing.F) {
	f.Add("io.statefun.types/string", []byte{0x0a, 1, 'a'}, 100)
	f.Add("shop/json", []byte(`{"a":[1,{"b":"<\u2028"}]}`), 1000)
	f.Add("", []byte("\xff"), 10)
	f.Fuzz(func(t *testing.T, typeName string, value []byte, left int) {
		if left < 0 || left > 1<<20 {
			return
		}
		s := showing{left: left}
		p := s.payload(typeName, value)
		text := encode(p)
		if !json.Valid(text) || bytes.ContainsFunc(text, harmful) {
			t.Fatalf("shown as %q", text)
		}
		if s.left < 0 || len(text) > left-s.left+6*len(typeName)+300 {
			t.Errorf("%d bytes of an answer, and %d of %d are left", len(text), s.left, left)
		}
		var back struct {
			Encoding string
			Value    []byte
		}
		if p.Encoding == encodingBase64 && !p.Omitted {
			if err := json.Unmarshal(text, &back); err != nil || !bytes.Equal(back.Value, value) {
				t.Errorf("%q is shown as %q: %v", value, text, err)
			}
		}
		if p.Encoding != encodingJSON || !strings.HasPrefix(typeName, builtIn) {
			return
		}
		if plain, err := bytesOfJSON(typeName, p.Value); err == nil {
			again := showing{left: 1 << 20}
			if q := again.payload(typeName, plain); string(q.Value) != string(p.Value) {
				t.Errorf("%q is written back as %q", p.Value, q.Value)
			}
		}
	})
}
