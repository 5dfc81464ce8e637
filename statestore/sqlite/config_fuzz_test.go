package sqlite

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzDSN: whatever a file is named, the driver opens that file, with our pragmas and no others.
func FuzzDSN(f *testing.F) {
	f.Fuzz(func(t *testing.T, path string) {
		if !strings.HasPrefix(path, "/") || strings.ContainsRune(path, 0) {
			return // validate makes it so
		}
		plain, odd := Config{Path: "/x"}, Config{Path: path}
		want, err := url.Parse(plain.dsn("query_only(1)"))
		if err != nil {
			t.Fatal(err)
		}
		text := odd.dsn("query_only(1)")
		got, err := url.Parse(text)
		if err != nil || got.Path != path || got.Host != "" || got.RawQuery != want.RawQuery || got.Fragment != "" || got.Scheme != "file" {
			t.Errorf("%q is %q: %+v, %v", path, text, got, err)
		}
		// The driver itself cuts the text at the first question mark.
		if name, query, ok := strings.Cut(text, "?"); !ok || query != want.RawQuery || strings.Contains(name, "#") {
			t.Errorf("%q is cut into %q and %q", path, name, query)
		}
	})
}
