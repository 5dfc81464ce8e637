//go:build unix

package statefile

import (
	"strings"
	"testing"
)

const good = `"function":"shop/cart","id":"ada","state":"n","type":"io.statefun.types/int"`

func TestBadLines(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for text, want := range map[string]string{
		``: "not JSON: the line ends in the middle", `{`: "not JSON", `{"function":`: "not JSON", `[1]`: "want a JSON object", `7`: "want a JSON object", `"x"`: "want a JSON object", `null`: "want a JSON object", `nul`: "not JSON",
		`{"function":"a/b"} {}`: "something follows the object", `{"function":"a/b"}}`: "something follows the object", `{"a" 1}`: "not JSON: expected colon", `{'a':1}`: "not JSON",
		"{" + good + `,"value":"` + "\xff" + `"}`: "not UTF-8", `{"function":"a/b","id":"\ud800"}`: "half a character", `{"id":"\udc00\ud800"}`: "half a character", `{"id":"x\\\ud83d"}`: "half a character",
		"{" + good + `,"value":1,"value":2}`: `"value" is given twice`, "{" + good + `,"value":1,"vlaue":2}`: `unknown key "vlaue": did you mean value?`, "{" + good + `,"Value":1}`: `unknown key "Value": did you mean value?`,
		"{" + good + `,"value":null}`: "value: null is no value", "{" + good + `}`: `want either "value" or "base64"`, "{" + good + `,"value":1,"base64":""}`: `want either "value" or "base64"`,
		`{"id":"x","state":"n","type":"t","base64":""}`: "function is missing", `{"function":"a/b","id":"x","type":"t","base64":""}`: "state is missing", `{"function":"a/b","id":"x","state":"n","base64":""}`: "type is missing",
		`{"function":"a/b","state":"n","type":"t","base64":""}`: "id is missing", `{"function":"a/b","state":"n","type":"t"}`: `want "id" and a value, or "expiration"`, `{"function":"a/b","state":"n","type":"t","touched":5,"expiration":{"mode":"never"}}`: "id is missing",
		`{"function":"ab","id":"x","state":"n","type":"t","base64":""}`: `function: want "NAMESPACE/NAME"`, `{"function":"a/b/c","id":"x","state":"n","type":"t","base64":""}`: `function: want "NAMESPACE/NAME"`, `{"function":"a/","id":"x","state":"n","type":"t","base64":""}`: "has no name",
		`{"function":7}`: "function: want", `{"function":{"namespace":"a"}}`: "function: want", `{"function":{"namespace":"a","name":"b","id":"c"}}`: "function: want",
		`{"function":"a/b","id":7}`: "id: want a text", `{"function":"a/b","id":"x","state":"","type":"t","base64":""}`: "state: the name is empty", `{"function":"a/b","id":"x","state":"` + long + `","type":"t","base64":""}`: "a name of 1000 bytes",
		`{"function":"` + long + `/b","id":"x","state":"n","type":"t","base64":""}`: "at most 512", `{"function":"a/b","id":"` + strings.Repeat("x", 65537) + `","state":"n","type":"t","base64":""}`: "id of 65537 bytes",
		`{"function":"a/b","id":"x","state":"n","type":"t","base64":"a"}`: "base64: want standard base64 with padding", `{"function":"a/b","id":"x","state":"n","type":"t","base64":5}`: "base64: want a text",
		"{" + good + `,"value":1.5}`: "an integer of 32 bits", "{" + good + `,"value":1,"touched":"now"}`: "touched: want an integer", "{" + good + `,"value":1,"touched":1.5}`: "touched: want an integer",
		"{" + good + `,"value":1,"expiration":5}`: "expiration: want", "{" + good + `,"value":1,"expiration":{}}`: "expiration: want", "{" + good + `,"value":1,"expiration":{"mode":"afterWrite"}}`: "expiration: want", "{" + good + `,"value":1,"expiration":{"mode":"afterWrite","ttl":0}}`: "expiration: want",
		"{" + good + `,"value":1,"expiration":{"mode":"afterWrite","ttl":"-1s"}}`: "expiration: want", "{" + good + `,"value":1,"expiration":{"mode":"never","ttl":"1s"}}`: "expiration: want", "{" + good + `,"value":1,"expiration":{"mode":"AFTER_WRITE","ttl":"1s"}}`: "expiration: want", "{" + good + `,"value":1,"expiration":{"mode":"afterWrite","ttl":"1s","x":1}}`: "expiration: want",
		`{"function":"io.stategate/once","id":"k","state":"ask","type":"0","base64":"AA=="}`: "belong to the store that made them", `{"function":"io.stategate/once","state":"ask","type":"","expiration":{"mode":"never"}}`: "--skip-invalid",
		`{"stategate":"module","version":1}`: `stategate: want "state"`, `{"stategate":"state","version":2}`: "a newer gateway has written the file", `{"stategate":"state","version":1,"id":"x"}`: "id: does not belong on the first line",
		`{"end":false,"values":1}`: "end: want true", `{"end":true}`: "the last line says how many", `{"end":true,"values":-1}`: "the last line says how many", `{"end":true,"values":1,"id":"x"}`: "id: does not belong on the last line", "{" + good + `,"value":1,"values":1}`: "values: does not belong on a line with a value",
	} {
		if l, err := parseLine([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.200s: got %+v, %v, want %q", text, l, err, want)
		}
	}
}

// Slashes may be escaped in JSON, and some libraries do.
func TestEscapedBase64(t *testing.T) {
	for _, text := range []string{`"AAH\/"`, `"AA\u0048/"`, `"AAH/"`} {
		l, err := parseLine([]byte(`{"function":"a/b","id":"x","state":"s","type":"t","base64":` + text + `}`))
		if err != nil || string(l.state.Value) != "\x00\x01\xff" {
			t.Errorf("%s: %x, %v", text, l.state.Value, err)
		}
	}
}

// FuzzLine: any text is a line or an error; a line that was read can be written and means the same again.
func FuzzLine(f *testing.F) {
	for _, text := range []string{
		`{"stategate":"state","version":1,"store":"x","at":"y"}`, `{"end":true,"values":2}`, "{" + good + `,"value":1}`, "{" + good + `,"value":1,"touched":-5,"expiration":{"mode":"afterInvoke","ttl":"1h30m"}}`,
		`{"function":"a/b","id":"x","state":"s","type":"t","base64":"AA\u0048\/"}`, `{"function":{"namespace":"a/b","name":"c"},"id":"\u0000\ud83d\ude00","state":"s","type":"t","base64":"AAH/"}`, `{"function":"a/b","state":"s","type":"","expiration":{"mode":"afterWrite","ttl":9223372036854775807}}`,
		`{"function":"/b","id":"","state":"s","type":"io.statefun.types/string","value":"<\\ud800>"}`, `{"function":"a/b","id":"\ud800"}`, "\xff", `{"a":{"b":[[[]]]}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := parseLine(text)
		if err != nil || l.kind != lineSpec && l.kind != lineValue {
			return
		}
		again, err := parseLine(written(t, l))
		if err != nil {
			t.Fatalf("%s is written as %s: %v", text, written(t, l), err)
		}
		if got, want := written(t, again), written(t, l); string(got) != string(want) || again.address != l.address || string(again.state.Value) != string(l.state.Value) {
			t.Errorf("%s is written as %s, and then as %s", text, want, got)
		}
	})
}
