package postgres

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// sessionName is the application_name of the connections that write for a member; a claim finds a dead owner's by it.
func sessionName(member string) string { return "stategate " + member }

// settings are what a session is set to; those that the server does not know are left out.
type settings map[string]string

// boundSettings end what a dead client leaves behind in the server before its lease does: a transaction that nobody goes on
// with, a statement that hangs, a connection whose other end is silent.
func boundSettings(lease, statementMax time.Duration) settings {
	bound := max(lease*2/3, time.Second)
	second := strconv.Itoa(max(1, int(bound/time.Second/3)))
	return settings{
		"default_transaction_isolation":       "read committed",
		"statement_timeout":                   milliseconds(statementMax),
		"idle_in_transaction_session_timeout": milliseconds(bound),
		"tcp_user_timeout":                    milliseconds(bound),
		"tcp_keepalives_idle":                 second,
		"tcp_keepalives_interval":             second,
		"tcp_keepalives_count":                "2",
		"client_connection_check_interval":    milliseconds(bound / 2),
	}
}

// planSettings keep the planner from what it does with tables whose statistics say "empty" although they are not: scans and
// hash joins over queues. All statements here go by key, from arrays of keys.
func planSettings() settings {
	return settings{
		"plan_cache_mode":   "force_generic_plan",
		"enable_seqscan":    "off",
		"enable_bitmapscan": "off",
		"enable_hashjoin":   "off",
		"enable_mergejoin":  "off",
		"jit":               "off",
	}
}

func (a settings) and(b settings) settings {
	all := make(settings, len(a)+len(b))
	for k, v := range a {
		all[k] = v
	}
	for k, v := range b {
		all[k] = v
	}
	return all
}

// apply sets them, in one round trip where nothing is refused.
func (a settings) apply(ctx context.Context, conn *pgx.Conn) error {
	const one = `SELECT set_config(p.name, v.value, false) FROM unnest($1::text[], $2::text[]) AS v(name, value) JOIN pg_settings p ON p.name = v.name`
	names, values := make([]string, 0, len(a)), make([]string, 0, len(a))
	for k, v := range a {
		names, values = append(names, k), append(values, v)
	}
	_, err := conn.Exec(ctx, one, pgx.QueryExecModeExec, names, values)
	if err == nil || conn.IsClosed() {
		return err
	}
	for i := range names { // one of them is refused here: the others still count
		if _, err := conn.Exec(ctx, `SELECT set_config($1, $2, false)`, pgx.QueryExecModeExec, names[i], values[i]); err != nil && conn.IsClosed() {
			return err
		}
	}
	return nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// tune is what all connections share: bounded connecting, and a silent other end that is noticed within the lease.
func tune(pc *pgxpool.Config, lease, connectMax time.Duration) {
	cc := pc.ConnConfig
	if cc.ConnectTimeout == 0 || cc.ConnectTimeout > connectMax {
		cc.ConnectTimeout = connectMax
	}
	step := max(lease/4, time.Second)
	dialer := &net.Dialer{
		Timeout:         cc.ConnectTimeout,
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: step, Interval: step, Count: 3},
	}
	cc.DialFunc = dialer.DialContext
	if cc.RuntimeParams["application_name"] == "" {
		cc.RuntimeParams["application_name"] = "stategate"
	}
	cc.OnNotice = func(*pgconn.PgConn, *pgconn.Notice) {}
}

// dial opens a connection outside the pools.
func (s *Store) dial(ctx context.Context, name string, set settings) (*pgx.Conn, error) {
	cc := s.connConfig.Copy()
	cc.RuntimeParams["application_name"] = name
	conn, err := pgx.ConnectConfig(ctx, cc)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	if err := set.apply(ctx, conn); err != nil {
		s.hangUp(conn)
		return nil, fmt.Errorf("set up session: %w", err)
	}
	return conn, nil
}

// hangUp closes a connection without waiting long for the other end.
func (s *Store) hangUp(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // it is of no use any more, whatever it says
}

// pool opens a pool whose sessions have the settings.
func (s *Store) pool(ctx context.Context, base *pgxpool.Config, conns int, set settings) (*pgxpool.Pool, error) {
	pc := base.Copy()
	pc.MaxConns, pc.MinConns = int32(conns), 0
	pc.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		teachByteas(conn.TypeMap())
		return set.apply(ctx, conn)
	}
	pc.MaxConnLifetimeJitter = pc.MaxConnLifetime / 5
	return pgxpool.NewWithConfig(ctx, pc)
}
