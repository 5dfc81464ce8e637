package endpoint

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"":                               0,
		"0":                              0,
		"7":                              7 * time.Second,
		" 7 ":                            7 * time.Second,
		"-7":                             0,
		"+7":                             0,
		"1.5":                            0,
		"soon":                           0,
		"7 seconds":                      0,
		"86401":                          retryAfterMax,
		"99999999999999999999999999":     retryAfterMax,
		"9223372036854775807":            retryAfterMax,
		strings.Repeat("9", 1000):        0,
		"Fri, 02 Jan 2026 03:05:05 GMT":  time.Minute,
		"Fri, 02 Jan 2026 03:04:04 GMT":  0,
		"Friday, 02-Jan-26 03:04:06 GMT": time.Second,
		"Fri Jan  2 03:04:06 2026":       time.Second,
		"Fri, 31 Dec 9999 23:59:59 GMT":  retryAfterMax,
		"Thu, 01 Jan 0001 00:00:00 GMT":  0,
		"Fri, 32 Jan 2026 03:05:05 GMT":  0,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: got %s, want %s", header, got, want)
		}
	}
}

func TestKinds(t *testing.T) {
	labels := map[string]bool{}
	for k := Unreachable; k <= Canceled; k++ {
		if k.String() == "unknown" || labels[k.String()] {
			t.Errorf("kind %d is called %q", k, k)
		}
		labels[k.String()] = true
		if got, want := k.Endpoint(), k == Unreachable || k == Overloaded; got != want {
			t.Errorf("%s: got %v, want %v", k, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for text, want := range map[string]string{
		"plain, \"quoted\" Grüße":                  "plain, \"quoted\" Grüße",
		"a\r\nb\tc\x00\x1b[2J":                     `a\r\nb\tc\x00\x1b[2J`,
		"\xff\x0f":                                 `\xff\x0f`,
		"\u202eevil\u2028":                         `\u202eevil\u2028`,
		"0123456789012345678901234567890123456789": "01234567890123456789012345678901...",
	} {
		if got := printable(text, 32); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzFailureText(f *testing.F) {
	f.Add([]byte("it broke\n\xff\x00"))
	f.Fuzz(func(t *testing.T, body []byte) {
		got := said(body)
		if len(got) > saidBytesMax+3 || !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("%q: got %q", body, got)
		}
	})
}
