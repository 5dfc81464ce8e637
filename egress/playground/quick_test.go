package playground

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stategate/stategate/api"
)

var usual = []string{
	`{"topic":"a","payload":"x"}`,
	`{"payload":"x","topic":"a"}`,
	" {\n\t\"topic\" : \"a\" ,\r\n \"payload\" : \"x\" } ",
	`{"topic":"","payload":""}`,
	`{"topic":"\u0061\/","payload":"\"\\\b\f\n\r\t\ud83d\ude00 \ud800 ü"}`,
}

// TestQuick: what is usual is not left to encoding/json.
func TestQuick(t *testing.T) {
	for _, text := range usual {
		if _, _, ok := quick([]byte(text)); !ok {
			t.Errorf("%s is not read", text)
		}
	}
}

// FuzzQuick: what is read quickly is what encoding/json reads.
func FuzzQuick(f *testing.F) {
	for _, text := range usual {
		f.Add([]byte(text))
	}
	for _, text := range []string{
		``, `{}`, `{"topic":"a"}`, `{"topic":"a","topic":"b"}`, `{"topic":"a","payload":"x","payload":"y"}`, `{"topic":"a","payload":"x",}`, `{"Topic":"a","payload":"x"}`,
		`{"topic":"a","payload":1}`, `{"topic":"a" "payload":"x"}`, `{"topic":"a","payload":"x"}}`, `{"topic":"a","payload":"x"}]`, `{"topic":"a","payload":"x"`,
		`{"topic":"a","payload":"\x"}`, `{"topic":"a","payload":"\u12g4"}`, `{"topic":"a","payload":"\u12`, `{"topic":"a","payload":"\`, "{\"topic\":\"a\",\"payload\":\"\n\"}",
		`{"\u0074opic":"a","payload":"x"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, value []byte) {
		got, problem := decode(&api.TypedValue{TypeName: recordType, Value: value})
		if _, _, ok := quick(value); !ok || !utf8.Valid(value) {
			return
		}
		var want map[string]string
		if err := json.Unmarshal(value, &want); err != nil || problem != nil {
			t.Fatalf("%q is a record: %v, %v", value, err, problem)
		}
		if got.topic != want["topic"] || got.text() != want["payload"] || len(want) != 2 {
			t.Errorf("%q: %q, %q; want %q", value, got.topic, got.text(), want)
		}
	})
}

// BenchmarkDecode is what a restart costs for each large record of its outbox.
func BenchmarkDecode(b *testing.B) {
	o := output("a", strings.Repeat("hello world ", 1<<20/12))
	b.SetBytes(int64(len(o.Value.Value)))
	for b.Loop() {
		if _, p := decode(&o.Value); p != nil {
			b.Fatal(p)
		}
	}
}
