package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// counts is a run of commits that resolves doubt the way a caller must.
type counts struct {
	store       *Store
	fence       statestore.Fence
	done        uint64 // last commit that is known
	doubts      int
	kept, lost  int // of the doubtful commits: those that had taken place, and those that had not
	unavailable int
	progress    atomic.Int64 // done, for who watches the run
}

// run commits until stop is closed. Each commit writes its number into three addresses, one pack and one output.
func (c *counts) run(t *testing.T, stop chan struct{}) {
	ctx := context.Background()
	lane := statestore.LaneID{Egress: "shop/out"}
	for {
		select {
		case <-stop:
			return
		default:
		}
		c.progress.Store(int64(c.done))
		n := c.done + 1
		value := []byte(fmt.Sprint(n))
		err := c.store.Commit(ctx, &statestore.Commit{
			Fence: c.fence, Number: n, NextNumber: n + 1,
			States:  []statestore.AddressState{state("a", value), state("b", value), state("c", value)},
			Packs:   []statestore.Pack{{Number: n, Messages: []statestore.Mail{mail(n, "m", "x")}}},
			Outputs: []statestore.OutputPack{{Lane: lane, First: n, Outputs: []api.Output{{Sender: addr("a"), Value: api.TypedValue{TypeName: "t", HasValue: true, Value: value}}}}},
		})
		switch {
		case err == nil:
			c.done = n
		case errors.Is(err, statestore.ErrUnavailable):
			c.unavailable++
			time.Sleep(time.Millisecond)
		case errors.Is(err, statestore.ErrDoubt):
			c.doubts++
			c.resolve(t, n)
		default:
			t.Errorf("commit %d: %v", n, err)
			return
		}
	}
}

func (c *counts) resolve(t *testing.T, n uint64) {
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(time.Millisecond) {
		last, err := c.store.LastCommit(context.Background(), c.fence)
		if errors.Is(err, statestore.ErrUnavailable) {
			continue
		}
		if err != nil || last != n && last != n-1 {
			t.Errorf("after doubt about %d: last commit %d, %v", n, last, err)
			return
		}
		if last == n {
			c.kept++
		} else {
			c.lost++
		}
		c.done = last
		return
	}
	t.Error("doubt was not resolved")
}

// untilMore waits until some more are committed: the server works again, and the next commit is on its way.
func (c *counts) untilMore(t *testing.T) {
	t.Helper()
	want := c.progress.Load() + 3
	until(t, "commits go on", func() bool { return c.progress.Load() >= want })
}

// check compares the store with what is known to be committed.
func (c *counts) check(t *testing.T) {
	t.Helper()
	for _, id := range []string{"a", "b", "c"} {
		var found []statestore.Loaded
		until(t, "the store tells states", func() bool { // a connection may have been idle since before the server's end
			var err error
			found, err = c.store.States(t.Context(), []api.Address{addr(id)})
			if err != nil && !errors.Is(err, statestore.ErrUnavailable) {
				t.Fatal(err)
			}
			return err == nil
		})
		if got := string(found[0].Values[0].Value); got != fmt.Sprint(c.done) {
			t.Errorf("%s is %s, want %d", id, got, c.done)
		}
	}
	again := acquire(t, c.store, newMemberAs(c.fence.Member))
	if again.Commit != c.done || again.NextNumber != c.done+1 || uint64(len(again.Packs)) != c.done || again.Lanes[0].Next != c.done+1 {
		t.Errorf("claim has commit %d, next %d, %d packs, lane %+v; want %d", again.Commit, again.NextNumber, len(again.Packs), again.Lanes, c.done)
	}
	t.Logf("%d commits; %d doubts (%d had taken place, %d had not), %d times not available", c.done, c.doubts, c.kept, c.lost, c.unavailable)
}

// The server is killed and restarted under a stream of commits.
func TestCommitsSurviveServerCrash(t *testing.T) {
	srv := private(t)
	s := open(t, Config{URL: srv.URL()})
	c := &counts{store: s, fence: acquire(t, s, newMember(), "shop/out").Fence}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); c.run(t, stop) }()
	for i := range 6 {
		c.untilMore(t)
		if err := srv.Restart([]syscall.Signal{syscall.SIGKILL, syscall.SIGINT, syscall.SIGQUIT}[i%3]); err != nil {
			t.Fatal(err)
		}
	}
	c.untilMore(t)
	close(stop)
	<-done
	if c.doubts+c.unavailable < 6 {
		t.Errorf("only %d doubts and %d outages: the server was not hit", c.doubts, c.unavailable)
	}
	c.check(t)
}

// The writer's session is ended again and again under a stream of commits.
func TestCommitsSurviveEndedSessions(t *testing.T) {
	srv := common(t)
	s := open(t, Config{URL: srv.URL(), Schema: fresh(), NoHint: true})
	c := &counts{store: s, fence: acquire(t, s, newMember(), "shop/out").Fence}
	admin := connect(t, srv)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { defer close(done); c.run(t, stop) }()
	ended := int64(0)
	// Sessions end for three seconds, and for as much longer as a busy machine needs to commit anything between two ends.
	began, pause := time.Now(), 5
	for ; time.Since(began) < 3*time.Second || c.progress.Load() < 20 && time.Since(began) < time.Minute; time.Sleep(time.Duration(pause+rand.IntN(25)) * time.Millisecond) {
		if time.Since(began) > 3*time.Second {
			pause = min(2*pause, 1000)
		}
		tag, err := admin.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1`, sessionName(c.fence.Member))
		if err != nil {
			t.Fatal(err)
		}
		ended += tag.RowsAffected()
	}
	close(stop)
	<-done
	if c.doubts == 0 || ended == 0 || c.done < 10 {
		t.Errorf("%d sessions ended, %d doubts, %d commits: nothing was tried", ended, c.doubts, c.done)
	}
	c.check(t)
}

// The connection is lost between the server's commit and its answer: in doubt, and done.
func TestLostAnswerIsInDoubt(t *testing.T) {
	var cut atomic.Bool
	url := relay(t, common(t), way{answer: func(kind byte, _ []byte) bool { return kind != 'Z' || !cut.Load() }})
	s := open(t, Config{URL: url, Schema: fresh(), NoHint: true})
	c := &counts{store: s, fence: acquire(t, s, newMember(), "shop/out").Fence}
	for n := uint64(1); n <= 10; n++ {
		cut.Store(n%2 == 0)
		err := s.Commit(t.Context(), &statestore.Commit{Fence: c.fence, Number: n, NextNumber: n + 1, States: []statestore.AddressState{state("a", []byte(fmt.Sprint(n)))}})
		cut.Store(false)
		switch {
		case n%2 == 1 && err != nil:
			t.Fatalf("commit %d: %v", n, err)
		case n%2 == 0 && !errors.Is(err, statestore.ErrDoubt):
			t.Fatalf("commit %d: %v, want ErrDoubt", n, err)
		case n%2 == 0:
			if last, err := s.LastCommit(t.Context(), c.fence); err != nil || last != n {
				t.Fatalf("last commit %d, %v; want %d", last, err, n)
			}
		}
	}
	if got := string(loaded(t, s, "a").Values[0].Value); got != "10" {
		t.Errorf("value %s, want 10", got)
	}
}

// A commit whose caller gives up while the server works on it is in doubt, and LastCommit waits for what became of it.
func TestAbandonedCommitIsInDoubt(t *testing.T) {
	srv := common(t)
	s := open(t, Config{URL: srv.URL(), Schema: fresh()})
	c := acquire(t, s, newMember())
	if err := s.Commit(t.Context(), &statestore.Commit{Fence: c.Fence, Number: 1, NextNumber: 1}); err != nil {
		t.Fatal(err)
	}
	admin := connect(t, srv)
	if _, err := admin.Exec(t.Context(), s.sql(`BEGIN; LOCK TABLE {s}.dead_letter IN ACCESS EXCLUSIVE MODE`)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	committed := make(chan error, 1)
	go func() {
		committed <- s.Commit(ctx, &statestore.Commit{Fence: c.Fence, Number: 2, NextNumber: 1, DeadLetters: []api.DeadLetter{{Number: 1, Kind: api.DeadRecord}}})
	}()
	look := connect(t, srv)
	until(t, "the server works on the commit", func() bool { return lockWaits(t, look, s.cfg.Schema, "") == 1 })
	cancel()
	if err := <-committed; !errors.Is(err, statestore.ErrDoubt) {
		t.Fatalf("got %v, want ErrDoubt", err)
	}
	if _, err := admin.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	last, err := s.LastCommit(t.Context(), c.Fence)
	if err != nil || last != 1 && last != 2 {
		t.Fatalf("last commit %d, %v", last, err)
	}
	if dead, err := s.DeadLetters(t.Context(), 0, 10); err != nil || uint64(len(dead)) != last-1 {
		t.Errorf("%d dead letters after commit %d, %v", len(dead), last, err)
	}
	canceled, stop := context.WithCancel(t.Context())
	stop()
	if err := s.Commit(canceled, &statestore.Commit{Fence: c.Fence, Number: last + 1, NextNumber: 1}); !errors.Is(err, statestore.ErrUnavailable) {
		t.Errorf("commit that was never sent: %v, want ErrUnavailable", err)
	}
}

// A statement that the server cancels for taking too long gets more time at the next attempt.
func TestSlowCommitGetsMoreTime(t *testing.T) {
	srv := common(t)
	s := open(t, Config{URL: srv.URL(), Schema: fresh(), Lease: 300 * time.Millisecond, NoHint: true})
	c := acquire(t, s, newMember())
	admin := connect(t, srv)
	const slow = `CREATE FUNCTION {s}.slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(1.5); RETURN NEW; END';
CREATE TRIGGER slow BEFORE INSERT ON {s}.dead_letter FOR EACH ROW EXECUTE FUNCTION {s}.slow()`
	if _, err := admin.Exec(t.Context(), s.sql(slow)); err != nil {
		t.Fatal(err)
	}
	commit := &statestore.Commit{Fence: c.Fence, Number: 1, NextNumber: 1, DeadLetters: []api.DeadLetter{{Number: 1, Kind: api.DeadRecord}}}
	if err := s.Commit(t.Context(), commit); !errors.Is(err, statestore.ErrUnavailable) {
		t.Fatalf("first attempt: %v, want ErrUnavailable", err)
	}
	if err := s.Commit(t.Context(), commit); err != nil {
		t.Fatalf("second attempt: %v", err)
	}
}
