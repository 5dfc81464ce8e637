package dispatcher

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// heldStore is a store whose commits wait.
type heldStore struct {
	Store
	held chan struct{} // closed when they may go on
}

func (s *heldStore) Commit(ctx context.Context, c *statestore.Commit) error {
	select {
	case <-s.held:
		return s.Store.Commit(ctx, c)
	case <-ctx.Done():
		return statestore.ErrUnavailable
	}
}

// TestSetAsideWaitsForItsCommit: a source that brings nothing but what cannot be used is as slow as the store.
func TestSetAsideWaitsForItsCommit(t *testing.T) {
	unknown := []api.Route{{Key: "no/body", Target: api.FunctionType{Namespace: "no", Name: "body"}}}
	for name, record := range map[string]api.Record{
		"unusable record":  {Dead: &api.DeadLetter{Kind: api.DeadRecord, Reason: "null key"}},
		"unknown function": {ID: "id", Routes: unknown},
	} {
		t.Run(name, func(t *testing.T) {
			store := memory.New(memory.Config{}).Open(memory.Faults{})
			claim, err := store.Acquire(t.Context(), statestore.Member{ID: "a"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			held := &heldStore{Store: store, held: make(chan struct{})}
			d := New(Config{Store: held, Claim: claim, Function: func(api.FunctionType) (Function, bool) { return Function{}, false }})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- d.Run(ctx) }()

			source := api.Source{Ingress: "test/in", Topic: "t"}
			impatient, stop := context.WithTimeout(ctx, 100*time.Millisecond)
			defer stop()
			if err := d.Arrive(impatient, source, []api.Record{record}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v while the store is away, want it to wait", err)
			}
			close(held.held)
			record.Offset++
			if err := d.Arrive(ctx, source, []api.Record{record}); err != nil {
				t.Error(err)
			}
			letters, err := store.DeadLetters(t.Context(), 0, 10)
			if err != nil || len(letters) != 2 {
				t.Errorf("got %d dead letters (%v), want 2", len(letters), err)
			}
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}

// TestStartsAreOneCommit: no commit comes between the start positions that were given together, whatever else goes on.
func TestStartsAreOneCommit(t *testing.T) {
	var mu sync.Mutex
	var commits []int
	store := memory.New(memory.Config{}).Open(memory.Faults{Commit: func(c *statestore.Commit) memory.Fault {
		mu.Lock()
		defer mu.Unlock()
		if len(c.Progress) > 0 {
			commits = append(commits, len(c.Progress))
		}
		return memory.FaultNone
	}})
	claim, err := store.Acquire(t.Context(), statestore.Member{ID: "a"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	d := New(Config{Store: store, Claim: claim, Function: func(api.FunctionType) (Function, bool) { return Function{}, false }})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	var starts []statestore.Progress
	for p := range int32(100) {
		starts = append(starts, statestore.Progress{Source: api.Source{Ingress: "test/in", Topic: "t", Partition: p}, Partitions: 100, Start: 7})
	}
	if err := d.Start(ctx, starts); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	if !slices.Equal(commits, []int{len(starts)}) {
		t.Errorf("got commits of %v start positions, want one of %d", commits, len(starts))
	}
	mu.Unlock()
	for _, want := range starts {
		if got, ok := d.Progress(want.Source); !ok || got.Start != want.Start || got.Partitions != want.Partitions {
			t.Errorf("got progress %+v, want %+v", got, want)
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
