//go:build unix

package statefile

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/internal/testserver"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
	"github.com/stategate/stategate/statestore/postgres"
	"github.com/stategate/stategate/statestore/sqlite"
)

func TestMain(m *testing.M) { os.Exit(testserver.Main(m)) }

// written is what an export would write of a line.
func written(t *testing.T, l *line) []byte {
	t.Helper()
	var b bytes.Buffer
	e := exporter{out: bufio.NewWriter(&b)}
	if l.kind == lineSpec {
		if err := e.spec(l.address.Type, l.spec); err != nil {
			t.Fatal(err)
		}
	} else {
		e.value(&l.address, &l.state)
	}
	if err := e.out.Flush(); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

// clock is when everything happens that does not say when.
var clock = time.UnixMilli(1_767_225_600_000)

// opened is a store with the claim of one member.
type opened struct {
	statestore.Store
	claim *statestore.Claim
}

func own(t *testing.T, s statestore.Store) *opened {
	t.Helper()
	t.Cleanup(func() { _ = s.Close() })
	o := &opened{Store: s}
	o.again(t)
	return o
}

// again claims the store anew, as another process would.
func (o *opened) again(t *testing.T) {
	t.Helper()
	claim, err := o.Acquire(t.Context(), statestore.Member{ID: uuid.NewString(), Host: "h", PID: 1, Started: clock}, nil)
	if err != nil {
		t.Fatal(err)
	}
	o.claim = claim
}

func (o *opened) release(t *testing.T) {
	t.Helper()
	if err := o.Release(t.Context(), o.claim.Fence); err != nil {
		t.Fatal(err)
	}
}

func inMemory(t *testing.T) *opened { return own(t, memory.New(memory.Config{})) }

// kinds are the stores that state moves between.
var kinds = map[string]func(t *testing.T) *opened{
	"memory": inMemory,
	"sqlite": func(t *testing.T) *opened {
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "s.db"), Log: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		return own(t, s)
	},
	"postgres": func(t *testing.T) *opened {
		schema := "s" + strings.ReplaceAll(uuid.NewString(), "-", "")
		s, err := postgres.Open(t.Context(), postgres.Config{URL: testserver.Postgres(t).URL(), Schema: schema, Log: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		return own(t, s)
	},
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// load imports a text, with what config changes.
func (o *opened) load(t *testing.T, text string, change func(*ImportConfig)) (Imported, error) {
	t.Helper()
	return o.loadFrom(t.Context(), strings.NewReader(text), change)
}

func (o *opened) loadFrom(ctx context.Context, in io.Reader, change func(*ImportConfig)) (Imported, error) {
	cfg := ImportConfig{Target: o, Claim: o.claim, Now: func() time.Time { return clock }, Pause: func(context.Context) {}}
	if change != nil {
		change(&cfg)
	}
	done, err := Import(ctx, cfg, "f", in)
	o.claim.Commit += uint64(done.Commits)
	return done, err
}

// dump is all lines of an export but the first.
func (o *opened) dump(t *testing.T) string {
	t.Helper()
	var b bytes.Buffer
	if _, err := Export(t.Context(), ExportConfig{Store: o, Identity: o.Identity(), Now: clock}, &b); err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(b.String(), "\n")
	if want := fmt.Sprintf(`{"stategate":"state","version":1,"store":%q,"at":"2026-01-01T00:00:00Z"}`, o.Identity()); head != want {
		t.Errorf("head %s, want %s", head, want)
	}
	return rest
}

func values(t *testing.T, o *opened, function, id string) []statestore.StateValue {
	t.Helper()
	f, err := ParseFunction(function)
	if err != nil {
		t.Fatal(err)
	}
	found, err := o.States(t.Context(), []api.Address{{Type: f, ID: id}})
	if err != nil {
		t.Fatal(err)
	}
	return found[0].Values
}
