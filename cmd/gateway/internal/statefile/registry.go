package statefile

import (
	"fmt"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// registry is what is known of states: by the store, and by the lines so far.
type registry struct {
	functions map[api.FunctionType]*known
	overwrite bool // a line may change an expiration
}

// known is what is known of one function type. The function itself has the last word on expirations: it is asked when it is first
// called after the import. Types are final: a call to a function that declares another one fails.
type known struct {
	specs []statestore.StateSpec // TypeName is "" where the function has not told it
	told  map[string]bool        // names of states whose expiration a line tells
	dirty bool                   // specs changed since the last commit
}

func newRegistry(stored []statestore.FunctionSpec, overwrite bool) *registry {
	r := &registry{functions: map[api.FunctionType]*known{}, overwrite: overwrite}
	for _, f := range stored {
		r.of(f.Function).specs = f.States
	}
	return r
}

func (r *registry) of(f api.FunctionType) *known {
	k := r.functions[f]
	if k == nil {
		k = &known{told: map[string]bool{}}
		r.functions[f] = k
	}
	return k
}

func (k *known) spec(name string) *statestore.StateSpec {
	for i := range k.specs {
		if k.specs[i].Name == name {
			return &k.specs[i]
		}
	}
	return nil
}

// learn takes what a line tells of a state, or says why it cannot be.
func (r *registry) learn(l *line) error {
	k := r.of(l.address.Type)
	name, typeName := l.state.Name, l.state.TypeName
	spec := k.spec(name)
	switch {
	case spec != nil && spec.TypeName != "" && spec.TypeName != typeName:
		return fmt.Errorf("state %q of %s has type %q, here it is %q: rename the state or give its type", short(name), l.address.Type, short(spec.TypeName), short(typeName))
	case spec == nil && len(k.specs) >= api.StatesPerFunction:
		return fmt.Errorf("%s has more than %d states", l.address.Type, api.StatesPerFunction)
	case spec == nil:
		k.specs, k.dirty = append(slices.Clip(k.specs), statestore.StateSpec{Name: name, TypeName: typeName}), true
		spec = k.spec(name)
	}
	if l.spec == nil {
		return nil
	}
	if spec.Expiration != l.spec.Expiration || spec.TTL != l.spec.TTL {
		if !r.overwrite && (expirationMode(spec) != statestore.ExpireNever || k.told[name]) {
			return fmt.Errorf("state %q of %s expires %s, here %s; --overwrite changes it", short(name), l.address.Type, describe(spec), describe(l.spec))
		}
		k.specs, k.dirty = slices.Clone(k.specs), true
		spec = k.spec(name)
		spec.Expiration, spec.TTL = l.spec.Expiration, l.spec.TTL
	}
	k.told[name] = true
	return nil
}

func describe(s *statestore.StateSpec) string {
	if expirationMode(s) == statestore.ExpireNever {
		return "never"
	}
	return fmt.Sprintf("%s, after %s", modes[s.Expiration], appendTTL(nil, s.TTL))
}

// changed answers what a commit must write, and takes it for written.
func (r *registry) changed() (out []statestore.FunctionSpec) {
	for f, k := range r.functions {
		if k.dirty {
			k.dirty = false
			out = append(out, statestore.FunctionSpec{Function: f, States: slices.Clone(k.specs)})
		}
	}
	return out
}

// lookAgain is when the row of a value is looked at that never expires as far as is known, in ms: its function will have told by
// then, and a state that nobody asks for again must expire like others.
const lookAgain = 24 * 60 * 60 * 1000

// expires is the coarse time that an address's row is found by: see the machine, which rounds in the same way.
func (k *known) expires(values []statestore.StateValue, now int64) (first int64) {
	for i := range values {
		at := int64(0)
		switch spec := k.spec(values[i].Name); {
		case spec == nil || expirationMode(spec) == statestore.ExpireNever && !k.told[spec.Name]:
			at = now + lookAgain
		default:
			if at = expiresAt(spec, &values[i]); at != 0 {
				grain := max(spec.TTL/10, 1)
				if up := (at + grain - 1) / grain * grain; up >= at {
					at = up
				}
			}
		}
		if at != 0 && (first == 0 || at < first) {
			first = at
		}
	}
	return first
}
