package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// hostileValues stand where something else is expected: whoever answers need not be a gateway, and what it passes on others have sent.
var hostileValues = []string{
	`"\u001b[2J\u0007\u202e\u2028\u009b31m\u0000\n\r"`, `{"text":"\u001b[2J","since":"\u001b[2J"}`, `"` + strings.Repeat("x", 10_000) + `"`, `null`, `-1`, `1e300`, `["\u001b[2J"]`,
}

// TestOperatorHostileAnswers: whatever stands in an answer, a terminal obeys none of it, and no command breaks.
func TestOperatorHostileAnswers(t *testing.T) {
	f := newFakeAdmin(t)
	for _, name := range slices.Sorted(maps.Keys(operatorReads)) {
		c := operatorReads[name]
		var answer any
		if err := json.Unmarshal([]byte(c.answer), &answer); err != nil {
			t.Fatal(err)
		}
		for n := range leaves(answer, -1, nil) {
			for i, hostile := range hostileValues {
				var changed any
				_ = json.Unmarshal([]byte(c.answer), &changed)
				leaves(changed, n, json.RawMessage(hostile))
				text, err := json.Marshal(changed)
				if err != nil {
					t.Fatal(err)
				}
				f.says(c.asked, string(text))
				commands := [][]string{c.args, append(slices.Clone(c.args), "-o", "json")}
				if i > 1 {
					commands = commands[:1] // as JSON one value is like another
				}
				for _, args := range commands {
					code, stdout, stderr := call(t, args...)
					if bad := obeyed(stdout + stderr); bad != "" || code != exitDone && code != exitFailed || code == exitFailed && !strings.HasPrefix(stderr, "gateway: ") {
						t.Fatalf("%s with %.60s as value %d: exit %d, %s, stdout %.500q, stderr %.500q", name, hostile, n, code, bad, stdout, stderr)
					}
				}
			}
		}
	}
}

// leaves counts the values of a JSON that hold no others, and puts another one in the place of one of them.
func leaves(v any, change int, with any) (n int) {
	visit := func(child any, set func(any)) {
		switch child.(type) {
		case map[string]any, []any:
			n += leaves(child, change-n, with)
		default:
			if n == change {
				set(with)
			}
			n++
		}
	}
	switch v := v.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			visit(v[key], func(with any) { v[key] = with })
		}
	case []any:
		for i := range v {
			visit(v[i], func(with any) { v[i] = with })
		}
	}
	return n
}

// obeyed names what a terminal would obey in a text.
func obeyed(text string) string {
	if !utf8.ValidString(text) {
		return "no UTF-8"
	}
	for _, r := range text {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return fmt.Sprintf("%U", r)
		}
	}
	return ""
}

// TestOperatorHostileProblems: nor does it obey what stands in a refusal.
func TestOperatorHostileProblems(t *testing.T) {
	f := newFakeAdmin(t)
	for _, detail := range []string{"\x1b[2J\u202e\u0007", strings.Repeat("\x1b", 1<<16), "\u009b31m\n\x1b"} {
		for _, c := range operatorReads {
			text, err := json.Marshal(map[string]string{"detail": detail, "remedy": detail})
			if err != nil {
				t.Fatal(err)
			}
			f.answer(c.asked, fakeAnswer{status: 409, body: string(text)})
			if code, stdout, stderr := call(t, c.args...); code != exitFailed || obeyed(stdout+stderr) != "" || len(stderr) > 100_000 {
				t.Fatalf("%q: exit %d, %s, %d bytes", c.args, code, obeyed(stdout+stderr), len(stderr))
			}
		}
	}
}
