package admin

import (
	"bytes"
	"context"
	"net/http"

	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/statestore"
)

// Paths of one state. In the second one the id stands in the query.
const (
	statePath = "/v1/addresses/{namespace}/{name}/{id}/state/{state}"
	stateByID = "/v1/addresses/{namespace}/{name}/state/{state}"
)

// jsonState is one state as the next call would be shown it. While memory is ahead of the store, what is committed stands beside.
type jsonState struct {
	Name string `json:"name" about:"of the state"`
	jsonPayload
	Version   string         `json:"version" about:"of the value; \"\" when it is not set"`
	Touched   *string        `json:"touched" about:"when it was written, or with afterInvoke last used: its expiration counts from it; null: it is not set"`
	Expires   *string        `json:"expires" about:"null: never"`
	Committed bool           `json:"committed" about:"false: memory is ahead of what is stored"`
	Stored    *jsonCommitted `json:"stored,omitempty" about:"the committed value, where it is another one"`
}

// jsonCommitted is what the store has.
type jsonCommitted struct {
	jsonPayload
	Version string `json:"version" about:"\"\": it is not set"`
}

// statesOf shows what a call would be shown: values whose time is over are gone, whether their row is written anew or not.
func statesOf(found *report.Address, show *showing) []jsonState {
	out := []jsonState{}
	current, stored := found.Stored.Values, found.Stored.Values
	if found.View.Ahead {
		current = found.View.Values
	}
	for len(current) > 0 || len(stored) > 0 { // both are sorted by name
		var now, then *statestore.StateValue
		if len(stored) == 0 || len(current) > 0 && current[0].Name <= stored[0].Name {
			now = &current[0]
		}
		if len(current) == 0 || len(stored) > 0 && stored[0].Name <= current[0].Name {
			then = &stored[0]
		}
		if now != nil {
			current = current[1:]
		}
		if then != nil {
			stored = stored[1:]
		}
		if s := stateOf(found, alive(found, now), alive(found, then), show); s != nil {
			out = append(out, *s)
		}
	}
	return out
}

// alive is a value whose time is not over, or nil.
func alive(found *report.Address, v *statestore.StateValue) *statestore.StateValue {
	if v == nil {
		return nil
	}
	if at := expiresAt(found.Specs, v); at != 0 && at <= found.NowMS {
		return nil
	}
	return v
}

// stateOf shows one state; nil when there is none.
func stateOf(found *report.Address, now, then *statestore.StateValue, show *showing) *jsonState {
	if now == nil && then == nil {
		return nil
	}
	s := &jsonState{Committed: now != nil && then != nil && now.TypeName == then.TypeName && bytes.Equal(now.Value, then.Value)}
	if now != nil {
		s.Name, s.jsonPayload, s.Version = now.Name, show.payload(now.TypeName, filled(now.Value)), statestore.Version(now.TypeName, now.Value)
		s.Touched, s.Expires = timestamp(now.Touched), timestamp(expiresAt(found.Specs, now))
	}
	if s.Committed {
		return s
	}
	s.Stored = &jsonCommitted{jsonPayload: jsonPayload{Encoding: encodingBase64}}
	if then != nil {
		s.Name, s.Stored.jsonPayload, s.Stored.Version = then.Name, show.payload(then.TypeName, filled(then.Value)), statestore.Version(then.TypeName, then.Value)
	}
	if now == nil {
		s.Encoding = encodingBase64
	}
	return s
}

// filled is a value that is there: an empty one is "", not null.
func filled(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

// expiresAt is when a value expires; 0: never.
func expiresAt(specs []statestore.StateSpec, v *statestore.StateValue) int64 {
	for _, s := range specs {
		if s.Name == v.Name && s.Expiration != statestore.ExpireNever && s.TTL > 0 && v.Touched+s.TTL > v.Touched {
			return v.Touched + s.TTL
		}
	}
	return 0
}

// tagged is an answer whose version a client may want to change.
type tagged struct {
	answer any
	tag    string
}

func askState(ctx context.Context, app Application, r *http.Request) (any, error) {
	a, err := askedAddress(r, "raw")
	raw := false
	if err == nil {
		raw, err = askedRaw(r)
	}
	var name string
	if err == nil {
		name, err = part(r, "state")
	}
	if err != nil {
		return nil, problem{http.StatusBadRequest, err.Error(), "want /v1/addresses/NAMESPACE/NAME/ID/state/STATE, each percent-encoded once as UTF-8, or /v1/addresses/NAMESPACE/NAME/state/STATE?id=ID"}
	}
	found, err := app.Address(ctx, a)
	if err != nil {
		return nil, err
	}
	found.Stored.Values, found.View.Values = only(found.Stored.Values, name), only(found.View.Values, name)
	states := statesOf(&found, &showing{raw, valueBytesMax})
	if len(states) == 0 || states[0].Version == "" {
		return nil, problem{http.StatusNotFound, "the state is not set", "GET /v1/addresses/NAMESPACE/NAME/ID shows those that are; a PUT with If-None-Match: * sets it"}
	}
	return tagged{states[0], states[0].Version}, nil
}

// only is the value of this name, if there is one.
func only(all []statestore.StateValue, name string) []statestore.StateValue {
	for i := range all {
		if all[i].Name == name {
			return all[i : i+1]
		}
	}
	return nil
}
