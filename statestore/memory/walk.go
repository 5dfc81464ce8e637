package memory

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Walk copies what it tells before it tells any of it: that is its view.
func (s *Store) Walk(ctx context.Context, w statestore.Walk) error {
	var holding statestore.Holding
	var states []statestore.AddressState
	err := s.read(ctx, "walk", func(c *content) {
		holding = c.holding()
		for a, state := range c.states {
			if (len(w.Functions) == 0 || slices.Contains(w.Functions, a.Type)) && w.Wants(a) {
				state.Values = cloneEach(state.Values, cloneValue)
				states = append(states, state)
			}
		}
	})
	if err != nil {
		return err
	}
	slices.SortFunc(states, func(a, b statestore.AddressState) int {
		return bytes.Compare(statestore.AddressKey(a.Address), statestore.AddressKey(b.Address))
	})
	if err := w.Holding(holding); err != nil {
		return err
	}
	for _, state := range states {
		if err := ctx.Err(); err != nil {
			return unavailable("walk", err)
		}
		if err := w.Address(state); err != nil {
			return err
		}
	}
	return nil
}

func (k *content) holding() statestore.Holding {
	h := statestore.Holding{Timers: int64(len(k.timers)), DeadLetters: int64(len(k.dead)), Sources: int64(len(k.progress))}
	for _, f := range slices.SortedFunc(maps.Keys(k.functions), func(a, b api.FunctionType) int {
		return bytes.Compare(statestore.FunctionKey(a), statestore.FunctionKey(b))
	}) {
		h.Functions = append(h.Functions, cloneSpec(k.functions[f]))
	}
	for n, p := range k.packs {
		h.Messages += int64(len(p.Messages) - len(k.finished[n]))
	}
	for _, messages := range k.mail {
		h.Messages += int64(len(messages))
	}
	for _, l := range k.lanes {
		for _, p := range l.packs {
			h.Outputs += int64(len(p.Outputs))
		}
	}
	return h
}
