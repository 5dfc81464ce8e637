package postgres

import (
	"context"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/stategate/stategate/internal/testserver"
	"github.com/stategate/stategate/statestore"
)

func TestMain(m *testing.M) {
	if role := os.Getenv("STATEGATE_POSTGRES_TEST_CHILD"); role != "" {
		child(role)
		return
	}
	os.Exit(testserver.Main(m))
}

// common is the server that tests share; each has a schema of its own there.
func common(t testing.TB) *testserver.PostgresServer { t.Helper(); return testserver.Postgres(t) }

// private is a server for one test, which may kill it.
func private(t testing.TB) *testserver.PostgresServer {
	t.Helper()
	return testserver.PrivatePostgres(t, testserver.PostgresConfig{})
}

func connect(t testing.TB, srv *testserver.PostgresServer) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// patience is how long a test waits for what must come.
const patience = 90 * time.Second

// until asks until it is so.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); rest(t.Context(), 5*time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited %v: %s", patience, what)
		}
	}
}

// lockWaits counts the statements on a schema, or on a table of it, that wait for a lock.
func lockWaits(t testing.TB, look *pgx.Conn, schema, table string) (n int) {
	t.Helper()
	const ask = `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%"' || $1 || '".' || $2 || '%'`
	if err := look.QueryRow(t.Context(), ask, schema, table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// quiet is a log that keeps silent unless the tests are verbose.
func quiet() *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// fresh is a schema that no test has used.
func fresh() string { return "t" + uuid.New().String()[:8] }

func open(t testing.TB, cfg Config) *Store {
	t.Helper()
	if cfg.Log == nil {
		cfg.Log = quiet()
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newMember() statestore.Member {
	return statestore.Member{ID: uuid.NewString(), Host: "host", PID: os.Getpid(), Address: "127.0.0.1:8081", Started: time.Now().UTC().Truncate(time.Millisecond)}
}

func acquire(t testing.TB, s *Store, m statestore.Member, egresses ...string) *statestore.Claim {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c, err := s.Acquire(ctx, m, egresses)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
