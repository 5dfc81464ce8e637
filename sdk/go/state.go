package stategate

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/stategate/stategate/sdk/go/internal/protocol"
)

// ValueSpec declares one state of a function: a value that each address has of its own. It is listed in Function.States and
// used with the Invocation that the function is called with.
type ValueSpec[T any] struct {
	Name       string     // unique in the function
	Type       Type[T]    // cannot change while the gateway keeps values of it: a changed type needs a new Name
	Expiration Expiration // zero: never
}

// State is a ValueSpec of any type.
type State interface {
	name() string
	spec() (*protocol.FromFunction_PersistedValueSpec, error)
}

// Expiration says when the gateway forgets a value. The zero Expiration is never.
type Expiration struct {
	mode  protocol.FromFunction_ExpirationSpec_ExpireMode
	after time.Duration
}

// ExpireAfterWrite forgets a value when it was not written for that long.
func ExpireAfterWrite(d time.Duration) Expiration {
	return Expiration{protocol.FromFunction_ExpirationSpec_AFTER_WRITE, d}
}

// ExpireAfterInvoke forgets a value when its address was not called for that long.
func ExpireAfterInvoke(d time.Duration) Expiration {
	return Expiration{protocol.FromFunction_ExpirationSpec_AFTER_INVOKE, d}
}

func (s ValueSpec[T]) name() string { return s.Name }

func (s ValueSpec[T]) spec() (*protocol.FromFunction_PersistedValueSpec, error) {
	switch {
	case s.Name == "":
		return nil, errors.New("it has no name")
	case !utf8.ValidString(s.Name):
		return nil, errors.New("its name is not UTF-8")
	case s.Type.Encode == nil || s.Type.Decode == nil:
		return nil, errors.New("its Type has no Encode or no Decode")
	}
	if namespace, name := splitTypeName(s.Type.Name); namespace == "" || name == "" {
		return nil, fmt.Errorf("its type %q: want namespace/name", s.Type.Name)
	}
	spec := &protocol.FromFunction_PersistedValueSpec{StateName: s.Name, TypeTypename: s.Type.Name}
	if s.Expiration != (Expiration{}) {
		if s.Expiration.after <= 0 {
			return nil, fmt.Errorf("it expires after %v: want more than 0", s.Expiration.after)
		}
		spec.ExpirationSpec = &protocol.FromFunction_ExpirationSpec{
			Mode: s.Expiration.mode, ExpireAfterMillis: milliseconds(s.Expiration.after),
		}
	}
	return spec, nil
}

// milliseconds rounds up: what is asked for a time must not come earlier, and not at once.
func milliseconds(d time.Duration) int64 {
	ms := d.Milliseconds()
	if d > time.Duration(ms)*time.Millisecond {
		ms++
	}
	return ms
}

// Get reads the state of the address that is called, as the earlier messages of the same call left it. ok is false when it is unset.
func (s ValueSpec[T]) Get(in *Invocation) (value T, ok bool, err error) {
	c, err := in.cell(s.Name)
	if err != nil || !c.set {
		return value, false, err
	}
	value, err = s.Type.From(c.value)
	if err != nil {
		return value, false, fmt.Errorf("state %q: %w", s.Name, err)
	}
	return value, true, nil
}

// Set writes the state.
func (s ValueSpec[T]) Set(in *Invocation, value T) {
	c, err := in.cell(s.Name)
	v := s.Type.Of(value)
	if err == nil && v.check() != nil {
		err = fmt.Errorf("state %q: %w", s.Name, v.check())
	}
	if err != nil {
		in.fail(err)
		return
	}
	*c = cell{value: v, set: true, touched: true}
}

// Delete makes the state unset.
func (s ValueSpec[T]) Delete(in *Invocation) {
	c, err := in.cell(s.Name)
	if err != nil {
		in.fail(err)
		return
	}
	*c = cell{touched: true}
}

// cell is one state of the address that is called, while the call runs.
type cell struct {
	value   TypedValue
	set     bool // it has a value
	touched bool // set or deleted by this call
}
