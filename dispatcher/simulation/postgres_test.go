package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stategate/stategate/internal/testserver"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/postgres"
)

// serverPatience is how long a server on a busy machine may keep a life waiting. It is the lease, too: no lease ends by itself.
const serverPatience = time.Minute

// onServer plays each life in a schema of its own, on a server that goes away with the test.
type onServer struct {
	server *testserver.PostgresServer
	lives  *atomic.Int64
}

// newOnServer starts a server that does not wait for its disk: what it answers is the same, and only a machine that stops could
// tell the difference.
func newOnServer(t testing.TB) backend {
	t.Helper()
	return &onServer{lives: &atomic.Int64{}, server: testserver.PrivatePostgres(t, testserver.PostgresConfig{Settings: map[string]string{
		"fsync": "off", "full_page_writes": "off", "max_connections": "300", "log_min_messages": "log", // no more than that it serves
	}})}
}

func (b *onServer) name() string { return "postgres" }

func (b *onServer) open() (deposit, error) {
	session, err := b.server.Session()
	if err != nil {
		return nil, err
	}
	schema := fmt.Sprint("life", b.lives.Add(1))
	return &schemaDeposit{session: session, cfg: postgres.Config{
		URL: b.server.URL(), Schema: schema, Lease: serverPatience, NoHint: true, Readers: 1, ConnectTimeMax: serverPatience, Log: slog.New(slog.DiscardHandler),
	}}, nil
}

type schemaDeposit struct {
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
	_, _, _ = d.ask(`DROP SCHEMA IF EXISTS {s} CASCADE`) // the server goes at the end anyway
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
