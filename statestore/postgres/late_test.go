package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stategate/stategate/statestore"
)

func one(fence statestore.Fence, number uint64, text string) *statestore.Commit {
	return &statestore.Commit{Fence: fence, Number: number, NextNumber: 1, States: []statestore.AddressState{state("a", []byte(text))}}
}

// A commit can lie on its way when its connection is given up, and reach the server long after: behind the answer of LastCommit,
// before or behind the next commit.
func TestLateCommitMisses(t *testing.T) {
	for _, first := range []string{"late", "again"} {
		t.Run(first+" comes first", func(t *testing.T) {
			var hold, released atomic.Bool
			held, release, arrived := make(chan struct{}), make(chan struct{}), make(chan byte, 10)
			url := relay(t, common(t), way{
				ask: func([]byte) bool {
					if hold.CompareAndSwap(true, false) {
						close(held)
						<-release
					}
					return true
				},
				answer: func(kind byte, _ []byte) bool {
					if released.Load() && (kind == 'E' || kind == 'C') {
						arrived <- kind
					}
					return true
				},
			})
			s := open(t, Config{URL: url, Schema: fresh(), NoHint: true})
			c := acquire(t, s, newMember())
			if err := s.Commit(t.Context(), one(c.Fence, 1, "1")); err != nil {
				t.Fatal(err)
			}
			hold.Store(true)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			go func() { <-held; cancel() }()
			if err := s.Commit(ctx, one(c.Fence, 2, "late")); !errors.Is(err, statestore.ErrDoubt) {
				t.Fatalf("got %v, want ErrDoubt", err)
			}
			if last, err := s.LastCommit(t.Context(), c.Fence); err != nil || last != 1 {
				t.Fatalf("last commit %d, %v; want 1", last, err)
			}
			late := func() {
				released.Store(true)
				close(release)
				select {
				case kind := <-arrived:
					if kind != 'E' {
						t.Errorf("the server says %c to the commit that comes late, want an error", kind)
					}
				case <-time.After(patience):
					t.Fatal("the server does not answer")
				}
				released.Store(false)
			}
			again := func() {
				if err := s.Commit(t.Context(), one(c.Fence, 2, "again")); err != nil {
					t.Errorf("the same commit again: %v", err)
				}
			}
			if first == "late" {
				late()
				again()
			} else {
				again()
				late()
			}
			if got := string(loaded(t, s, "a").Values[0].Value); got != "again" {
				t.Errorf("value %q, want that of the second try", got)
			}
		})
	}
}

// Whoever asks through another handle makes a commit miss once, and no more.
func TestLastCommitThroughAnotherHandle(t *testing.T) {
	cfg := Config{URL: common(t).URL(), Schema: fresh()}
	a, b := open(t, cfg), open(t, cfg)
	c := acquire(t, a, newMember())
	for n := uint64(1); n < 4; n++ {
		if last, err := b.LastCommit(t.Context(), c.Fence); err != nil || last != n-1 {
			t.Fatalf("last commit %d, %v; want %d", last, err, n-1)
		}
		if err := a.Commit(t.Context(), one(c.Fence, n, "x")); !errors.Is(err, statestore.ErrUnavailable) {
			t.Errorf("commit %d: %v, want ErrUnavailable", n, err)
		}
		if err := a.Commit(t.Context(), one(c.Fence, n, "x")); err != nil {
			t.Errorf("commit %d again: %v", n, err)
		}
	}
}

// The server is killed at the moment of a commit: before it reads it, and before it tells that it has made it.
func TestServerKilledAtCommit(t *testing.T) {
	srv := private(t)
	var asked, answered atomic.Bool
	kill := func(when *atomic.Bool) bool {
		if !when.CompareAndSwap(true, false) {
			return true
		}
		if err := srv.Stop(syscall.SIGKILL); err != nil {
			t.Error(err)
		}
		return false
	}
	s := open(t, Config{NoHint: true, URL: relay(t, srv, way{
		ask:    func([]byte) bool { return kill(&asked) },
		answer: func(kind byte, _ []byte) bool { return kind != 'C' || kill(&answered) },
	})})
	c := acquire(t, s, newMember())
	done := uint64(0)
	for round := range 4 {
		if err := s.Commit(t.Context(), one(c.Fence, done+1, "warm")); err != nil {
			t.Fatal(err)
		}
		done++
		want := done
		if round%2 == 0 {
			asked.Store(true)
		} else {
			answered.Store(true)
			want++
		}
		if err := s.Commit(t.Context(), one(c.Fence, done+1, fmt.Sprint(round))); !errors.Is(err, statestore.ErrDoubt) {
			t.Fatalf("round %d: %v, want ErrDoubt", round, err)
		}
		if err := srv.Start(); err != nil {
			t.Fatal(err)
		}
		last, err := s.LastCommit(t.Context(), c.Fence)
		for tries := 0; errors.Is(err, statestore.ErrUnavailable) && tries < 5; tries++ { // connections to the server that was killed
			last, err = s.LastCommit(t.Context(), c.Fence)
		}
		if err != nil || last != want {
			t.Fatalf("round %d: last commit %d, %v; want %d", round, last, err, want)
		}
		done = last
	}
	if got := string(loaded(t, open(t, Config{URL: srv.URL()}), "a").Values[0].Value); got != "3" {
		t.Errorf("value %q, want that of the last round", got)
	}
}
