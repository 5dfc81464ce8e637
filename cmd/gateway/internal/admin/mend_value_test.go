package admin

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

func TestBytesOfJSON(t *testing.T) {
	wire := func(m proto.Message) string {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, c := range []struct {
		typeName, value string
		want            string // "-": refused
	}{
		{"io.statefun.types/bool", "true", wire(&protocol.BooleanWrapper{Value: true})},
		{"io.statefun.types/bool", "false", ""},
		{"io.statefun.types/bool", "1", "-"},
		{"io.statefun.types/bool", "null", "-"},
		{"io.statefun.types/bool", `"true"`, "-"},
		{"io.statefun.types/int", "-2147483648", wire(&protocol.IntWrapper{Value: math.MinInt32})},
		{"io.statefun.types/int", "2147483648", "-"},
		{"io.statefun.types/int", "0", ""},
		{"io.statefun.types/int", "1.0", "-"},
		{"io.statefun.types/int", "1e2", "-"},
		{"io.statefun.types/int", "null", "-"},
		{"io.statefun.types/long", "9223372036854775807", wire(&protocol.LongWrapper{Value: math.MaxInt64})},
		{"io.statefun.types/long", `"9223372036854775807"`, wire(&protocol.LongWrapper{Value: math.MaxInt64})},
		{"io.statefun.types/long", "9223372036854775808", "-"},
		{"io.statefun.types/long", `"x"`, "-"},
		{"io.statefun.types/float", "1.5", wire(&protocol.FloatWrapper{Value: 1.5})},
		{"io.statefun.types/float", "1e39", "-"},
		{"io.statefun.types/float", `"NaN"`, wire(&protocol.FloatWrapper{Value: float32(math.NaN())})},
		{"io.statefun.types/double", "1e39", wire(&protocol.DoubleWrapper{Value: 1e39})},
		{"io.statefun.types/double", "-0.0", wire(&protocol.DoubleWrapper{Value: math.Copysign(0, -1)})},
		{"io.statefun.types/double", "1e400", "-"},
		{"io.statefun.types/double", `"-Infinity"`, wire(&protocol.DoubleWrapper{Value: math.Inf(-1)})},
		{"io.statefun.types/double", `"1.5"`, "-"},
		{"io.statefun.types/double", "null", "-"},
		{"io.statefun.types/double", "", "-"}, {"io.statefun.types/int", "", "-"}, {"io.statefun.types/bool", "", "-"}, {"io.statefun.types/string", "", "-"}, {"shop/cart", "", "-"},
		{"io.statefun.types/string", `"é\u0000"`, wire(&protocol.StringWrapper{Value: "é\x00"})},
		{"io.statefun.types/string", `""`, ""},
		{"io.statefun.types/string", "7", "-"},
		{"io.statefun.types/string", "null", "-"},
		{"io.statefun.types/money", "7", "-"},
		{"shop/cart", `{ "a" : [ 1 , 2.50 ] }`, `{"a":[1,2.50]}`},
		{"shop/cart", `[]`, `[]`},
		{"shop/cart", `7`, "-"},
		{"shop/cart", `"x"`, "-"},
		{"shop/CartJSON", `"x"`, `"x"`},
		{"io.stategate.types/json", `null`, `null`},
		{"type.googleapis.com/shop.Cart", `{}`, "-"},
		{"type.googleapis.com/shop.json", `{}`, "-"},
		{strings.Repeat("x", 100_000), `7`, "-"},
	} {
		got, err := bytesOfJSON(c.typeName, json.RawMessage(c.value))
		if (err != nil) != (c.want == "-") || err == nil && (string(got) != c.want || got == nil) {
			t.Errorf("%.40s %s: got %q, %v, want %q", c.typeName, c.value, got, err, c.want)
		}
		if err != nil && len(err.Error()) > 400 {
			t.Errorf("%.40s: the error has %d bytes", c.typeName, len(err.Error()))
		}
	}
}

// FuzzBody: whatever a body is, it is read as one object of which each member is known and given once, or it is refused.
func FuzzBody(f *testing.F) {
	for _, seed := range []string{`{"deliver":"new"}`, `{"all":true,"after":"3"}`, `{"typeName":"io.statefun.types/int","value":7}`, `{"to":{"namespace":"a","name":"b","id":"c"}}`, `{"a":{}} {}`, `[{}]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := objectOf(body)
		if err != nil {
			return
		}
		var plain map[string]json.RawMessage
		if err := json.Unmarshal(body, &plain); err != nil || len(plain) != len(o) {
			t.Fatalf("%q is read as %d members, and is %d, %v", body, len(o), len(plain), err)
		}
		if v, err := o.typedValue(); err == nil && (v.TypeName == "" || v.Value == nil || !v.HasValue) {
			t.Errorf("%q is the value %+v", body, v)
		}
		if s, err := o.selection(); err == nil && (s.Limit < 0 || s.Limit > 1000 || s.Origin == "" && o["all"] == nil) {
			t.Errorf("%q selects %+v", body, s)
		}
		if d, err := o.decision(); err == nil && (d.Stored && d.New || !d.Stored && !d.New && d.From == 0) {
			t.Errorf("%q decides %+v", body, d)
		}
		_, _ = o.address("to")
	})
}
