package postgres

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"

	"github.com/jackc/pgx/v5/pgxpool"
)

// Config says where a store is and how ownership of it is judged. Only URL is needed.
type Config struct {
	// URL is postgres://user@host:port/database?param=value, with everything that pgx takes; what it leaves out comes from
	// the PG* variables of the environment, the password also from PGPASSFILE. schema=NAME in it names the schema.
	URL string
	// Schema holds the application's tables; one schema is one application. Default "stategate". The URL's schema wins.
	// Lower-case letters, digits and underscores, at most 63.
	Schema string
	// Existing refuses to make a store: the schema must hold one already.
	Existing bool
	// Lease is how long an owner that says nothing counts as alive. Default 3 s, at least 100 ms. Too short, and a living
	// owner on a busy machine is taken over; too long, and the death of a machine is noticed late. The time-outs by which the
	// server ends what a dead owner left are two thirds of it, but at least 1 s: below 1.5 s only a claim ends that sooner.
	Lease time.Duration
	// NoHint leaves the advisory lock out: the death of a process is then noticed by the end of its lease only.
	NoHint bool
	// ConnectTimeMax bounds how long Open waits for the server. Default 8 s.
	ConnectTimeMax time.Duration
	// Readers is how many connections load state at the same time. Default 4.
	Readers int
	// Log takes what people should know: waiting, taking over, a lock that does not exclude. Default slog.Default().
	Log *slog.Logger
}

const (
	leaseDefault       = 3 * time.Second
	leaseMin           = 100 * time.Millisecond
	connectTimeDefault = 8 * time.Second
	readersDefault     = 4
	schemaDefault      = "stategate"
)

var schemaForm = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,62}$`)

// validate fills in defaults and answers the configuration of connections, without the parts of the URL that are ours.
func (c *Config) validate() (*pgxpool.Config, error) {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Lease == 0 {
		c.Lease = leaseDefault
	}
	if c.Lease < leaseMin {
		return nil, fmt.Errorf("lease of %v: at least %v is needed", c.Lease, leaseMin)
	}
	if c.ConnectTimeMax <= 0 {
		c.ConnectTimeMax = connectTimeDefault
	}
	if c.Readers <= 0 {
		c.Readers = readersDefault
	}
	clean, schema, err := splitURL(c.URL)
	if err != nil {
		return nil, err
	}
	if schema != "" {
		c.Schema = schema
	}
	if c.Schema == "" {
		c.Schema = schemaDefault
	}
	if !schemaForm.MatchString(c.Schema) || strings.HasPrefix(c.Schema, "pg_") || c.Schema == "information_schema" {
		return nil, fmt.Errorf("schema %q: want lower-case letters, digits and underscores, at most 63, not beginning with a digit or pg_", c.Schema)
	}
	pc, err := pgxpool.ParseConfig(clean)
	if err != nil {
		return nil, redact(c.URL, err)
	}
	return pc, nil
}

// splitURL takes schema=NAME out of a store's URL.
func splitURL(raw string) (clean, schema string, err error) {
	u, err := url.Parse(raw)
	if err != nil {
		return "", "", redact(raw, err)
	}
	if u.Scheme != "postgres" && u.Scheme != "postgresql" {
		return "", "", errors.New("parse store URL: want postgres://user@host:port/database")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", "", redact(raw, err)
	}
	schema = q.Get("schema")
	if q.Has("schema") {
		if schema == "" {
			return "", "", errors.New("parse store URL: schema= is empty")
		}
		q.Del("schema")
		u.RawQuery = q.Encode()
	}
	return u.String(), schema, nil
}

// redact answers the cause of a URL's refusal without the URL. The errors of the parsers repeat what they were given, and of
// text that is not a URL nobody can say which part is the password: so only a cause that shares nothing with it is told.
func redact(raw string, err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	for e := errors.Unwrap(err); e != nil; e = errors.Unwrap(e) {
		err = e
	}
	text := err.Error()
	// By its words, because parsers cut and quote elsewhere than anybody thinks of.
	for _, part := range strings.FieldsFunc(raw, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }) {
		if len(part) > 2 && strings.Contains(text, part) {
			return errors.New("parse store URL: want postgres://user@host:port/database; special characters in a password are written %XX")
		}
	}
	return fmt.Errorf("parse store URL: %s; want postgres://user@host:port/database", text)
}
