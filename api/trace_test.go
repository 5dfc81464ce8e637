package api

import (
	"strings"
	"testing"
)

const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func TestTraceRoundTrip(t *testing.T) {
	for text, want := range map[string]string{
		traceparent: traceparent,
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00":       "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03":       "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-ff":       "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03", // flags that nobody knows
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01":       traceparent,                                               // a later version
		"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later": traceparent,
	} {
		parsed := ParseTrace(text)
		if parsed == nil {
			t.Errorf("%q is not read", text)
			continue
		}
		if got := parsed.String(); got != want {
			t.Errorf("%q is written as %q, want %q", text, got, want)
		}
		if got := ParseTrace([]byte(text)); *got != *parsed {
			t.Errorf("%q as bytes is %v", text, got)
		}
	}
	if s := ParseTrace(traceparent); !s.Sampled() || ParseTrace(traceparent[:54]+"0").Sampled() || ParseTrace(traceparent[:54]+"2").Sampled() || (*Trace)(nil).Sampled() {
		t.Error("what is sampled is not what says so")
	}
}

func TestTraceRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "short": traceparent[:54], "long": traceparent + "-", "longer": traceparent + "0", "huge": strings.Repeat(traceparent, 100_000),
		"two": traceparent + "," + traceparent, "spaces": " " + traceparent, "space behind": traceparent + " ",
		"upper case":      strings.ToUpper(traceparent),
		"one upper case":  "00-0Af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"no hex":          "00-0gf7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"zero trace":      "00-00000000000000000000000000000000-b7ad6b7169203331-01",
		"zero span":       "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
		"all zeros":       "00-00000000000000000000000000000000-0000000000000000-00",
		"version ff":      "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"version upper":   "CC-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"flags":           "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0x",
		"later, no dash":  "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01later",
		"dashes":          strings.Repeat("-", 55),
		"other dash":      "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		"NUL":             strings.Repeat("\x00", 55),
		"beyond ASCII":    strings.Repeat("é", 30),
		"digits of Arabs": "00-" + strings.Repeat("٠", 16) + "-b7ad6b7169203331-01",
	} {
		if got := ParseTrace(text); got != nil {
			t.Errorf("%s: read as %v", name, got)
		}
		if got := ParseTrace([]byte(text)); got != nil {
			t.Errorf("%s as bytes: read as %v", name, got)
		}
	}
}

// FuzzTrace: what is read is written so that it is read as the same; nothing panics.
func FuzzTrace(f *testing.F) {
	f.Add(traceparent)
	f.Add("cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-later")
	f.Add(strings.Repeat("0", 55))
	f.Fuzz(func(t *testing.T, text string) {
		parsed := ParseTrace(text)
		if parsed == nil {
			return
		}
		written := parsed.String()
		if again := ParseTrace(written); len(written) != TraceTextBytes || again == nil || *again != *parsed {
			t.Errorf("%q is read as %v, written as %q", text, parsed, written)
		}
		if parsed.ID == [16]byte{} || parsed.Span == [8]byte{} {
			t.Errorf("%q is read as no trace", text)
		}
	})
}

// A trace is memory, and counts in the bounds of what carries it.
func TestTraceCounts(t *testing.T) {
	m, o, r := Message{}, Output{}, Record{}
	plain := [3]int{m.Size(), o.Size(), r.Size()}
	m.Trace, o.Trace, r.Trace = ParseTrace(traceparent), ParseTrace(traceparent), ParseTrace(traceparent)
	for i, got := range []int{m.Size(), o.Size(), r.Size()} {
		if got != plain[i]+32 {
			t.Errorf("%d: %d bytes with a trace, %d without", i, got, plain[i])
		}
	}
}
