package sqlite

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

func TestMain(m *testing.M) {
	if role := os.Getenv("STATEGATE_SQLITE_TEST_CHILD"); role != "" {
		child(role)
		return
	}
	os.Exit(m.Run())
}

// quiet is a log that keeps silent unless the tests are verbose.
func quiet() *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// fresh is a file that no test has used.
func fresh(t testing.TB) string { return filepath.Join(t.TempDir(), "store.db") }

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

// patience is how long a test waits for what must come.
const patience = 90 * time.Second

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

// sqlDo is another program that works on the file.
func sqlDo(t testing.TB, path string, statements ...string) {
	t.Helper()
	c, err := dial((&Config{Path: path, BusyTimeMax: time.Second}).dsn())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.close() }()
	for _, s := range statements {
		if _, err := c.exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

var counter = api.FunctionType{Namespace: "shop", Name: "counter"}

func addr(id string) api.Address { return api.Address{Type: counter, ID: id} }

// state is an address with one value.
func state(id string, value []byte) statestore.AddressState {
	return statestore.AddressState{Address: addr(id), Values: []statestore.StateValue{{Name: "v", TypeName: "t", Value: value, Changed: true}}}
}

func loaded(t testing.TB, s *Store, id string) statestore.Loaded {
	t.Helper()
	l, err := s.States(t.Context(), []api.Address{addr(id)})
	if err != nil {
		t.Fatal(err)
	}
	return l[0]
}
