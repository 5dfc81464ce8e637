package simulation_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// backend is one kind of store. What a life draws never depends on which one it is, nor on its timing: the same seed plays the
// same life on all of them.
type backend interface {
	name() string
	// open makes an empty store.
	open() (deposit, error)
}

// deposit is the store of one life.
type deposit interface {
	// handle is what a new process opens.
	handle() (handle, error)
	// ask runs a query beside the store, for one value. The names of tables follow "{s}."; ok is false where there are none.
	ask(sql string) (answer string, ok bool, err error)
	close()
}

// handle is one process's way to the store. It never fails by itself: what goes wrong is drawn in front of it.
type handle interface {
	statestore.Committer
	statestore.Reader
	Renew(ctx context.Context, fence statestore.Fence) error
	Release(ctx context.Context, fence statestore.Fence) error
	// take makes the member the owner at once. Whether the former one's lease has ended is for the life to judge.
	take(member statestore.Member, egresses []string) (*statestore.Claim, error)
	close()
}

// backends are those that lives can be played on, by the name that -store gives them.
var backends = map[string]func(t testing.TB) backend{
	"memory":   func(testing.TB) backend { return inMemory{} },
	"sqlite":   newOnSQLite,
	"postgres": newOnServer,
}

type inMemory struct{}

func (inMemory) name() string { return "memory" }

func (inMemory) open() (deposit, error) {
	at := time.Unix(0, 0)
	return &memoryDeposit{memory.New(memory.Config{
		Identity: "life", Lease: time.Nanosecond, // it is over whenever somebody looks
		Now: func() time.Time { at = at.Add(time.Second); return at },
	})}, nil
}

type memoryDeposit struct{ store *memory.Store }

func (d *memoryDeposit) handle() (handle, error) {
	return &memoryHandle{d.store.Open(memory.Faults{})}, nil
}

func (d *memoryDeposit) ask(string) (string, bool, error) { return "", false, nil }

func (d *memoryDeposit) close() {}

type memoryHandle struct{ *memory.Store }

func (h *memoryHandle) take(m statestore.Member, egresses []string) (*statestore.Claim, error) {
	c, ok := h.TryAcquire(m, egresses)
	if !ok {
		return nil, errors.New("the store is not given")
	}
	return c, nil
}

func (h *memoryHandle) close() {}

// late is a commit that is still on its way: its sender has no answer, and may be gone.
type late struct {
	from *incarnation
	c    *commit
}

// bring lets a commit reach the store, and holds what the store says against who owns it.
func (l *life) bring(from *incarnation, c *commit) error {
	err := from.handle.Commit(context.Background(), c.c)
	switch {
	case err == nil && l.owner != from:
		l.failf("fence", "commit %d of %v is made, and %v owns the store", c.c.Number, from, l.owner)
	case err == nil:
		l.applied(from, c)
	case c.applied && (errors.Is(err, statestore.ErrUnavailable) || errors.Is(err, statestore.ErrDoubt)):
		l.failf("refusal", "commit %d of %v comes again, and would be brought for ever: %v", c.c.Number, from, err)
	case errors.Is(err, statestore.ErrFenced) && l.owner == from:
		l.failf("fence", "commit %d of %v is fenced, and nobody took over: %v", c.c.Number, from, err)
	case !errors.Is(err, statestore.ErrFenced) && !c.applied:
		l.failf("refusal", "commit %d of %v is refused: %v", c.c.Number, from, err)
	}
	return err
}

// applied moves the model on: the store has the commit.
func (l *life) applied(from *incarnation, c *commit) {
	if c.applied {
		l.failf("fence", "commit %d of %v is made twice", c.c.Number, from)
	}
	c.applied = true
	l.durable = c.shadow
	l.commitOutputs(c)
	l.commits++
	l.leaseUntil = l.now + l.lease
}

// land lets commits arrive that are on their way, those of one incarnation or (nil) of any.
func (l *life) land(of *incarnation) {
	rest := l.late[:0]
	var now []late
	for _, c := range l.late {
		if of == nil || c.from == of {
			now = append(now, c)
		} else {
			rest = append(rest, c)
		}
	}
	l.late = rest
	for _, c := range now {
		how := "late"
		if c.c.applied {
			how = "again"
			l.struck(faultCommitTwice, l.owner)
		}
		l.tell("commit %d of %v arrives %s: %v", c.c.c.Number, c.from, how, outcome(l.bring(c.from, c.c)))
	}
}

func outcome(err error) string {
	switch {
	case err == nil:
		return "made"
	case errors.Is(err, statestore.ErrFenced):
		return "fenced"
	case errors.Is(err, statestore.ErrUnavailable), errors.Is(err, statestore.ErrDoubt):
		return err.Error()
	}
	return "refused" // each store in words of its own
}

func backendNames() []string { return slices.Sorted(maps.Keys(backends)) }
