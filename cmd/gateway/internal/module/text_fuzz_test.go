package module

import (
	"math"
	"math/big"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
)

// FuzzPlaceholders: text without ${ is left alone, a literal that is escaped comes out as it was, what a variable holds is never looked
// through, and the plain form is what the standard library makes of it.
func FuzzPlaceholders(f *testing.F) {
	plain := regexp.MustCompile(`^\$\{[A-Za-z_][A-Za-z0-9_]*\}`)
	f.Fuzz(func(t *testing.T, text, value string) {
		lookup := func(name string) (string, bool) { return value, strings.HasPrefix(name, "A") }
		expand := func(text string) (string, bool, error) {
			p := placeholders{lookup: lookup}
			return p.expand(text)
		}
		got, any, err := expand(text)
		if any != strings.Contains(text, "${") || !any && (got != text || err != nil) {
			t.Fatalf("%q: got %q, %v, %v", text, got, any, err)
		}
		if err != nil && got != "" {
			t.Fatalf("%q: got %q beside %v", text, got, err)
		}
		// A dollar before ${ escapes it, so a text that ends with one cannot be set before a placeholder.
		escaped := strings.ReplaceAll(text, "${", "$${")
		if got, _, err := expand(escaped); err != nil || got != text {
			t.Fatalf("%q, escaped from %q: got %q, %v", escaped, text, got, err)
		}
		if got, _, err := expand("<${A}>${A:-x}"); value != "" && (err != nil || got != "<"+value+">"+value) {
			t.Fatalf("variable of %q: got %q, %v", value, got, err)
		}
		if got, _, err := expand("${B:-" + text + "}"); err == nil && !strings.ContainsAny(text, "{}$") && got != text {
			t.Fatalf("default %q: got %q", text, got)
		}
		// Where all placeholders are plain ones of variables that are set, the standard library has the same opinion.
		for rest := text; ; {
			i := strings.IndexByte(rest, '$')
			if i < 0 {
				if want := os.Expand(text, func(string) string { return value }); any && value != "" && (err != nil || got != want) {
					t.Fatalf("%q: got %q, %v, want %q", text, got, err, want)
				}
				return
			}
			m := plain.FindString(rest[i:])
			if !strings.HasPrefix(m, "${A") {
				return
			}
			rest = rest[i+len(m):]
		}
	})
}

// FuzzDuration: what is taken for a duration is a number of units in arithmetic without bounds, cut to what Go can say.
func FuzzDuration(f *testing.F) {
	units := map[string]int64{"d": 24 * 3600e9, "h": 3600e9, "min": 60e9, "m": 60e9, "s": 1e9, "ms": 1e6, "": 1e6, "µs": 1e3, "ns": 1}
	form := regexp.MustCompile(`^[0-9]+$`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseDuration(text)
		if got < 0 || err != nil && got != 0 {
			t.Fatalf("%q: got %v, %v", text, got, err)
		}
		if again, err2 := parseDuration(" " + strings.ToUpper(text) + "\t"); !strings.ContainsAny(text, "µμ") && (again != got || (err == nil) != (err2 == nil)) {
			t.Fatalf("%q: got %v, %v, in capitals %v, %v", text, got, err, again, err2)
		}
		if !form.MatchString(text) {
			return
		}
		n, _ := new(big.Int).SetString(text, 10)
		for unit, size := range units {
			got, err := parseDuration(text + " " + unit)
			want := new(big.Int).Mul(n, big.NewInt(size))
			switch {
			case !n.IsInt64():
				if err == nil {
					t.Fatalf("%s %s: got %v", text, unit, got)
				}
			case !want.IsInt64():
				if err != nil || got != math.MaxInt64 {
					t.Fatalf("%s %s: got %v, %v, want the longest", text, unit, got, err)
				}
			case err != nil || got != time.Duration(want.Int64()):
				t.Fatalf("%s %s: got %v, %v, want %v", text, unit, got, err, want)
			}
		}
	})
}

// FuzzResolveURL: the name of a function, which comes from whoever sends a message, changes the part of the URL that the template
// gives it, and nothing else: not the host unless the template names it there, not the number of segments, not the query's names.
func FuzzResolveURL(f *testing.F) {
	f.Fuzz(func(t *testing.T, template, name string) {
		for _, kind := range []TransportKind{Async, OkHTTP} {
			e := Endpoint{URLTemplate: template, Transport: Transport{Kind: kind}}
			got, err := e.ResolveURL(api.FunctionType{Namespace: "n", Name: name})
			if err != nil {
				continue
			}
			if name == "" || name == "." || name == ".." {
				t.Fatalf("%q with %q: got %q", template, name, got)
			}
			if !strings.Contains(template, functionName) && got != template {
				t.Fatalf("%q, which has no place for a name: got %q", template, got)
			}
			u, err := url.Parse(got)
			if err != nil {
				t.Fatalf("%q with %q: %q: %v", template, name, got, err)
			}
			want, err := url.Parse(strings.ReplaceAll(template, functionName, "f"))
			if err != nil {
				t.Fatalf("%q is no URL although %q with %q is: %v", template, got, name, err)
			}
			authority, _, _ := cutBefore(template[strings.Index(template, "://")+3:], "/?#")
			if !strings.Contains(authority, functionName) && (u.Host != want.Host || u.User.String() != want.User.String()) {
				t.Fatalf("%q with %q: %q leads to %q", template, name, got, u.Host)
			}
			if u.Scheme != want.Scheme || u.Port() != want.Port() {
				t.Fatalf("%q with %q: got %q", template, name, got)
			}
			if a, b := strings.Count(u.EscapedPath(), "/"), strings.Count(want.EscapedPath(), "/"); a != b {
				t.Fatalf("%q with %q: %q has %d slashes in its path, want %d", template, name, got, a, b)
			}
			if a, b := strings.Count(u.RawQuery, "&")+strings.Count(u.RawQuery, "="), strings.Count(want.RawQuery, "&")+strings.Count(want.RawQuery, "="); a != b {
				t.Fatalf("%q with %q: query %q", template, name, u.RawQuery)
			}
			if (u.Fragment != "") != (want.Fragment != "") {
				t.Fatalf("%q with %q: fragment %q", template, name, u.Fragment)
			}
			if path, _, _ := cutBefore(template, "?#"); strings.HasSuffix(path, "/"+functionName) && !strings.HasSuffix(u.Path, "/"+name) {
				t.Fatalf("%q with %q: path %q", template, name, u.Path)
			}
			_ = redact(got)
		}
	})
}

// FuzzRedact: neither what stands before an @ nor what stands behind a ? is shown, also of what is no URL because a password is not
// encoded as it should be. (Where it is one all the same, its host is that before the slash, and nobody can know.)
func FuzzRedact(f *testing.F) {
	f.Fuzz(func(t *testing.T, user, rest string) {
		const secret = "hunter2hunter2"
		if strings.Contains(user, "hunter") || strings.Contains(rest, "hunter") {
			return
		}
		for _, u := range []string{
			"http://" + user + ":" + secret + "@h" + rest, "https://h/p?k=" + secret + rest, "http://u:" + secret + user + "@h" + rest, "http+unix://u:" + secret + user + "@/x.sock",
			"u:" + secret + "@h" + rest, "http:" + user + secret + "@h" + rest, "//" + secret + "@h" + rest, "h?" + secret + rest,
		} {
			if strings.ContainsAny(user, "/?#") {
				if _, err := url.Parse(u); err == nil {
					continue
				}
			}
			if got := redact(u); strings.Contains(got, secret) {
				t.Errorf("%q is shown as %q", u, got)
			}
		}
	})
}
