package statefile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Bounds of one commit. What an interrupted import has to do again is no more than that.
const (
	batchAddresses = 1000
	batchValues    = 4000
	batchBytes     = 4 << 20
)

// Target is where an import goes: a store that a claim owns.
type Target interface {
	statestore.Committer
	// States answers what the addresses have.
	States(ctx context.Context, addresses []api.Address) ([]statestore.Loaded, error)
}

// ImportConfig says what an import may do. Target and Claim are not needed to check a file.
type ImportConfig struct {
	Target Target
	Claim  *statestore.Claim

	Overwrite bool                  // a value replaces another one that is there
	Invalid   func(err *LineError)  // is told of lines that cannot be used, which are left out; nil: the first one ends it
	Now       func() time.Time      // default time.Now; when a value is touched that does not say so
	Progress  *Progress             // may be nil
	Pause     func(context.Context) // before a commit is tried again; default one second
}

// Imported is what became of an import.
type Imported struct {
	Written int64 // values, in commits that are confirmed
	Same    int64 // values that were there already
	Invalid int64 // lines that were left out
	Commits int64
}

// Import writes what a file holds, in commits of bounded size. What it has written stays when it ends with an error: the same
// file can be imported again, and what is there already is found to be the same. cfg.Claim must be held, and its lease kept.
func Import(ctx context.Context, cfg ImportConfig, name string, in io.Reader) (Imported, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Pause == nil {
		cfg.Pause = pause
	}
	m := &importer{
		cfg: cfg, in: newReader(name, in), states: newRegistry(cfg.Claim.Functions, cfg.Overwrite),
		number: cfg.Claim.Commit, batch: map[api.Address]int{},
	}
	err := m.run(ctx)
	return m.done, err
}

func pause(ctx context.Context) {
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

type importer struct {
	cfg    ImportConfig
	in     *reader
	states *registry
	number uint64 // of the last commit
	done   Imported

	batch  map[api.Address]int // where an address stands in order
	order  []*gathered
	values int
	bytes  int
}

// gathered are the values of one address that wait for a commit, in the order of their lines.
type gathered struct {
	address api.Address
	values  []placed
}

// placed is a value with the line that it came from.
type placed struct {
	line int64
	statestore.StateValue
}

func (m *importer) run(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		l, err := m.in.next()
		if err == io.EOF {
			return m.flush(ctx)
		}
		if err == nil && (l.kind == lineSpec || l.kind == lineValue) {
			if err = m.states.learn(l); err != nil {
				err = m.in.bad(err)
			}
		}
		if err != nil {
			if err := m.invalid(ctx, err); err != nil {
				return err
			}
			continue
		}
		if l.kind != lineValue {
			continue
		}
		m.gather(l)
		if len(m.order) >= batchAddresses || m.values >= batchValues || m.bytes >= batchBytes {
			if err := m.flush(ctx); err != nil {
				return err
			}
		}
	}
}

// invalid leaves a line out where that is wanted; else what came before it is written, and it ends the import.
func (m *importer) invalid(ctx context.Context, err error) error {
	var bad *LineError
	if errors.As(err, &bad) && m.cfg.Invalid != nil {
		m.done.Invalid++
		m.cfg.Invalid(bad)
		return nil
	}
	return errors.Join(m.flush(ctx), err)
}

func (m *importer) gather(l *line) {
	at, ok := m.batch[l.address]
	if !ok {
		at = len(m.order)
		m.batch[l.address] = at
		m.order = append(m.order, &gathered{address: l.address})
	}
	v := placed{m.in.number, l.state}
	if !l.touched {
		v.Touched = m.cfg.Now().UnixMilli()
	}
	m.order[at].values = append(m.order[at].values, v)
	m.values++
	m.bytes += len(v.Value) + len(v.Name) + len(v.TypeName) + len(l.address.ID) + 64
}

// flush commits what has gathered.
func (m *importer) flush(ctx context.Context) error {
	c := &statestore.Commit{Fence: m.cfg.Claim.Fence, Number: m.number + 1, NextNumber: m.cfg.Claim.NextNumber}
	written, same, trouble := int64(0), int64(0), error(nil)
	if len(m.order) > 0 {
		addresses := make([]api.Address, len(m.order))
		for i, g := range m.order {
			addresses[i] = g.address
		}
		found, err := m.load(ctx, addresses)
		if err != nil {
			return fmt.Errorf("read what is there: %w", err)
		}
		for i, g := range m.order {
			before := written
			values, err := m.merge(g, m.alive(g.address, found[i].Values), &written, &same)
			if written > before {
				c.States = append(c.States, statestore.AddressState{Address: g.address, Values: values, Expires: m.states.of(g.address.Type).expires(values, m.cfg.Now().UnixMilli())})
			}
			if err != nil { // the lines before it are written
				trouble = err
				break
			}
		}
	}
	total := int64(m.values)
	m.batch, m.order, m.values, m.bytes = map[api.Address]int{}, nil, 0, 0
	c.Functions = m.states.changed()
	if len(c.States) > 0 || len(c.Functions) > 0 {
		if err := m.commit(ctx, c); err != nil {
			return err
		}
		m.done.Commits++
	}
	m.done.Written, m.done.Same = m.done.Written+written, m.done.Same+same
	m.cfg.Progress.add(total)
	return trouble
}

// alive leaves out what has expired and is not swept yet: calls are shown no such value, so it is neither the same nor in the way.
func (m *importer) alive(a api.Address, values []statestore.StateValue) []statestore.StateValue {
	specs, now := m.states.of(a.Type).specs, m.cfg.Now().UnixMilli()
	return slices.DeleteFunc(slices.Clone(values), func(v statestore.StateValue) bool { return expired(specs, &v, now) })
}

// merge puts new values beside those that an address has, and answers all of them. A value that cannot be taken is left out, or
// ends the import with what came before it.
func (m *importer) merge(g *gathered, values []statestore.StateValue, written, same *int64) ([]statestore.StateValue, error) {
	size := 0
	for i := range values {
		size += len(values[i].Value)
	}
	for i := range g.values {
		v := &g.values[i]
		at, found := find(values, v.Name)
		bigger := len(v.Value)
		if found {
			bigger -= len(values[at].Value)
		}
		err := error(nil)
		switch {
		case found && equal(&values[at], v):
			*same++
			continue
		case found && !m.cfg.Overwrite:
			err = fmt.Errorf("state %q of %s/%s has another value already; --overwrite replaces it", short(v.Name), g.address.Type, short(g.address.ID))
		case size+bigger > api.StateBytesMax:
			err = fmt.Errorf("all states of %s/%s together have more than %d bytes", g.address.Type, short(g.address.ID), api.StateBytesMax)
		}
		if err != nil {
			bad := &LineError{m.in.name, v.line, err}
			if m.cfg.Invalid == nil {
				return values, bad
			}
			m.done.Invalid++
			m.cfg.Invalid(bad)
			continue
		}
		if size += bigger; found {
			values[at] = v.StateValue
		} else {
			values = append(values[:at:at], append([]statestore.StateValue{v.StateValue}, values[at:]...)...)
		}
		*written++
	}
	return values, nil
}

// equal: the value is there already. When it was touched does not matter where the type and the bytes are the same: a call may
// have come meanwhile, and a line need not say it.
func equal(stored *statestore.StateValue, v *placed) bool {
	return stored.TypeName == v.TypeName && string(stored.Value) == string(v.Value)
}

func find(values []statestore.StateValue, name string) (int, bool) {
	for i := range values {
		if values[i].Name >= name {
			return i, values[i].Name == name
		}
	}
	return len(values), false
}

// triesMax bounds how often the store is asked again when it is away.
const triesMax = 30

func (m *importer) load(ctx context.Context, addresses []api.Address) (found []statestore.Loaded, err error) {
	for try := 1; ; try++ {
		found, err = m.cfg.Target.States(ctx, addresses)
		if !errors.Is(err, statestore.ErrUnavailable) || try == triesMax || ctx.Err() != nil {
			return found, err
		}
		m.cfg.Pause(ctx)
	}
}

// commit makes one commit, once: after doubt the store is asked what became of it.
func (m *importer) commit(ctx context.Context, c *statestore.Commit) error {
	for try := 1; ; try++ {
		err := m.cfg.Target.Commit(ctx, c)
		if errors.Is(err, statestore.ErrDoubt) {
			var last uint64
			if last, err = m.last(ctx); err == nil && last < c.Number {
				err = statestore.ErrUnavailable // it did not take place: make it again
			}
		}
		switch {
		case err == nil:
			m.number = c.Number
			return nil
		case errors.Is(err, statestore.ErrFenced):
			return fmt.Errorf("a gateway has taken the store over; stop it and import the file again: %w", err)
		case !errors.Is(err, statestore.ErrUnavailable) || try == triesMax || ctx.Err() != nil:
			return err
		}
		m.cfg.Pause(ctx)
	}
}

func (m *importer) last(ctx context.Context) (number uint64, err error) {
	for try := 1; ; try++ {
		number, err = m.cfg.Target.LastCommit(context.WithoutCancel(ctx), m.cfg.Claim.Fence)
		if !errors.Is(err, statestore.ErrUnavailable) || try == triesMax {
			return number, err
		}
		m.cfg.Pause(ctx)
	}
}
