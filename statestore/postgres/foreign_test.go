package postgres

import (
	"strings"
	"testing"
)

func TestNamesAreThoseOfTheSchema(t *testing.T) {
	s := open(t, Config{URL: common(t).URL(), Schema: fresh()})
	var got int
	const ask = `SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = ANY($2::text[])`
	if err := s.owners.QueryRow(t.Context(), ask, s.cfg.Schema, ownNames()).Scan(&got); err != nil {
		t.Fatal(err)
	}
	if got != len(ownNames()) || got < 15 {
		t.Errorf("the schema has %d of the names %q", got, ownNames())
	}
}

// A schema in which another program has what a store needs is left as it is, and the refusal says what is in the way. A schema
// with other things in it takes a store in.
func TestForeignSchemaIsRefused(t *testing.T) {
	srv := common(t)
	const versions = `CREATE TABLE {s}.stategate_version (id serial PRIMARY KEY, version_id bigint NOT NULL, is_applied boolean NOT NULL, tstamp timestamp DEFAULT now());
INSERT INTO {s}.stategate_version (version_id, is_applied) VALUES (0, true)`
	for _, test := range []struct {
		name, sql string
		want      string // what is in the way; "": nothing
	}{
		{"other tables", `CREATE TABLE {s}.customer (id int); CREATE TABLE {s}.members (id int)`, ""},
		{"a store that was begun", versions, ""},
		{"a table of the same name", `CREATE TABLE {s}.member (id int, name text)`, "member"},
		{"two", `CREATE TABLE {s}.timer (id int); CREATE VIEW {s}.claim AS SELECT 1 AS identity`, "claim, timer"},
		{"a type", `CREATE TYPE {s}.state AS ENUM ('new')`, "state"},
		{"a sequence", `CREATE SEQUENCE {s}.state_expires`, "state_expires"},
		{"half of ours", `CREATE TABLE {s}.meta (identity uuid); CREATE TABLE {s}.member (id int)`, "member, meta"},
		{"another kind of versions", `CREATE TABLE {s}.stategate_version (version int)`, "stategate_version"},
		{"other migrations", versions + `, (1, true); CREATE TABLE {s}.customer (id int)`, "stategate_version"},
		{"more migrations than ours", versions + `, (7, true); CREATE TABLE {s}.customer (id int)`, "stategate_version"},
	} {
		t.Run(test.name, func(t *testing.T) {
			schema := fresh()
			admin := connect(t, srv)
			run := func(sql string) {
				t.Helper()
				if _, err := admin.Exec(t.Context(), strings.ReplaceAll(sql, "{s}", schema)); err != nil {
					t.Fatal(err)
				}
			}
			there := func() (n int) {
				t.Helper()
				if err := admin.QueryRow(t.Context(), `SELECT count(*) FROM pg_class WHERE relnamespace = $1::text::regnamespace`, schema).Scan(&n); err != nil {
					t.Fatal(err)
				}
				return n
			}
			run(`CREATE SCHEMA {s}`)
			run(test.sql)
			before := there()
			s, err := Open(t.Context(), Config{URL: srv.URL(), Schema: schema, Log: quiet()})
			if err == nil {
				_ = s.Close()
			}
			if test.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				open(t, Config{URL: srv.URL(), Schema: schema}) // and again
				return
			}
			for _, want := range []string{`schema "` + schema + `" is another program's`, "its " + test.want + " would be", "schema=NAME"} {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q", err, want)
				}
			}
			if after := there(); after != before {
				t.Errorf("%d relations, were %d", after, before)
			}
		})
	}
}
