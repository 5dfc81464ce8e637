package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
)

// StoreKind is what kind of store an URL names.
type StoreKind string

const (
	StoreSQLite   StoreKind = "sqlite"
	StorePostgres StoreKind = "postgres"
	StoreMemory   StoreKind = "memory"
)

// StoreURL names a store. It may hold a password, so it shows itself without it however it is printed; only Reveal tells all.
type StoreURL struct {
	kind     StoreKind
	path     string // of sqlite
	revealed string
	redacted string
}

// errStoreURL is all that is said of text that is no URL of a store: nobody can tell which part of it is a password.
var errStoreURL = errors.New("want sqlite:PATH, memory: or postgres://USER@HOST:PORT/DATABASE")

// ParseStoreURL reads sqlite:PATH, postgres://... (or postgresql://...) and memory:. Its errors never show what was given.
func ParseStoreURL(text string) (StoreURL, error) {
	scheme, rest, ok := strings.Cut(text, ":")
	if !ok {
		return StoreURL{}, errStoreURL
	}
	switch strings.ToLower(scheme) {
	case "memory":
		if rest != "" {
			return StoreURL{}, errors.New("memory: takes nothing behind the colon")
		}
		return StoreURL{kind: StoreMemory, revealed: "memory:", redacted: "memory:"}, nil
	case "sqlite":
		return parseSQLite(rest)
	case "postgres", "postgresql":
		return parsePostgres(text)
	}
	return StoreURL{}, errStoreURL
}

func parseSQLite(path string) (StoreURL, error) {
	const want = "want sqlite:PATH, such as sqlite:stategate.db or sqlite:/var/lib/stategate/stategate.db"
	if rest, ok := strings.CutPrefix(path, "//"); ok { // as others write it; sqlite://x would be /x
		if !strings.HasPrefix(rest, "/") {
			return StoreURL{}, errors.New(want + ", without // before it")
		}
		path = rest
	}
	switch {
	case path == ":memory:":
		return StoreURL{}, errors.New("write memory: for a store that lives in memory")
	case path == "" || strings.HasSuffix(path, "/"):
		return StoreURL{}, errors.New(want)
	case strings.ContainsAny(path, "?#\x00"):
		return StoreURL{}, errors.New("the path may not hold '?', '#' or NUL: there are no options; " + want)
	}
	return StoreURL{kind: StoreSQLite, path: path, revealed: "sqlite:" + path, redacted: "sqlite:" + path}, nil
}

func parsePostgres(text string) (StoreURL, error) {
	const want = "want postgres://USER:PASSWORD@HOST:PORT/DATABASE; special characters in a password are written %XX (@ is %40, / is %2F)"
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || !strings.HasPrefix(text[len(u.Scheme):], "://") {
		return StoreURL{}, errors.New(want) // the cause repeats parts of the text
	}
	// An @ behind the host, or a fragment, is what a password with a / ? or # in it leaves: then host and port are parts of it.
	if u.Fragment != "" || strings.Contains(text, "#") || strings.Contains(u.EscapedPath(), "@") || strings.Contains(u.RawQuery, "@") {
		return StoreURL{}, errors.New(want)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return StoreURL{}, errors.New("the part behind ? is not well formed: want NAME=VALUE&NAME=VALUE, special characters written %XX")
	}
	return StoreURL{kind: StorePostgres, revealed: text, redacted: redact(u, query)}, nil
}

// harmless are the parameters of a postgres URL whose values are shown. Whatever else may be given is hidden.
var harmless = []string{
	"application_name", "connect_timeout", "database", "dbname", "host", "port", "schema", "sslmode", "target_session_attrs", "user",
}

func redact(u *url.URL, query url.Values) string {
	var b strings.Builder
	b.WriteString(u.Scheme + "://")
	if u.User != nil {
		b.WriteString(url.User(u.User.Username()).String())
		if _, ok := u.User.Password(); ok {
			b.WriteString(":***")
		}
		b.WriteString("@")
	}
	b.WriteString(u.Host + u.EscapedPath())
	var shown []string
	hidden := false
	for name, values := range query {
		if !slices.Contains(harmless, name) {
			hidden = true
			continue
		}
		for _, v := range values {
			shown = append(shown, name+"="+url.QueryEscape(v))
		}
	}
	slices.Sort(shown)
	if hidden {
		shown = append(shown, "***")
	}
	if len(shown) > 0 {
		b.WriteString("?" + strings.Join(shown, "&"))
	}
	return b.String()
}

// Kind says which store it is; "" for the zero value.
func (u StoreURL) Kind() StoreKind { return u.kind }

// Path is the file of an sqlite store.
func (u StoreURL) Path() string { return u.path }

// Reveal is the whole URL, passwords included: for whoever opens the store, and nobody else.
func (u StoreURL) Reveal() string { return u.revealed }

// Redacted is the URL for people: without passwords, and without the values of parameters that nobody knows.
func (u StoreURL) Redacted() string { return u.redacted }

// String is Redacted.
func (u StoreURL) String() string { return u.redacted }

// Format keeps every verb from looking at the fields.
func (u StoreURL) Format(s fmt.State, _ rune) { _, _ = s.Write([]byte(u.redacted)) }

// LogValue is Redacted.
func (u StoreURL) LogValue() slog.Value { return slog.StringValue(u.redacted) }

// MarshalText is Redacted.
func (u StoreURL) MarshalText() ([]byte, error) { return []byte(u.redacted), nil }
