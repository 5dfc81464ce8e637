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
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	c, err := s.Acquire(ctx, m, egresses)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
