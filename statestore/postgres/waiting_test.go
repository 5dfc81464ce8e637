package postgres

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stategate/stategate/statestore"
)

// TestWaitingIsInNobodysWay: that a member cannot say that it waits holds up neither its takeover nor its end.
func TestWaitingIsInNobodysWay(t *testing.T) {
	srv := common(t)
	const lease = time.Minute // no statement ends by itself meanwhile
	cfg := Config{URL: srv.URL(), Schema: fresh(), Lease: lease}
	a, b, c := open(t, cfg), open(t, cfg), open(t, cfg)
	fence := acquire(t, a, newMember()).Fence
	admin, look := connect(t, srv), connect(t, srv)
	tx, err := admin.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), a.sql(`LOCK TABLE {s}.waiting IN ACCESS EXCLUSIVE MODE`)); err != nil {
		t.Fatal(err)
	}
	stuck := func(want int) {
		t.Helper()
		until(t, fmt.Sprintf("%d members wait to say that they wait", want), func() bool { return lockWaits(t, look, cfg.Schema, "waiting") == want })
	}
	type claimed struct {
		claim *statestore.Claim
		err   error
	}
	aside := func(ctx context.Context, s *Store) <-chan claimed {
		done := make(chan claimed, 1)
		go func() {
			claim, err := s.Acquire(ctx, newMember(), nil)
			done <- claimed{claim, err}
		}()
		return done
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	second := aside(t.Context(), b)
	stuck(1)
	start := time.Now()
	if err := a.Release(t.Context(), fence); err != nil {
		t.Fatal(err)
	}
	got := <-second
	if took := time.Since(start); got.err != nil || took > lease/4 {
		t.Errorf("taken over after %v, %v", took, got.err)
	}
	third := aside(ctx, c)
	stuck(1)
	start = time.Now()
	cancel()
	if got := <-third; !errors.Is(got.err, context.Canceled) || time.Since(start) > vanishMax+lease/4 {
		t.Errorf("ended after %v: %v", time.Since(start), got.err)
	}
	stuck(0)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	members, err := a.Members(t.Context())
	if err != nil || len(members) != 1 || got.claim == nil || members[0].ID != got.claim.Fence.Member {
		t.Errorf("members %+v, %v; want the owner alone", members, err)
	}
}

// TestWaitingIsForgotten: what a member has said that died while it waited is told of for a while, and then removed by another one.
func TestWaitingIsForgotten(t *testing.T) {
	s := open(t, Config{URL: common(t).URL(), Schema: fresh()})
	dead, gone, waits := newMember(), newMember(), newMember()
	for _, m := range []statestore.Member{dead, gone} {
		if err := s.showWaiting(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	age := func(m statestore.Member, ago time.Duration) {
		t.Helper()
		if _, err := s.readers.Exec(t.Context(), s.sql(`UPDATE {s}.waiting SET until = clock_timestamp() - $2 * interval '1 millisecond' WHERE id = $1`), m.ID, ago.Milliseconds()); err != nil {
			t.Fatal(err)
		}
	}
	told := func() (n int) {
		t.Helper()
		members, err := s.Members(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(members)
	}
	if n := told(); n != 2 {
		t.Errorf("%d members, want 2", n)
	}
	age(dead, time.Second)
	age(gone, appearFor+time.Second)
	if n := told(); n != 0 {
		t.Errorf("%d members, want none: both have been still for too long", n)
	}
	if err := s.showWaiting(t.Context(), waits); err != nil {
		t.Fatal(err)
	}
	left := 0
	if err := s.readers.QueryRow(t.Context(), s.sql(`SELECT count(*) FROM {s}.waiting`)).Scan(&left); err != nil || left != 2 || told() != 1 {
		t.Errorf("%d rows, %v, want 2: one that waits, and one that may yet", left, err)
	}
}
