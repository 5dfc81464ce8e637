package postgres

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/statestore"
)

func TestPasswordIsNeverTold(t *testing.T) {
	const secret = "s3cr%et"
	for _, url := range []string{
		"postgres://u:s3cr%et@127.0.0.1:1/db",
		"postgres://u:s3cr%25et@127.0.0.1:1/db",
		"postgres://u:s3cr%25et@127.0.0.1:port/db",
		"postgres://u:s3cr%25et@127.0.0.1:99999/db",
		"postgres://u:s3cr%25et@[::1/db",
		"postgres://u:a/s3cr%25et@127.0.0.1:1/db",
		"postgres://u:s3cr#et@127.0.0.1:1/db",
		"postgres://u:s3cr\"et#@127.0.0.1:1/db",
		"postgres://u@127.0.0.1:1/db?password=s3cr%25et",
		"postgres://u@127.0.0.1:1/db?password=s3cr%et",
		"postgres://u:s3cr%25et@127.0.0.1:1/db?sslmode=nonsense",
		"postgres://u:s3cr%25et@127.0.0.1:1/db?connect_timeout=s3cr%25et",
		"postgres://u:s3cr%25et@127.0.0.1:1/db?schema=Bad",
		"postgres://u:s3cr%25et@127.0.0.1:1/db\x7f",
		"mysql://u:s3cr%25et@127.0.0.1:1/db",
		"host=127.0.0.1 port=1 password=s3cr%et",
	} {
		var log bytes.Buffer
		_, err := Open(t.Context(), Config{URL: url, Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err == nil {
			t.Errorf("%s: opened", url)
			continue
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			if strings.Contains(e.Error(), "s3cr") || strings.Contains(e.Error(), secret) {
				t.Errorf("%s: the error tells the password: %v", url, e)
			}
		}
		if strings.Contains(log.String(), "s3cr") {
			t.Errorf("%s: the log tells the password: %s", url, log.String())
		}
	}
}

func TestBadConfigIsRefused(t *testing.T) {
	for _, test := range []struct {
		cfg  Config
		want string
	}{
		{Config{URL: "postgres://localhost/db?schema="}, "schema= is empty"},
		{Config{URL: "postgres://localhost/db?schema=pg_x"}, `schema "pg_x"`},
		{Config{URL: `postgres://localhost/db?schema=a"b`}, "schema"},
		{Config{URL: "postgres://localhost/db", Schema: strings.Repeat("a", 64)}, "schema"},
		{Config{URL: "postgres://localhost/db", Schema: "1a"}, "schema"},
		{Config{URL: "postgres://localhost/db", Lease: time.Millisecond}, "lease of 1ms"},
		{Config{}, "want postgres://"},
	} {
		_, err := Open(t.Context(), test.cfg)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%+v: got %v, want %q", test.cfg, err, test.want)
		}
	}
}

// Refused at once, and within ten seconds where nobody answers.
func TestUnreachableServerEndsOpen(t *testing.T) {
	start := time.Now()
	_, err := Open(t.Context(), Config{URL: "postgres://u@127.0.0.1:1/db", Log: quiet()})
	if err == nil || !strings.Contains(err.Error(), "refused") || time.Since(start) > 9*time.Second {
		t.Errorf("refused: %v after %v", err, time.Since(start))
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	start = time.Now()
	_, err = Open(t.Context(), Config{URL: "postgres://u@" + silent.Addr().String() + "/db?sslmode=disable", Log: quiet()})
	if took := time.Since(start); err == nil || took > 20*time.Second {
		t.Errorf("silent: %v after %v", err, took)
	}
}

func TestNewerStoreIsRefused(t *testing.T) {
	srv := common(t)
	schema := fresh()
	s, waiting := open(t, Config{URL: srv.URL(), Schema: schema}), open(t, Config{URL: srv.URL(), Schema: schema})
	if _, err := connect(t, srv).Exec(t.Context(), s.sql(`INSERT INTO {s}.stategate_version (version_id, is_applied) VALUES (2, true)`)); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Config{URL: srv.URL(), Schema: schema, Log: quiet()})
	if !errors.Is(err, statestore.ErrNewer) || !strings.Contains(err.Error(), "version 2, this program knows up to 1") {
		t.Errorf("got %v, want ErrNewer with both versions", err)
	}
	if _, err := waiting.Acquire(t.Context(), newMember(), nil); !errors.Is(err, statestore.ErrNewer) {
		t.Errorf("claim of a store that was migrated meanwhile: %v, want ErrNewer", err)
	}
}

func TestSchemasAreApplications(t *testing.T) {
	url := common(t).URL()
	a, b := open(t, Config{URL: url + "&schema=" + fresh()}), open(t, Config{URL: url, Schema: fresh()})
	if a.Identity() == b.Identity() || len(a.Identity()) != 36 {
		t.Errorf("identities %q and %q", a.Identity(), b.Identity())
	}
	ca, cb := acquire(t, a, newMember()), acquire(t, b, newMember()) // both own: neither waits for the other
	if err := a.Commit(t.Context(), &statestore.Commit{Fence: ca.Fence, Number: 1, NextNumber: 1, States: []statestore.AddressState{state("x", []byte("a"))}}); err != nil {
		t.Fatal(err)
	}
	if got := loaded(t, b, "x"); len(got.Values) != 0 {
		t.Error("the other application sees the state")
	}
	if err := b.Commit(t.Context(), &statestore.Commit{Fence: cb.Fence, Number: 1, NextNumber: 1}); err != nil {
		t.Fatal(err)
	}
	again := open(t, Config{URL: url, Schema: a.cfg.Schema})
	if again.Identity() != a.Identity() {
		t.Errorf("identity %q, was %q", again.Identity(), a.Identity())
	}
}

// A store that must be there is not made, nor is its schema.
func TestExistingMakesNothing(t *testing.T) {
	srv, schema := common(t), fresh()
	for range 2 {
		if _, err := Open(t.Context(), Config{URL: srv.URL(), Schema: schema, Existing: true, Log: quiet()}); err == nil || !strings.Contains(err.Error(), "there is no store in schema "+strconv.Quote(schema)) {
			t.Errorf("got %v", err)
		}
	}
	var there bool
	if err := connect(t, srv).QueryRow(t.Context(), `SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = $1)`, schema).Scan(&there); err != nil || there {
		t.Errorf("the schema is there: %v, %v", there, err)
	}
	open(t, Config{URL: srv.URL(), Schema: schema})
	open(t, Config{URL: srv.URL(), Schema: schema, Existing: true})
}

func TestManyOpenAtOnce(t *testing.T) {
	cfg := Config{URL: common(t).URL(), Schema: fresh(), Log: quiet()}
	ids := make(chan string)
	for range 6 {
		go func() {
			s, err := Open(context.Background(), cfg)
			if err != nil {
				ids <- err.Error()
				return
			}
			defer s.Close()
			ids <- s.Identity()
		}()
	}
	first := <-ids
	for range 5 {
		if id := <-ids; id != first {
			t.Errorf("got %q and %q", first, id)
		}
	}
}

func TestCommitsWaitForTheDisk(t *testing.T) {
	s := open(t, Config{URL: common(t).URL() + "&options=-csynchronous_commit%3Doff", Schema: fresh()})
	if !s.async {
		t.Fatal("synchronous_commit=off was not noticed")
	}
	c := acquire(t, s, newMember())
	if err := s.Commit(t.Context(), &statestore.Commit{Fence: c.Fence, Number: 1, NextNumber: 1}); err != nil {
		t.Fatal(err)
	}
	var mode string
	if err := s.writer.conn.QueryRow(t.Context(), `SHOW synchronous_commit`).Scan(&mode); err != nil || mode != "on" {
		t.Errorf("the writer's synchronous_commit is %q, %v", mode, err)
	}
}

// A database may take the words and not mean them: it tells a second session that it has the lock, too.
func TestLockThatDoesNotExcludeIsNotUsed(t *testing.T) {
	via := relay(t, common(t), way{answer: func(kind byte, body []byte) bool {
		if kind == 'D' && len(body) == 7 && body[6] == 'f' { // one column, one byte: false
			body[6] = 't'
		}
		return true
	}})
	var log bytes.Buffer
	schema := fresh()
	open(t, Config{URL: common(t).URL(), Schema: schema}) // migrated without lies
	s := open(t, Config{URL: via, Schema: schema, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if s.hintOff != "it does not exclude a second session" || !strings.Contains(log.String(), s.hintOff) {
		t.Errorf("hint off: %q, log %q", s.hintOff, log.String())
	}
	acquire(t, s, newMember())
	if s.keeper != nil {
		t.Error("somebody keeps the lock all the same")
	}
}

// Behind a pooler the session is not the client's: the lock is not trusted, the lease is.
func TestPoolerLeavesTheLeaseOnly(t *testing.T) {
	srv := common(t)
	via := relay(t, srv, way{answer: func(kind byte, body []byte) bool {
		if kind == 'K' { // a pooler gives its clients keys of its own
			binary.BigEndian.PutUint32(body, 7)
		}
		return true
	}})
	schema := fresh()
	cfg := Config{URL: via, Schema: schema, Lease: 1500 * time.Millisecond}
	a, b := open(t, cfg), open(t, cfg)
	if !strings.Contains(a.hintOff, "pooler") {
		t.Fatalf("hint off: %q, want a pooler", a.hintOff)
	}
	start := time.Now()
	acquire(t, a, newMember())
	_ = a.Close()
	standby(t, b).get(t)
	if took := time.Since(start); took < cfg.Lease {
		t.Errorf("took over after %v, before the lease of %v has ended", took, cfg.Lease)
	}
}
