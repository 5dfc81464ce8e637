package config

import (
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	yaml "go.yaml.in/yaml/v3"
)

// FuzzLoad: one text means the same in a file, in a variable and behind a flag: it gives the same settings, or is refused with the same
// words. Whatever is refused is a ValueError that says where the value stands.
func FuzzLoad(f *testing.F) {
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		s := &settings[int(which)%len(settings)]
		if s.key == "storeFile" || text == "" { // names a file; a variable that is set to nothing is not set
			return
		}
		said := func(args, environ []string) (Config, string) {
			flags := pflag.NewFlagSet("gateway", pflag.ContinueOnError)
			l := Register(flags)
			if err := flags.Parse(args); err != nil {
				t.Fatalf("%q: %v", args, err)
			}
			c, warnings, err := l.Load(environ)
			if len(warnings) > 0 {
				t.Fatalf("%s: warnings %q", s.key, warnings)
			}
			if err == nil {
				return c, ""
			}
			var wrong *ValueError
			if !errors.As(err, &wrong) || wrong.Text == "" || wrong.Where == "" {
				t.Fatalf("%s: %q is refused with %v", s.key, text, err)
			}
			if len(wrong.Text) > 1000 {
				t.Fatalf("%s: refused with %d bytes", s.key, len(wrong.Text))
			}
			return Config{}, wrong.Text
		}
		wantConfig, want := said([]string{"--" + s.flag() + "=" + text}, nil)
		if got, why := said(nil, []string{s.variable() + "=" + text}); why != want || !cmp.Equal(got, wantConfig, same) {
			t.Errorf("%s: %q in the environment is %+v, %q, want %+v, %q", s.key, text, got, why, wantConfig, want)
		}
		data, err := yaml.Marshal(map[string]string{s.key: text})
		if err != nil || !utf8.ValidString(text) || len(data) > fileBytesMax {
			return
		}
		name := filepath.Join(dir, "gateway.yaml")
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, why := said([]string{"--config", name}, nil); why != want || !cmp.Equal(got, wantConfig, same) {
			t.Errorf("%s: %q in a file is %+v, %q, want %+v, %q", s.key, text, got, why, wantConfig, want)
		}
	})
}

// FuzzParseFile: a file of settings of any bytes gives settings, or complaints with a place in it. It never shows a value of a key
// that it does not know.
func FuzzParseFile(f *testing.F) {
	f.Add([]byte(Manual()))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := parseFile("f", data)
		for key, g := range got {
			if find(key) == nil || !strings.HasPrefix(g.where, "f:") || !strings.HasSuffix(g.where, ": "+key) {
				t.Errorf("key %q at %q", key, g.where)
			}
		}
		if err == nil {
			return
		}
		for _, one := range unjoin(err) {
			var wrong *ValueError
			if !errors.As(one, &wrong) || wrong.Text == "" {
				t.Fatalf("refused with %v", one)
			}
			place := strings.Split(wrong.Where, ":")
			if len(place) != 3 || place[0] != "f" {
				t.Fatalf("refused at %q", wrong.Where)
			}
			for _, n := range place[1:] {
				if n, err := strconv.Atoi(n); err != nil || n < 1 || n > len(data)+2 {
					t.Fatalf("refused at %q of %d bytes", wrong.Where, len(data))
				}
			}
		}
		const password = "hunter2hunter2"
		if strings.Contains(string(data), "hunter") {
			return
		}
		for _, hidden := range []string{"postgres://u:" + password + "@h/d\n", "postgres: " + password + "\n", "? [" + password + "]\n"} {
			if _, err := parseFile("f", append([]byte(hidden), data...)); err != nil && strings.Contains(err.Error(), password) {
				t.Errorf("shows the password: %v", err)
			}
		}
	})
}

func unjoin(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// FuzzSize: a size is its number times its unit in arithmetic without bounds, and comes back from what is shown of it.
func FuzzSize(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseSize(text)
		if err != nil {
			if got != 0 {
				t.Fatalf("%q: got %d beside %v", text, got, err)
			}
			return
		}
		unit := strings.TrimLeft(text, " 0123456789+-\t\n\v\f\r\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000")
		bytes := map[string]int64{"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}[unit]
		n, ok := new(big.Int).SetString(strings.TrimSpace(strings.TrimSuffix(text, unit)), 10)
		if !ok || bytes == 0 || new(big.Int).Mul(n, big.NewInt(bytes)).Cmp(big.NewInt(got)) != 0 || got < 0 {
			t.Fatalf("%q is taken for %d", text, got)
		}
		if again, err := parseSize(formatSize(got)); err != nil || again != got {
			t.Fatalf("%q: %d is shown as %s, which is %d, %v", text, got, formatSize(got), again, err)
		}
	})
}
