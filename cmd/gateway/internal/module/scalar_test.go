package module

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseDuration(t *testing.T) {
	units := map[time.Duration]string{
		24 * time.Hour: "d day days", time.Hour: "h hour hours", time.Minute: "m min minute minutes",
		time.Second: "s sec secs second seconds", time.Millisecond: "ms milli millis millisecond milliseconds",
		time.Microsecond: "µs micro micros microsecond microseconds", time.Nanosecond: "ns nano nanos nanosecond nanoseconds",
	}
	for unit, words := range units {
		for _, word := range strings.Fields(words) {
			for _, text := range []string{"7" + word, "7  " + word, " 07 " + strings.ToUpper(word) + " "} {
				if got, err := parseDuration(text); got != 7*unit || err != nil {
					t.Errorf("%q: got %v, %v", text, got, err)
				}
			}
		}
	}
	for text, want := range map[string]time.Duration{"0": 0, "1500": 1500 * time.Millisecond, "9223372036854775807 d": math.MaxInt64} {
		if got, err := parseDuration(text); got != want || err != nil {
			t.Errorf("%q: got %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "s", "1m30s", "1.5s", "-1s", "+1s", "1 x", "1 s s", "9223372036854775808", "1_000", "١s", "0x1"} {
		if got, err := parseDuration(text); err == nil {
			t.Errorf("%q: got %v, want an error", text, got)
		}
	}
}

func TestPlaceholders(t *testing.T) {
	tests := []struct{ text, want string }{
		{"plain $ {x} $x", "plain $ {x} $x"},
		{"${PORT}", "8090"},
		{"a${PORT}b${BATCH}c", "a8090b250c"},
		{"$${PORT}", "${PORT}"},
		{"$$${PORT}", "$${PORT}"},
		{"$${", "${"},
		{"${EMPTY}", ""},
		{"${EMPTY:-x}", "x"},
		{"${UNSET:-x}", "x"},
		{"${UNSET:-}", ""},
		{"${UNSET:-a:-b}", "a:-b"},
		{"${PORT:-x}", "8090"},
		{"${PORT:-${UNSET}}", "8090"},
		{"${UNSET:-${PORT}}/x", "8090/x"},
		{"${UNSET:-http://h/{function.name}}", "http://h/{function.name}"},
		{"${UNSET:-$${PORT}}", "${PORT}"},
		{"{function.name}", "{function.name}"},
		{"${TRICKY}", "${PORT}: [*x"},
	}
	for _, tt := range tests {
		p := placeholders{lookup: environment}
		if got, _, err := p.expand(tt.text); got != tt.want || err != nil {
			t.Errorf("%q: got %q, %v, want %q", tt.text, got, err, tt.want)
		}
	}
	for _, text := range []string{"${", "${PORT", "${}", "${UNSET}", "${1A}", "${A-B}", "${ PORT}", "${PORT:x}", "${:-x}", "${UNSET:-${UNSET}}", "${function.name}"} {
		p := placeholders{lookup: environment}
		if got, _, err := p.expand(text); err == nil {
			t.Errorf("%q: got %q, want an error", text, got)
		}
	}
}

// TestPlaceholdersAreTypedWhereATypeIsWanted: what a variable holds is a number where one is wanted, and where text is wanted it stays as
// it is, whatever it looks like. Nothing is text, too.
func TestPlaceholdersAreTypedWhereATypeIsWanted(t *testing.T) {
	for _, value := range []string{"1_000", "True", "null", "~", "NULL", "0x1F", "1e3", "2020-01-01", "<<", "[a]", "", " a ", ".inf", "'x'", "a: b # c"} {
		lookup := func(name string) (string, bool) { return value, name == "V" }
		for _, written := range []string{"${V}", `"${V}"`, "'${V}'", "${V:-}"} {
			text := canaryKafka("- ssl.key.password: "+written+"\n    - client.id: x${V}", "k:1")
			m, complaints := Parse("f", []byte(text), lookup)
			if m == nil || len(complaints) > 0 {
				t.Fatalf("%q as %s:\n%s", value, written, complaints)
			}
			properties := m.KafkaEgresses[0].Properties
			if got, ok := properties.Value("ssl.key.password"); got != value || !ok {
				t.Errorf("%q as %s: got %q, %v", value, written, got, ok)
			}
			if got, _ := properties.Value("client.id"); got != "x"+value {
				t.Errorf("%q behind text: got %q", value, got)
			}
		}
	}
	number := func(value string) (*Module, Complaints) {
		text := "kind: io.statefun.playground.v1/ingress\nspec: {port: 1}\n---\nkind: io.statefun.endpoints.v1/http\nspec:\n  functions: a/b\n  urlPathTemplate: http://h/\n  maxNumBatchRequests: ${V}\n"
		return Parse("f", []byte(text), func(name string) (string, bool) { return value, name == "V" })
	}
	for value, want := range map[string]int{"250": 250, "1_000": 1000, "-1": 0} {
		if m, complaints := number(value); m == nil || m.Endpoints[0].MaxNumBatchRequests != want {
			t.Errorf("number %s: want %d, got complaints\n%s", value, want, complaints)
		}
	}
	for _, value := range []string{"x", "null", "~", "1.5", "true"} {
		if m, _ := number(value); m != nil {
			t.Errorf("number %s: it is taken for %d", value, m.Endpoints[0].MaxNumBatchRequests)
		}
	}
}
