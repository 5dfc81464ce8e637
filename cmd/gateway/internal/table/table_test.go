package table

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestTable(t *testing.T) {
	var b bytes.Buffer
	w := New(&b, "NAME", "N", "WHY")
	if err := w.Flush(); err != nil || b.Len() > 0 || !w.Empty() {
		t.Errorf("a table without rows writes %q, %v", b.String(), err)
	}
	for _, row := range [][]string{{"a", "1", "x y"}, {"äöü123", "22", ""}, {"b"}, {strings.Repeat("l", 70), "3", "z", "too many"}} {
		if err := w.Row(row...); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Note("  a note that is wider than any column and widens none"), w.Flush()); err != nil {
		t.Fatal(err)
	}
	want := "NAME    N   WHY\na       1   x y\näöü123  22\nb\n" + strings.Repeat("l", 70) + "  3   z\n  a note that is wider than any column and widens none\n"
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A million rows are written as they come, in the memory of a page.
func TestTableHoldsAPage(t *testing.T) {
	var out counter
	w := New(&out, "A", "B")
	for range 1_000_000 {
		if err := w.Row("some", "row"); err != nil {
			t.Fatal(err)
		}
		if len(w.held) >= rowsHeld {
			t.Fatalf("%d rows are held", len(w.held))
		}
	}
	if err := w.Flush(); err != nil || out.lines != 1_000_001 {
		t.Errorf("%d lines, %v", out.lines, err)
	}
}

type counter struct{ lines int }

func (c *counter) Write(p []byte) (int, error) {
	c.lines += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

var errFull = errors.New("full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestTableWithoutRoom(t *testing.T) {
	w := New(full{}, "A")
	for range rowsHeld - 1 {
		if err := w.Row("x"); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Row("x"); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
	if err := w.Flush(); !errors.Is(err, errFull) {
		t.Errorf("got %v", err)
	}
}

func TestFields(t *testing.T) {
	var b bytes.Buffer
	if err := Fields(&b, [2]string{"a", "1"}, [2]string{"long", ""}, [2]string{"bcd", "2 3"}); err != nil || b.String() != "a    1\nbcd  2 3\n" {
		t.Errorf("got %q, %v", b.String(), err)
	}
}

func TestWords(t *testing.T) {
	for in, want := range map[string]string{
		"": `''`, "-": `'-'`, "bob": "bob", "a b": `'a b'`, "a\x1b[2Jb": `$'a\033[2Jb'`, "q\"": `'q"'`, "\u202eabc": `$'\342\200\256abc'`, "b\x9bc": `$'b\233c'`, "日本": "日本",
		"a\u00a0b": `$'a\302\240b'`, "x\\y": `'x\y'`, "a\u2028b": `$'a\342\200\250b'`, "\U000e0041": `$'\363\240\201\201'`, "a/b%2F": "a/b%2F", "\ufffd": `$'\357\277\275'`,
		"it's": `'it'\''s'`, "=ls": "'=ls'", "$(touch pwn)bad": "'$(touch pwn)bad'",
	} {
		if got := Word(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]string{
		"": "", "it says \"no\"": `it says "no"`, "two\nlines\t\"x\"": `two\nlines\t"x"`, "\x1b]0;t\x07": `\x1b]0;t\a`,
	} {
		if got := Text(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
	for _, c := range []struct {
		in   string
		n    int
		want string
	}{{"abc", 3, "abc"}, {"abcdef", 5, "ab..."}, {strings.Repeat("ä", 1<<20), 6, "äää..."}, {"\n\n\n\n", 4, `\...`}, {"", 0, ""}} {
		if got := Short(c.in, c.n); got != c.want {
			t.Errorf("%.20q: got %q, want %q", c.in, got, c.want)
		}
	}
	if got := Address("shop/cart", "a b"); got != "shop/cart 'a b'" {
		t.Errorf("got %s", got)
	}
}

// A shell takes every word as it was: what a table shows can be pasted.
func TestWordsAreOfTheShell(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	for _, word := range []string{"bob", "", "a b", "it's", `a"b\c`, "$(id)", "`id`", "a\nb\tc", "x\x1b[2J", "é ü", "\x7f'\\", "~", "*", "!!", "#", "a;b|c&d", "a\x1b[31m\u009b31m\u202ex", "\xff", "a\u00a0b\u2028", "\u202e'7", "-", "=ls", "日本", "$(touch pwn)bad", "{a,b}", "x^y", "\ufffd"} {
		out, err := exec.Command(bash, "-c", "printf %s "+Word(word)).Output()
		if err != nil || string(out) != word {
			t.Errorf("%q is written %s, and read as %q: %v", word, Word(word), out, err)
		}
		if strings.ContainsFunc(Word(word), func(r rune) bool { return r == utf8.RuneError || !strconv.IsPrint(r) }) {
			t.Errorf("%q is written %q: whoever shows that changes it", word, Word(word))
		}
	}
}

func TestAges(t *testing.T) {
	for in, want := range map[float64]string{
		0: "0s", 0.0004: "0s", 0.85: "850ms", 0.9999: "999ms", 1: "1s", 1.26: "1.2s", 9.99: "9.9s", 59.9: "59s", 60: "1m", 192: "3m12s", 3600: "1h", 19230: "5h20m", 273600: "3d4h",
		-1: None, math.NaN(): None, math.Inf(1): "ages", 1e11: "1157407d9h",
	} {
		if got := Age(in); got != want {
			t.Errorf("%v: got %s, want %s", in, got, want)
		}
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range [][3]string{
		{"2026-01-02T03:00:53.000Z", "3m12s", "now"}, {"2026-01-02T03:04:10.000Z", "0s", "5s"}, {"", None, None}, {"x\x1b", `$'x\033'`, `$'x\033'`},
	} {
		if since, until := Since(c[0], now), Until(c[0], now); since != c[1] || until != c[2] {
			t.Errorf("%q: got %s and %s, want %s and %s", c[0], since, until, c[1], c[2])
		}
	}
	for in, want := range map[string]string{"2026-01-02T03:00:53.123Z": "2026-01-02T03:00:53Z", "": None, "no time": "'no time'"} {
		if got := Time(in); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestSizes(t *testing.T) {
	for in, want := range map[int64]string{0: "0B", 1023: "1023B", 1024: "1.0KiB", 3500: "3.4KiB", 12 << 20: "12MiB", 1<<30 - 1: "1.0GiB", math.MaxInt64: "8.0EiB", -5: "-5B"} {
		if got := Bytes(in); got != want {
			t.Errorf("%d: got %s, want %s", in, got, want)
		}
	}
	if Count(0) != None || Count(7) != "7" || Yes(false, "x") != None || Yes(true, "x") != "x" {
		t.Error("counts and signs")
	}
}

func FuzzWords(f *testing.F) {
	for _, s := range []string{"", "a b", "\x1b[31m", "\u202e", "\xff\xfe", "日本", "\U000e0041\\\""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, out := range []string{Word(s), Text(s), Short(s, 12)} {
			for _, r := range out {
				if !utf8.ValidString(out) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
					t.Fatalf("%q gives %q", s, out)
				}
			}
		}
		if strings.ContainsAny(Word(s), " ") && Word(s)[0] != '\'' && !strings.HasPrefix(Word(s), "$'") {
			t.Fatalf("%q is not one word: %s", s, Word(s))
		}
		raw, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		harmless := Harmless(raw)
		var back, same string
		if json.Unmarshal(harmless, &back) != nil || json.Unmarshal(raw, &same) != nil || back != same {
			t.Fatalf("%q: %s", s, harmless)
		}
		for _, r := range string(harmless) {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
				t.Fatalf("%q is %q", s, harmless)
			}
		}
	})
}
