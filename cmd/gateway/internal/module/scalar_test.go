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
