package postgres

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// waiting acquires in the background.
type waiting struct {
	claim chan *statestore.Claim
	err   chan error
}

func (w waiting) get(t *testing.T) *statestore.Claim {
	t.Helper()
	select {
	case c := <-w.claim:
		return c
	case err := <-w.err:
		t.Fatal(err)
	case <-time.After(patience):
		t.Fatal("no takeover")
	}
	return nil
}

func (w waiting) none(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-w.claim:
		t.Fatal("took over from a living owner")
	case err := <-w.err:
		t.Fatal(err)
	case <-time.After(d):
	}
}

func standby(t *testing.T, s *Store) waiting {
	t.Helper()
	return standbyAs(t, s, newMember())
}

func standbyAs(t *testing.T, s *Store, m statestore.Member) waiting {
	t.Helper()
	w := waiting{make(chan *statestore.Claim, 1), make(chan error, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		c, err := s.Acquire(ctx, m, nil)
		if err != nil {
			w.err <- err
			return
		}
		w.claim <- c
	}()
	return w
}

// Which way a takeover went is told by the ratio of the time that it took to the lease: bounds in absolute time fail on busy
// machines, or tell nothing.
func TestTakeover(t *testing.T) {
	const long, short, far = 80 * time.Second, 4 * time.Second, 40 * time.Second
	for _, test := range []struct {
		name, role string
		noHint     bool
		end        func(p *process)
		lease      time.Duration
		min, max   time.Duration
	}{
		{"kill -9 of a busy owner", "busy", false, func(p *process) { _ = p.Process.Kill() }, long, 0, long / 4},
		{"kill -9 of an idle owner", "idle", false, func(p *process) { _ = p.Process.Kill() }, long, 0, long / 4},
		{"kill -9 without hint", "busy", true, func(p *process) { _ = p.Process.Kill() }, short, short * 2 / 3, far},
		{"asleep", "busy", false, func(p *process) { _ = p.Process.Signal(syscall.SIGSTOP) }, short, short * 2 / 3, far},
		{"released", "busy", false, func(p *process) { _ = p.stdin.Close() }, long, 0, long / 4},
		{"released without hint", "busy", true, func(p *process) { _ = p.stdin.Close() }, long, 0, long / 4},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			url := common(t).URL() + "&schema=" + fresh()
			p := startChild(t, test.role, url, test.lease)
			p.wait(t, "owner")
			w := standby(t, open(t, Config{URL: url, NoHint: test.noHint, Lease: test.lease}))
			w.none(t, short+time.Second) // longer than the short lease
			start := time.Now()
			test.end(p)
			c := w.get(t)
			took := time.Since(start)
			t.Logf("took over after %v", took.Round(time.Millisecond))
			if took < test.min || took > test.max {
				t.Errorf("took over after %v of a lease of %v, want %v to %v", took, test.lease, test.min, test.max)
			}
			if c.Fence.Epoch < 2 || test.role == "busy" && c.NextNumber < 2 {
				t.Errorf("claim %+v does not go on from the former owner", c)
			}
			if test.name == "asleep" {
				_ = p.Process.Signal(syscall.SIGCONT)
				p.wait(t, "fenced")
			}
		})
	}
}

// The connection with the lock is lost again and again, and so is every other: the owner lives, and stays.
func TestLivingOwnerKeepsWhatItOwns(t *testing.T) {
	srv := common(t)
	cfg := Config{URL: srv.URL(), Schema: fresh(), Lease: 10 * time.Second} // longer than a busy machine needs from one renewal to the next
	a, b := open(t, cfg), open(t, cfg)
	c := acquire(t, a, newMember())
	w := standby(t, b)
	w.none(t, 300*time.Millisecond)
	admin := connect(t, srv)
	for range 6 {
		tag, err := admin.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1`, sessionName(c.Fence.Member))
		if err != nil || tag.RowsAffected() == 0 {
			t.Fatalf("ended %d sessions of the owner, %v", tag.RowsAffected(), err)
		}
		w.none(t, 700*time.Millisecond)
		if err := a.Renew(t.Context(), c.Fence); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Release(t.Context(), c.Fence); err != nil {
		t.Fatal(err)
	}
	w.get(t)
}

// A dead owner's transaction that hangs in the server holds the row that a claim must raise.
func TestClaimEndsHangingCommit(t *testing.T) {
	srv := common(t)
	url := srv.URL() + "&schema=" + fresh()
	a, b := open(t, Config{URL: url}), open(t, Config{URL: url})
	c := acquire(t, a, newMember())
	conn, err := a.dial(t.Context(), sessionName(c.Fence.Member), nil) // without a bound of its own
	if err != nil {
		t.Fatal(err)
	}
	defer a.hangUp(conn)
	if _, err := conn.Exec(t.Context(), a.sql(`BEGIN; UPDATE {s}.member SET commit_number = commit_number + 1`)); err != nil {
		t.Fatal(err)
	}
	if _, err := a.LastCommit(t.Context(), c.Fence); !errors.Is(err, statestore.ErrUnavailable) {
		t.Errorf("last commit behind a hanging one: %v, want ErrUnavailable", err)
	}
	if err := a.Renew(t.Context(), c.Fence); err != nil {
		t.Errorf("renewal behind a hanging commit: %v", err)
	}
	_ = a.Close()
	start := time.Now()
	got := standby(t, b).get(t)
	t.Logf("took over after %v", time.Since(start).Round(time.Millisecond))
	if got.Commit != 0 {
		t.Errorf("claim after commit %d", got.Commit)
	}
	if _, err := conn.Exec(t.Context(), `COMMIT`); err == nil {
		t.Error("the hanging commit went through")
	}
}

// A commit of the owner is at work in the server when somebody takes over: the claim waits for it, and what it reads has it.
func TestClaimSeesCommitOnItsWay(t *testing.T) {
	srv := common(t)
	cfg := Config{URL: srv.URL(), Schema: fresh(), NoHint: true}
	a, b := open(t, cfg), open(t, cfg)
	c := acquire(t, a, newMember())
	commit := func(number uint64) error {
		return a.Commit(t.Context(), &statestore.Commit{Fence: c.Fence, Number: number, NextNumber: 5 * number, DeadLetters: []api.DeadLetter{{Number: number, Kind: api.DeadRecord}}})
	}
	if err := commit(1); err != nil { // prepares the statements: the next one does not wait before its fence
		t.Fatal(err)
	}
	admin, watcher := connect(t, srv), connect(t, srv)
	for _, sql := range []string{
		`UPDATE {s}.member SET lease_until = now()`, `UPDATE {s}.lease SET until = now()`, `BEGIN`, `LOCK TABLE {s}.dead_letter IN ACCESS EXCLUSIVE MODE`,
	} {
		if _, err := admin.Exec(t.Context(), a.sql(sql)); err != nil {
			t.Fatal(err)
		}
	}
	committed := make(chan error, 1)
	go func() { committed <- commit(2) }()
	locked := func(want int) {
		t.Helper()
		until(t, fmt.Sprintf("%d statements wait for a lock", want), func() bool { return lockWaits(t, watcher, cfg.Schema, "") >= want })
	}
	locked(1)
	w := standby(t, b)
	locked(2) // the claim waits for the owner's row
	if _, err := admin.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	err, got := <-committed, w.get(t)
	switch {
	case err == nil && (got.DeadLetters() != 2 || got.NextNumber != 10):
		t.Errorf("the claim has %d dead letters and next number %d, and the commit was confirmed", got.DeadLetters(), got.NextNumber)
	case err != nil && !errors.Is(err, statestore.ErrUnavailable) && !errors.Is(err, statestore.ErrDoubt):
		t.Errorf("commit: %v", err)
	}
	if dead, e := b.DeadLetters(t.Context(), 0, 10); e != nil || uint64(len(dead)) != got.DeadLetters() {
		t.Errorf("%d dead letters, %v; the claim says %d", len(dead), e, got.DeadLetters())
	}
	t.Logf("the commit ended with %v", err)
}

func TestAcquireWaitsForServer(t *testing.T) {
	srv := private(t)
	a, b := open(t, Config{URL: srv.URL()}), open(t, Config{URL: srv.URL()})
	c := acquire(t, a, newMember())
	w := standby(t, b)
	w.none(t, 200*time.Millisecond)
	if err := srv.Stop(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := a.Renew(t.Context(), c.Fence); !errors.Is(err, statestore.ErrUnavailable) {
		t.Errorf("renewal without a server: %v, want ErrUnavailable", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := a.Acquire(ctx, newMember(), nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("acquire: %v, want the context's error", err)
	}
	if err := srv.Start(); err != nil {
		t.Fatal(err)
	}
	_ = a.Close()
	if got := w.get(t); got.Fence.Epoch <= c.Fence.Epoch {
		t.Errorf("epoch %d after %d", got.Fence.Epoch, c.Fence.Epoch)
	}
}

// Members of the past are forgotten; their fences stay invalid.
func TestOldMembersAreForgotten(t *testing.T) {
	srv := common(t)
	s := open(t, Config{URL: srv.URL(), Schema: fresh()})
	first := acquire(t, s, newMember())
	if err := s.Release(t.Context(), first.Fence); err != nil {
		t.Fatal(err)
	}
	second := acquire(t, s, newMember())
	if err := s.Release(t.Context(), second.Fence); err != nil {
		t.Fatal(err)
	}
	admin := connect(t, srv)
	if _, err := admin.Exec(t.Context(), s.sql(`UPDATE {s}.member SET lease_until = now() - interval '2 hours' WHERE id = $1`), first.Fence.Member); err != nil {
		t.Fatal(err)
	}
	third := acquire(t, s, newMember())
	var ids []string
	if err := admin.QueryRow(t.Context(), s.sql(`SELECT array_agg(id ORDER BY epoch) FROM {s}.member`)).Scan(&ids); err != nil {
		t.Fatal(err)
	}
	if len(ids) != 2 || ids[0] != second.Fence.Member || ids[1] != third.Fence.Member {
		t.Errorf("members %v, want the last two", ids)
	}
	if err := s.Release(t.Context(), third.Fence); err != nil {
		t.Fatal(err)
	}
	again := acquire(t, s, newMemberAs(first.Fence.Member))
	err := s.Commit(t.Context(), &statestore.Commit{Fence: first.Fence, Number: 1, NextNumber: 1})
	if !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("commit with a forgotten fence: %v, want ErrFenced", err)
	}
	if owner, ok, err := s.Owner(t.Context()); err != nil || !ok || owner.ID != again.Fence.Member {
		t.Errorf("owner %v %v %v, want %s", owner.ID, ok, err, again.Fence.Member)
	}
}
