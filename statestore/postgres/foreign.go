package postgres

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// made finds what the migrations create, with names that no two things of a schema share.
var made = regexp.MustCompile(`(?m)^CREATE (?:TABLE|INDEX) (?:\{s\}\.)?(\w+)`)

// ownNames are the names that a store needs in its schema, but for the table of versions.
func ownNames() (names []string) {
	for _, m := range made.FindAllStringSubmatch(create, -1) {
		names = append(names, m[1])
	}
	return names
}

// refuseForeign tells another program's schema by what has the names of a store's tables and is none of a store. Tables beside
// them are nobody's business: a store may be a guest. stored and err are what storedVersion answered before: a store of some
// version has its tables, for both are made in one transaction. Without that, another program's table of versions would pass for
// ours, and its migrations for made.
func (s *Store) refuseForeign(ctx context.Context, stored int64, err error) error {
	var pe *pgconn.PgError
	versions := stored > 0 || errors.As(err, &pe) && pe.Code == "42703" // of another form
	if err != nil && !versions {
		return nil // nobody knows yet; the caller tells
	}
	const look = `
SELECT (SELECT count(*) = 2 FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
        WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND NOT a.attisdropped
          AND (c.relname = 'meta' AND a.attname = 'identity' AND a.atttypid = 'uuid'::regtype OR c.relname = 'member' AND a.attname = 'commit_number')),
       ARRAY(SELECT relname::text FROM pg_class WHERE relnamespace = n.oid AND relname = ANY($2::text[])
             UNION SELECT typname::text FROM pg_type WHERE typnamespace = n.oid AND typname = ANY($2::text[]) ORDER BY 1)
FROM pg_namespace n WHERE n.nspname = $1`
	var ours bool
	var taken []string
	err = s.owners.QueryRow(ctx, look, s.cfg.Schema, ownNames()).Scan(&ours, &taken)
	switch {
	case errors.Is(err, pgx.ErrNoRows), ours: // no such schema yet, or a store
		return nil
	case err != nil:
		return fmt.Errorf("look at schema %q: %w", s.cfg.Schema, err)
	}
	if versions {
		taken = append(taken, versionTable)
	}
	if len(taken) == 0 {
		return nil
	}
	return fmt.Errorf("schema %q is another program's: its %s would be in the way of the gateway's; name another schema by schema=NAME in the store's URL", s.cfg.Schema, strings.Join(taken, ", "))
}
