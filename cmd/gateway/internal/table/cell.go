package table

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// None stands where there is nothing.
const None = "-"

// Word is a name or an id as a shell takes it, so that what is shown can be pasted into a command: as it is, or in quotes. A terminal shows it
// and obeys nothing of it.
func Word(s string) string {
	switch {
	case s == None:
		return "'" + None + "'"
	case s != "" && s[0] != '=' && !strings.ContainsFunc(s, func(r rune) bool { return !plain(r) }): // zsh looks for a command behind =
		return s
	case !strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || !shown(r) }):
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'") // bash, zsh and ksh; of ASCII alone, so that nobody who shows it has anything to escape
	for _, c := range []byte(s) {
		if c < ' ' || c >= 0x7f || c == '\'' || c == '\\' {
			fmt.Fprintf(&b, `\%03o`, c)
			continue
		}
		b.WriteByte(c)
	}
	b.WriteString("'")
	return b.String()
}

// plain: a letter, a digit or a sign that no shell makes anything of.
func plain(r rune) bool {
	if r >= utf8.RuneSelf {
		return r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsNumber(r))
	}
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:@%+,=", r)
}

// Address is a function type and an id, as one word each.
func Address(function, id string) string { return Word(function) + " " + Word(id) }

// Text is what somebody has said, in one line: what a terminal obeys or does not show is escaped.
func Text(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r == utf8.RuneError || !shown(r) }) {
		return s
	}
	quoted := quote(s)
	return strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
}

// Short is Text of at most so many characters.
func Short(s string, characters int) string {
	if len(s) > 4*characters { // no more than that is looked at
		s = s[:4*characters]
		for !utf8.ValidString(s) && len(s) > 4*characters-utf8.UTFMax {
			s = s[:len(s)-1]
		}
		s += " "
	}
	text := []rune(Text(s))
	if len(text) <= characters {
		return string(text)
	}
	return string(text[:max(0, characters-3)]) + "..."
}

// shown: a letter, sign or plain space, which a terminal shows and nothing else.
func shown(r rune) bool { return r == ' ' || unicode.IsGraphic(r) && !unicode.IsSpace(r) }

// quote is strconv.Quote without its doubt about spaces of other widths: they are escaped.
func quote(s string) string { return strconv.Quote(s) }

// Harmless escapes in JSON what a terminal obeys or shows in another order. JSON has such characters in its strings only.
func Harmless(text []byte) []byte {
	var out []byte
	last := 0
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		if r >= 0x7f && !(r == utf8.RuneError && n == 1) && !unicode.IsControl(r) && !unicode.Is(unicode.Cf, r) && !unicode.Is(unicode.Zl, r) && !unicode.Is(unicode.Zp, r) || r < 0x7f {
			i += n
			continue
		}
		out = append(out, text[last:i]...)
		switch {
		case r == utf8.RuneError && n == 1:
			out = append(out, `\ufffd`...)
		case r > 0xffff:
			high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		i += n
		last = i
	}
	if out == nil {
		return text
	}
	return append(out, text[last:]...)
}

// Age is a number of seconds as people say it: 850ms, 3m12s, 5h20m, 3d4h. It is None where there is none.
func Age(seconds float64) string {
	switch {
	case math.IsNaN(seconds) || seconds < 0:
		return None
	case seconds < 0.001:
		return "0s"
	case seconds < 1:
		return fmt.Sprintf("%.0fms", min(seconds*1000, 999))
	case seconds < 10:
		return strings.Replace(fmt.Sprintf("%.1fs", math.Floor(seconds*10)/10), ".0s", "s", 1)
	case seconds < 60:
		return fmt.Sprintf("%ds", int(seconds))
	case seconds < 3600:
		return pair(int64(seconds)/60, "m", int64(seconds)%60, "s")
	case seconds < 24*3600:
		return pair(int64(seconds)/3600, "h", int64(seconds)%3600/60, "m")
	case seconds < 1e12:
		return pair(int64(seconds)/86400, "d", int64(seconds)%86400/3600, "h")
	}
	return "ages"
}

func pair(a int64, unit string, b int64, part string) string {
	if b == 0 {
		return fmt.Sprintf("%d%s", a, unit)
	}
	return fmt.Sprintf("%d%s%d%s", a, unit, b, part)
}

// Since is the age of a time as the gateway writes it, by now; None where there is none.
func Since(text string, now time.Time) string {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return orNone(text)
	}
	return Age(max(0, now.Sub(at).Seconds()))
}

// Until is how long it is to a time.
func Until(text string, now time.Time) string {
	at, err := time.Parse(time.RFC3339Nano, text)
	switch {
	case err != nil:
		return orNone(text)
	case at.Before(now):
		return "now"
	}
	return Age(at.Sub(now).Seconds())
}

// Time is a time as the gateway writes it, in seconds; None where there is none.
func Time(text string) string {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return orNone(text)
	}
	return at.UTC().Format("2006-01-02T15:04:05Z")
}

func orNone(text string) string {
	if text == "" {
		return None
	}
	return Word(text)
}

// Bytes is a size: 17B, 3.4KiB, 12MiB.
func Bytes(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%dB", n)
	}
	size, unit := float64(n)/1024, 0
	for size >= 1023.95 && unit < len(units)-1 {
		size /= 1024
		unit++
	}
	if size < 10 {
		return fmt.Sprintf("%.1f%ciB", size, units[unit])
	}
	return fmt.Sprintf("%.0f%ciB", math.Floor(size), units[unit])
}

// Count is a number, or None for 0: what is not zero is to be seen.
func Count(n int64) string {
	if n == 0 {
		return None
	}
	return strconv.FormatInt(n, 10)
}

// Yes is a sign that is seen.
func Yes(is bool, word string) string {
	if is {
		return word
	}
	return None
}
