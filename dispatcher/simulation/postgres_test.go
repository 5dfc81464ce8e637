package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stategate/stategate/internal/testserver"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/postgres"
)

// serverPatience is how long a server on a busy machine may keep a life waiting. It is the lease, too: no lease ends by itself.
const serverPatience = time.Minute

// onServer plays each life in a schema that is empty, on a server that goes away with the test.
type onServer struct {
	server *testserver.PostgresServer

	mu    sync.Mutex
	made  int      // schemas; guarded by mu
	empty []string // those that no life has; guarded by mu
}

// newOnServer starts a server that does not wait for its disk: what it answers is the same, and only a machine that stops could
// tell the difference.
func newOnServer(t testing.TB) backend {
	t.Helper()
	return &onServer{server: testserver.PrivatePostgres(t, testserver.PostgresConfig{Settings: map[string]string{
		"fsync": "off", "full_page_writes": "off", "max_connections": "300", "log_min_messages": "log", // no more than that it serves
	}})}
}

func (b *onServer) name() string { return "postgres" }

func (b *onServer) open() (deposit, error) {
	session, err := b.server.Session()
	if err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.empty) == 0 {
		b.made++
		b.empty = append(b.empty, fmt.Sprint("life", b.made))
	}
	schema := b.empty[0]
	b.empty = b.empty[1:]
	return &schemaDeposit{server: b, session: session, cfg: postgres.Config{
		URL: b.server.URL(), Schema: schema, Lease: serverPatience, NoHint: true, Readers: 1, ConnectTimeMax: serverPatience, Log: slog.New(slog.DiscardHandler),
	}}, nil
}

// emptySQL leaves a schema as its migrations have made it, which takes ten times as long.
const emptySQL = `DO $$ DECLARE names text; BEGIN
  SELECT string_agg(format('%I.%I', schemaname, tablename), ', ') INTO names FROM pg_tables
  WHERE schemaname = '{s}' AND tablename NOT IN ('meta', 'stategate_version');
  EXECUTE 'TRUNCATE ' || names || ' RESTART IDENTITY';
  INSERT INTO {s}.ownership (lo, hi, member, epoch, next_number) VALUES (0, 1440, NULL, 0, 1);
END $$`

type schemaDeposit struct {
	server  *onServer
	session *testserver.PostgresSession
	cfg     postgres.Config
}

func (d *schemaDeposit) handle() (handle, error) {
	s, err := postgres.Open(context.Background(), d.cfg)
	if err != nil {
		return nil, err
	}
	return &serverHandle{s, d}, nil
}

func (d *schemaDeposit) close() {
	if _, _, err := d.ask(emptySQL); err == nil { // else the next life makes a new one
		d.server.mu.Lock()
		defer d.server.mu.Unlock()
		d.server.empty = append(d.server.empty, d.cfg.Schema)
	}
	_ = d.session.Close()
}

func (d *schemaDeposit) ask(sql string) (answer string, ok bool, err error) {
	rows, err := d.session.Query(strings.ReplaceAll(sql, "{s}", d.cfg.Schema))
	if len(rows) > 0 {
		answer = rows[0][0]
	}
	return answer, true, err
}

// serverHandle asks again as the dispatcher does: a server that is slow, on a machine with other work, is no part of a life.
type serverHandle struct {
	*postgres.Store
	deposit *schemaDeposit
}

// expire ends the lease of whoever owns, as time would.
const expire = `
UPDATE {s}.lease SET until = clock_timestamp() - interval '1 second';
UPDATE {s}.member SET lease_until = clock_timestamp() - interval '1 second'`

// take makes the lease of the former owner end now, so that no clock has a say in who owns. Sessions bear the member's name, which
// must not be that of a member of another life on the server.
func (h *serverHandle) take(m statestore.Member, egresses []string) (*statestore.Claim, error) {
	if _, _, err := h.deposit.ask(expire); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), serverPatience)
	defer cancel()
	m.ID += "-" + h.deposit.cfg.Schema
	return h.Acquire(ctx, m, egresses)
}

func (h *serverHandle) close() { _ = h.Close() }

// patiently asks until there is an answer.
func patiently(ask func() error) error {
	for until := time.Now().Add(serverPatience); ; {
		if err := ask(); !errors.Is(err, statestore.ErrUnavailable) || time.Now().After(until) {
			return err
		}
	}
}

func (h *serverHandle) Commit(ctx context.Context, c *statestore.Commit) error {
	return patiently(func() error {
		err := h.Store.Commit(ctx, c)
		if !errors.Is(err, statestore.ErrDoubt) {
			return err
		}
		last, err := h.LastCommit(ctx, c.Fence)
		if err == nil && last < c.Number {
			err = statestore.ErrUnavailable // it is not made: once more
		}
		return err
	})
}

func (h *serverHandle) LastCommit(ctx context.Context, f statestore.Fence) (n uint64, err error) {
	err = patiently(func() error { n, err = h.Store.LastCommit(ctx, f); return err })
	return n, err
}

func (h *serverHandle) Renew(ctx context.Context, f statestore.Fence) error {
	return patiently(func() error { return h.Store.Renew(ctx, f) })
}

func (h *serverHandle) Release(ctx context.Context, f statestore.Fence) error {
	return patiently(func() error { return h.Store.Release(ctx, f) })
}
