package sqlite

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stategate/stategate/statestore"
)

// waiting acquires in the background.
type waiting struct {
	claim chan *statestore.Claim
	err   chan error
	at    time.Time // when the claim came; set before claim is sent
}

func (w *waiting) get(t *testing.T) *statestore.Claim {
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

func (w *waiting) none(t *testing.T, d time.Duration) {
	t.Helper()
	select {
	case <-w.claim:
		t.Fatal("took over from a living owner")
	case err := <-w.err:
		t.Fatal(err)
	case <-time.After(d):
	}
}

func standby(t *testing.T, s *Store, m statestore.Member) *waiting {
	w := &waiting{claim: make(chan *statestore.Claim, 1), err: make(chan error, 1)}
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
		w.at = time.Now()
		w.claim <- c
	}()
	return w
}

// logged is a log that answers its lines.
type logged struct{ lines chan string }

func (l *logged) Write(b []byte) (int, error) {
	select {
	case l.lines <- string(b):
	default: // nobody reads any more
	}
	return len(b), nil
}

// The end of the owner's process is noticed long before its lease ends.
func TestTakeover(t *testing.T) {
	const long = 40 * time.Second
	for _, test := range []struct {
		name, role string
		end        func(p *process)
	}{
		{"kill -9 of a busy owner", "busy", func(p *process) { _ = p.Process.Kill() }},
		{"kill -9 of an idle owner", "idle", func(p *process) { _ = p.Process.Kill() }},
		{"released", "busy", func(p *process) { _ = p.stdin.Close() }},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := fresh(t)
			p := startChild(t, test.role, path, long)
			p.wait(t, "owner")
			log := &logged{make(chan string, 100)}
			s := open(t, Config{Path: path, Log: slog.New(slog.NewTextHandler(log, nil))})
			w := standby(t, s, newMember())
			want := fmt.Sprintf("level=INFO msg=\"waiting: another gateway owns the store\" file=%s pid=%d\n", path, p.Process.Pid)
			if line := <-log.lines; len(line) < len(want) || line[len(line)-len(want):] != want {
				t.Errorf("log says %q, want %q", line, want)
			}
			w.none(t, 200*time.Millisecond)
			start := time.Now()
			test.end(p)
			c := w.get(t)
			took := w.at.Sub(start)
			t.Logf("took over after %v", took.Round(time.Millisecond))
			if took > long/4 {
				t.Errorf("took over after %v, and the owner's lease is %v", took, long)
			}
			if c.Fence.Epoch < 2 {
				t.Errorf("epoch %d does not go on from the former owner", c.Fence.Epoch)
			}
			if test.role == "busy" {
				got := string(loaded(t, s, "x").Values[0].Value)
				if got != fmt.Sprint(c.NextNumber) {
					t.Errorf("state is %s, next number %d: half a commit", got, c.NextNumber)
				}
			}
			if err := s.Commit(t.Context(), &statestore.Commit{Fence: c.Fence, Number: 1, NextNumber: c.NextNumber}); err != nil {
				t.Error(err)
			}
		})
	}
}

// What was confirmed to the caller is there after the process was killed in the middle of a stream of commits.
func TestConfirmedCommitsSurviveKill(t *testing.T) {
	path := fresh(t)
	for range 5 {
		p := startChild(t, "busy", path, leaseDefault)
		p.wait(t, "owner")
		p.wait(t, "commit")
		for range 20 {
			<-p.lines
		}
		_ = p.Process.Kill()
		_ = p.Wait()
		var last uint64
		for line := range p.lines {
			_, _ = fmt.Sscanf(line, "commit %d", &last)
		}
		s := open(t, Config{Path: path})
		c := acquire(t, s, newMember())
		got := string(loaded(t, s, "x").Values[0].Value)
		if c.NextNumber < last || got != fmt.Sprint(c.NextNumber) {
			t.Errorf("state %s, next number %d; commit %d was confirmed", got, c.NextNumber, last)
		}
		if err := errors.Join(s.Release(t.Context(), c.Fence), s.Close()); err != nil {
			t.Fatal(err)
		}
	}
}

// A process that sleeps keeps what it owns, far beyond its lease: it could not be told from one that works again a moment later.
func TestSleepingOwnerIsNotTakenOver(t *testing.T) {
	path := fresh(t)
	p := startChild(t, "busy", path, leaseDefault)
	p.wait(t, "owner")
	s := open(t, Config{Path: path})
	w := standby(t, s, newMember())
	if err := p.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	w.none(t, leaseDefault+time.Second)
	if _, ok, err := s.Owner(t.Context()); ok || err != nil {
		t.Errorf("an owner that has not renewed its lease is shown, %v", err)
	}
	for len(p.lines) > 0 {
		<-p.lines
	}
	if err := p.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.wait(t, "commit") // it goes on as though nothing had happened
	p.wait(t, "commit")
	w.none(t, 100*time.Millisecond)
	_ = p.stdin.Close()
	w.get(t)
}

// Somebody removes the lock file: the next member takes over, and the former owner is fenced and waits like any other.
func TestRemovedLockFileFencesOwner(t *testing.T) {
	path := fresh(t)
	a, b := open(t, Config{Path: path}), open(t, Config{Path: path})
	ma := newMember()
	ca := acquire(t, a, ma)
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	cb := acquire(t, b, newMember())
	if err := a.Commit(t.Context(), &statestore.Commit{Fence: ca.Fence, Number: 1, NextNumber: 1}); !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("commit of the former owner: %v, want ErrFenced", err)
	}
	w := standby(t, a, ma)
	w.none(t, 300*time.Millisecond)
	if err := b.Commit(t.Context(), &statestore.Commit{Fence: cb.Fence, Number: 1, NextNumber: 1}); err != nil {
		t.Errorf("commit of the owner: %v", err)
	}
	if err := b.Release(t.Context(), cb.Fence); err != nil {
		t.Fatal(err)
	}
	w.get(t)
}

// Two members of one process: the second waits for the first one's lease, for the lock tells nothing between them.
func TestMembersOfOneHandle(t *testing.T) {
	const lease = 400 * time.Millisecond
	s := open(t, Config{Path: fresh(t), Lease: lease})
	start := time.Now()
	a := acquire(t, s, newMember())
	w := standby(t, s, newMember())
	b := w.get(t)
	if took := w.at.Sub(start); took < lease*9/10 {
		t.Errorf("took over from a living member after %v", took)
	}
	if err := s.Renew(t.Context(), a.Fence); !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("renewal of the former owner: %v, want ErrFenced", err)
	}
	other := open(t, Config{Path: s.cfg.Path})
	standby(t, other, newMember()).none(t, 2*lease) // the former owner's end has not given the lock back
	if err := s.Commit(t.Context(), &statestore.Commit{Fence: b.Fence, Number: 1, NextNumber: 1}); err != nil {
		t.Error(err)
	}
}

// Members of the past are forgotten; their fences stay invalid.
func TestOldMembersAreForgotten(t *testing.T) {
	s := open(t, Config{Path: fresh(t)})
	first := acquire(t, s, newMember())
	if err := s.Release(t.Context(), first.Fence); err != nil {
		t.Fatal(err)
	}
	sqlDo(t, s.cfg.Path, `UPDATE member SET lease_until = lease_until - 7200000`)
	m := newMember()
	second := acquire(t, s, m)
	if err := s.Release(t.Context(), second.Fence); err != nil {
		t.Fatal(err)
	}
	m.ID = first.Fence.Member
	again := acquire(t, s, m)
	if again.Commit != 0 || again.Fence.Epoch <= second.Fence.Epoch {
		t.Errorf("claim %+v of a member that was forgotten", again)
	}
	if err := s.Commit(t.Context(), &statestore.Commit{Fence: first.Fence, Number: 1, NextNumber: 1}); !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("commit with a forgotten fence: %v, want ErrFenced", err)
	}
}

// Where files cannot be locked the lease decides, as it does between machines.
func TestWithoutFileLocks(t *testing.T) {
	const lease = 2 * time.Second // a busy machine must be able to renew it in time
	path := fresh(t)
	none := func(*os.File) (bool, error) { return false, errNoLocks }
	a, b := open(t, Config{Path: path, Lease: lease}), open(t, Config{Path: path, Lease: lease})
	a.lock.lock, b.lock.lock = none, none
	ca := acquire(t, a, newMember())
	w := standby(t, b, newMember())
	for range 4 {
		w.none(t, lease/3)
		if err := a.Renew(t.Context(), ca.Fence); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil { // as good as dead
		t.Fatal(err)
	}
	w.get(t)
}

// A commit that takes longer than the lease is not taken over behind its back: its end counts as a sign of life.
func TestLongCommitKeepsTheLease(t *testing.T) {
	const lease = 100 * time.Millisecond
	s := open(t, Config{Path: fresh(t), Lease: lease})
	a := acquire(t, s, newMember())
	var other *waiting
	<-s.writer.turn
	commit := s.writer.finish
	s.writer.finish = func(c *conn) error {
		s.writer.finish = commit
		other = standby(t, s, newMember())
		other.none(t, 3*lease) // it waits for its turn to write
		if _, err := c.exec(`UPDATE member SET lease_until = ?`, time.Now().Add(5*time.Second).UnixMilli()); err != nil {
			return err
		}
		return commit(c)
	}
	s.writer.turn <- struct{}{}
	if err := s.Commit(t.Context(), &statestore.Commit{Fence: a.Fence, Number: 1, NextNumber: 1}); err != nil {
		t.Fatal(err)
	}
	other.none(t, 3*lease)
	if err := s.Commit(t.Context(), &statestore.Commit{Fence: a.Fence, Number: 2, NextNumber: 1}); err != nil {
		t.Errorf("commit after a long one: %v", err)
	}
	other.get(t)
}
