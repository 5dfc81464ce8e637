package postgres

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzURL: no text that is given as a store's URL is told with its password when it is refused; of what is taken, the schema is ours and
// everything else reaches the driver as it was.
func FuzzURL(f *testing.F) {
	f.Setenv("PGPASSFILE", "/nonexistent")
	f.Setenv("PGSERVICEFILE", "/nonexistent")
	const secret = "hunter2hunter2"
	f.Fuzz(func(t *testing.T, text, param string) {
		if strings.Contains(text+param, "hunter") {
			return
		}
		for _, raw := range []string{
			text, "postgres://u:" + secret + text + "@h/db?" + param, "postgres://u:" + text + secret + "@h:1/db", "postgres://u@h/db?password=" + secret + text + "&" + param,
			"postgres://u:" + url.QueryEscape(text+secret) + "@h/db?" + param, "postgres://u:" + secret + "@" + text + "/db?" + param,
		} {
			c := Config{URL: raw}
			pool, err := c.validate()
			if err != nil {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("%q: the password is told: %v", raw, err)
				}
				continue
			}
			if !schemaForm.MatchString(c.Schema) {
				t.Errorf("%q: schema %q", raw, c.Schema)
			}
			given, err := url.Parse(raw)
			if err != nil {
				t.Fatalf("%q was taken: %v", raw, err)
			}
			query := given.Query()
			if query.Has("schema") && query.Get("schema") != c.Schema || !query.Has("schema") && c.Schema != schemaDefault {
				t.Errorf("%q: schema %q", raw, c.Schema)
			}
			if password, ok := given.User.Password(); ok && !query.Has("password") && pool.ConnConfig.Password != password {
				t.Errorf("%q: the driver has another password than %q", raw, password)
			}
			if _, ok := pool.ConnConfig.RuntimeParams["schema"]; ok {
				t.Errorf("%q: the driver is given the schema", raw)
			}
		}
	})
}
