package postgres

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// lockHolder waits until a session of the member has the store's lock and has looked at the owner since, and answers its number.
func lockHolder(t *testing.T, admin *pgx.Conn, s *Store, member string) (pid int) {
	t.Helper()
	const ask = `SELECT coalesce(max(a.pid), 0) FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND (l.classid::bigint << 32 | l.objid::bigint) = $1
  AND a.application_name = $2 AND a.state = 'idle'`
	for deadline := time.Now().Add(patience); pid == 0; {
		if err := admin.QueryRow(t.Context(), ask, s.lockKey("owner"), sessionName(member)).Scan(&pid); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("no session of %s has the lock", member)
		}
	}
	return pid
}

// A renewal that was in the server when its process died comes to light after the lock is free. It is a dead owner's last word
// and no sign of life: the takeover does not wait for the lease.
func TestLastWordOfADeadOwner(t *testing.T) {
	const lease = 20 * time.Second
	srv := common(t)
	cfg := Config{URL: srv.URL(), Schema: fresh(), Lease: lease}
	a, b := open(t, cfg), open(t, cfg)
	c := acquire(t, a, newMember())
	m := newMember()
	w := standbyAs(t, b, m)
	w.none(t, 3*pollEvery)
	start := time.Now()
	if err := a.Close(); err != nil { // as death does: the lock comes free, and nothing is released
		t.Fatal(err)
	}
	admin := connect(t, srv)
	lockHolder(t, admin, b, m.ID)
	tag, err := admin.Exec(t.Context(), b.sql(`UPDATE {s}.lease SET until = until + interval '1 ms' WHERE member = $1`), c.Fence.Member)
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("%d leases renewed, %v", tag.RowsAffected(), err)
	}
	w.get(t)
	took := time.Since(start)
	t.Logf("took over after %v", took.Round(time.Millisecond))
	if took > lease/4 {
		t.Errorf("took over after %v of a lease of %v, want the lock to be asked for again at once", took, lease)
	}
}

// An owner that has lost its lock and cannot connect for longer than a waiting member's grace lives, says so, and stays.
func TestOwnerStaysWhileItConnects(t *testing.T) {
	srv := common(t)
	var way gate
	schema := fresh()
	a := open(t, Config{URL: relay(t, srv, wayOf(&way)), Schema: schema})
	b := open(t, Config{URL: srv.URL(), Schema: schema})
	m := newMember()
	c := acquire(t, a, m)
	admin := connect(t, srv)
	pid := lockHolder(t, admin, a, m.ID)
	w := standby(t, b)
	w.none(t, 3*pollEvery)
	way.shut()
	defer way.open()
	if _, err := admin.Exec(t.Context(), `SELECT pg_terminate_backend($1)`, pid); err != nil {
		t.Fatal(err)
	}
	w.none(t, 5*graceTime)
	if err := a.Renew(t.Context(), c.Fence); err != nil {
		t.Fatalf("renew: %v", err)
	}
	way.open()
	if again := lockHolder(t, admin, a, m.ID); again == pid {
		t.Errorf("session %d has the lock although it was ended", pid)
	}
	w.none(t, 2*graceTime)
}

// gate holds back those who connect while it is shut. The zero value is open.
type gate struct {
	mu   sync.Mutex
	wait chan struct{} // nil: open. Guarded by mu.
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wait == nil {
		g.wait = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wait != nil {
		close(g.wait)
		g.wait = nil
	}
}

// wayOf lets everything through but the first message of connections that come while the gate is shut.
func wayOf(g *gate) way {
	startup := []byte{0, 3, 0, 0} // the protocol's version, behind the length
	return way{ask: func(b []byte) bool {
		g.mu.Lock()
		wait := g.wait
		g.mu.Unlock()
		if wait != nil && len(b) >= 8 && bytes.Equal(b[4:8], startup) {
			<-wait
		}
		return true
	}}
}
