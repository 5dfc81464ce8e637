// Package memory is the model of a store: plain, slow and obviously right. Other stores are compared with it, simulations run on
// it, and it serves where nothing must survive the process. It does no I/O and keeps nothing in packed form.
package memory

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Config is what a new store is made with. Its zero value works.
type Config struct {
	Identity string           // the store's UUID; "": drawn
	Lease    time.Duration    // how long a claim holds without Renew or Commit; default 3 s
	Now      func() time.Time // the clock of leases; default time.Now
	Faults   Faults           // of the first handle
}

// Store is one handle on a store. Handles are what members, or processes, are elsewhere: they share the content, and each
// has faults of its own.
type Store struct {
	shared *shared
	faults Faults
}

// shared is the content and its ownership. mu guards all of it.
type shared struct {
	mu       sync.Mutex
	identity string
	lease    time.Duration
	now      func() time.Time
	ticks    bool          // the clock is the real one
	changed  chan struct{} // closed and made anew when ownership is given up

	members map[string]*member
	waiting map[string]*waiting
	owner   string // of members; "": nobody
	epoch   uint64 // the highest that was ever given
	content content
	late    []*statestore.Commit // on their way: see FaultLate
}

// member is the row of a member.
type member struct {
	statestore.Member
	epoch  uint64
	commit uint64
	until  time.Time
}

// waiting is a member in Acquire.
type waiting struct {
	statestore.Member
	times int // that it is there at once
}

// New makes an empty store.
func New(cfg Config) *Store {
	sh := &shared{
		identity: cfg.Identity, lease: cfg.Lease, now: cfg.Now, ticks: cfg.Now == nil,
		changed: make(chan struct{}), members: map[string]*member{}, waiting: map[string]*waiting{}, content: newContent(),
	}
	if sh.identity == "" {
		sh.identity = uuid.NewString()
	}
	if sh.lease <= 0 {
		sh.lease = 3 * time.Second
	}
	if sh.now == nil {
		sh.now = time.Now
	}
	return &Store{shared: sh, faults: cfg.Faults}
}

// Open is another handle on the same store.
func (s *Store) Open(faults Faults) *Store { return &Store{shared: s.shared, faults: faults} }

// Identity is the store's UUID.
func (s *Store) Identity() string { return s.shared.identity }

// Close does nothing: the content lives as long as one handle does.
func (s *Store) Close() error { return nil }

var _ statestore.Store = (*Store)(nil)

// Commit writes c, unless a fault says otherwise.
func (s *Store) Commit(ctx context.Context, c *statestore.Commit) error {
	if err := ctx.Err(); err != nil {
		return unavailable("commit", err)
	}
	fault := FaultNone
	if s.faults.Commit != nil {
		fault = s.faults.Commit(c)
	}
	sh := s.shared
	sh.mu.Lock()
	defer sh.mu.Unlock()
	switch fault {
	case FaultUnavailable:
		return unavailable("commit", errFault)
	case FaultLost:
		return doubt(errFault)
	case FaultLate:
		sh.late = append(sh.late, cloneCommit(c))
		return doubt(errFault)
	}
	err := sh.commit(c)
	if fault == FaultDone && err == nil {
		return doubt(errFault)
	}
	return err
}

// LastCommit waits for commits that are on their way: they land now, or are fenced.
func (s *Store) LastCommit(ctx context.Context, fence statestore.Fence) (uint64, error) {
	if err := s.call(ctx, "last commit"); err != nil {
		return 0, err
	}
	s.Land()
	sh := s.shared
	sh.mu.Lock()
	defer sh.mu.Unlock()
	m, err := sh.fenced(fence)
	if err != nil {
		return 0, err
	}
	return m.commit, nil
}

// call asks the faults whether a call can be made.
func (s *Store) call(ctx context.Context, name string) error {
	if err := ctx.Err(); err != nil {
		return unavailable(name, err)
	}
	if s.faults.Call != nil {
		return s.faults.Call(name)
	}
	return nil
}

// read makes one call under the mutex.
func (s *Store) read(ctx context.Context, name string, f func(*content)) error {
	if err := s.call(ctx, name); err != nil {
		return err
	}
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	f(&s.shared.content)
	return nil
}

// States answers what is kept for addresses.
func (s *Store) States(ctx context.Context, addresses []api.Address) (found []statestore.Loaded, err error) {
	err = s.read(ctx, "states", func(c *content) {
		found = make([]statestore.Loaded, len(addresses))
		for i, a := range addresses {
			found[i] = c.loaded(a)
		}
	})
	return found, err
}

// Mailboxes answers what is kept for addresses beside values.
func (s *Store) Mailboxes(ctx context.Context, addresses []api.Address) (found []statestore.Loaded, err error) {
	err = s.read(ctx, "mailboxes", func(c *content) {
		found = make([]statestore.Loaded, len(addresses))
		for i, a := range addresses {
			found[i] = c.mailbox(a)
		}
	})
	return found, err
}

// Specs answers what is known of a function type's states.
func (s *Store) Specs(ctx context.Context, function api.FunctionType) (found []statestore.StateSpec, err error) {
	err = s.read(ctx, "specs", func(c *content) { found = cloneSpec(c.functions[function]).States })
	return found, err
}

// Mail answers spilled messages.
func (s *Store) Mail(ctx context.Context, address api.Address, from uint64, bytesMax int) (found []statestore.Mail, err error) {
	err = s.read(ctx, "mail", func(c *content) { found = c.mailFrom(address, from, bytesMax) })
	return found, err
}

// SpilledAddresses pages through the addresses with spilled messages.
func (s *Store) SpilledAddresses(ctx context.Context, function api.FunctionType, cursor []byte, limit int) (found []api.Address, next []byte, err error) {
	err = s.read(ctx, "spilled addresses", func(c *content) { found, next = c.spilledAddresses(function, cursor, limit) })
	return found, next, err
}

// Addresses pages through the addresses with states or spilled messages.
func (s *Store) Addresses(ctx context.Context, function api.FunctionType, prefix string, cursor []byte, limit int) (found []api.Address, next []byte, err error) {
	var broken error // never
	err = s.read(ctx, "addresses", func(c *content) { found, next, broken = c.addresses(function, prefix, cursor, limit) })
	return found, next, errors.Join(err, broken)
}

// Timers answers a window of timers.
func (s *Store) Timers(ctx context.Context, after statestore.TimerKey, dueMS int64, limit int) (found []statestore.Timer, err error) {
	err = s.read(ctx, "timers", func(c *content) { found = c.timersBetween(after, dueMS, limit) })
	return found, err
}

// ExpiredAddresses answers addresses of which a state may have expired, the longest ago first.
func (s *Store) ExpiredAddresses(ctx context.Context, ms int64, limit int) (found []api.Address, err error) {
	err = s.read(ctx, "expired addresses", func(c *content) { found = c.expired(ms, limit) })
	return found, err
}

// Outputs answers packs of a lane.
func (s *Store) Outputs(ctx context.Context, lane statestore.LaneID, from uint64, bytesMax int) (found []statestore.OutputPack, err error) {
	err = s.read(ctx, "outputs", func(c *content) { found = c.outputsFrom(lane, from, bytesMax) })
	return found, err
}

// Claimed knows the tokens of all claims.
func (s *Store) Claimed(ctx context.Context, token string) (known bool, err error) {
	err = s.read(ctx, "claims", func(c *content) { known = c.claims[token] })
	return known, err
}

// DeadLetters answers a page of dead letters.
func (s *Store) DeadLetters(ctx context.Context, after uint64, limit int) (found []api.DeadLetter, err error) {
	err = s.read(ctx, "dead letters", func(c *content) { found = c.deadAfter(after, limit) })
	return found, err
}

// Acts answers a page of what operators have done.
func (s *Store) Acts(ctx context.Context, before uint64, limit int) (found []statestore.Act, err error) {
	err = s.read(ctx, "acts", func(c *content) { found = c.actsBefore(before, limit) })
	return found, err
}

// Note answers a note.
func (s *Store) Note(ctx context.Context, name string) (data []byte, atMS int64, err error) {
	err = s.read(ctx, "note", func(c *content) { n := c.notes[name]; data, atMS = slices.Clone(n.data), n.at })
	return data, atMS, err
}

// SetNote writes a note.
func (s *Store) SetNote(ctx context.Context, name string, data []byte) error {
	if len(data) > statestore.NoteBytesMax {
		return statestore.ErrNoteTooLong
	}
	return s.read(ctx, "set note", func(c *content) {
		if delete(c.notes, name); len(data) > 0 {
			c.notes[name] = note{slices.Clone(data), s.shared.now().UnixMilli()}
		}
	})
}
