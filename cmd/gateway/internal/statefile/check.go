package statefile

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Checked is what a file holds.
type Checked struct {
	Values   int64 // lines with values that can be used
	Repeated int64 // of these, for a value that an earlier line has told
	Invalid  int64 // lines that cannot be used
	States   []Counted
}

// Counted is how many addresses have a value of a state. A file's states are in the order in which they are met.
type Counted struct {
	Function api.FunctionType
	State    string
	TypeName string
	Values   int64
}

// Check reads a whole file and says what is wrong with it, as far as that can be told without the values of a store. It answers
// the error of the first bad line, or calls cfg.Invalid with each. stored is what the store knows of states.
func Check(ctx context.Context, cfg ImportConfig, stored []statestore.FunctionSpec, name string, in io.Reader) (done Checked, err error) {
	r, states := newReader(name, in), newRegistry(stored, cfg.Overwrite)
	c := counter{done: &done, at: map[stateKey]int{}, told: told{seed: maphash.MakeSeed(), max: toldMax, values: map[uint64]uint32{}}}
	for ctx.Err() == nil {
		l, err := r.next()
		if err == nil && (l.kind == lineSpec || l.kind == lineValue) {
			if err = states.learn(l); err == nil && l.kind == lineValue {
				err = c.count(l, cfg.Overwrite)
			}
			if err != nil {
				err = r.bad(err)
			}
		}
		var bad *LineError
		switch {
		case err == io.EOF:
			return done, nil
		case errors.As(err, &bad) && cfg.Invalid != nil:
			done.Invalid++
			cfg.Invalid(bad)
		case err != nil:
			return done, err
		case l.kind == lineValue:
			cfg.Progress.add(1)
		}
	}
	return done, ctx.Err()
}

type stateKey struct {
	function api.FunctionType
	name     string
}

// counter counts the values of a file.
type counter struct {
	done *Checked
	at   map[stateKey]int // where a state stands in done.States
	told told
}

func (c *counter) count(l *line, overwrite bool) error {
	again, refused := c.told.take(l, overwrite)
	if refused {
		return fmt.Errorf("state %q of %s/%s has another value on an earlier line; --overwrite lets the last one count", short(l.state.Name), l.address.Type, short(l.address.ID))
	}
	c.done.Values++
	if again {
		c.done.Repeated++
		return nil
	}
	key := stateKey{l.address.Type, l.state.Name}
	at, ok := c.at[key]
	if !ok {
		at = len(c.done.States)
		c.at[key] = at
		c.done.States = append(c.done.States, Counted{Function: key.function, State: key.name, TypeName: l.state.TypeName})
	}
	c.done.States[at].Values++
	return nil
}

// toldMax bounds how many values are remembered, in some 100 MB. What is beyond counts as new; an import finds it all the same.
const toldMax = 4 << 20

// told remembers the values of a file by their hashes: whole ones are too large. With a seed for each run two values that share
// theirs are as good as impossible, and another run tells.
type told struct {
	seed   maphash.Seed
	max    int
	values map[uint64]uint32
}

// take answers whether an earlier line has told this value, and whether this line may not change it.
func (t *told) take(l *line, overwrite bool) (again, refused bool) {
	var h maphash.Hash
	h.SetSeed(t.seed)
	for _, part := range []string{l.address.Type.Namespace, l.address.Type.Name, l.address.ID, l.state.Name} {
		maphash.WriteComparable(&h, len(part))
		_, _ = h.WriteString(part) // never fails
	}
	key, value := h.Sum64(), uint32(maphash.Bytes(t.seed, l.state.Value))
	before, again := t.values[key]
	if again && before != value && !overwrite {
		return true, true
	}
	if again || len(t.values) < t.max {
		t.values[key] = value
	}
	return again, false
}
