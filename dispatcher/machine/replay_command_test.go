package machine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// replay is `replay ORIGIN TOKEN [FUNCTION/ID]`: all dead letters of an origin that the store has.
func (s *stage) replay(args []string) {
	found, err := s.store.DeadLetters(context.Background(), 0, 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	found = slices.DeleteFunc(found, func(d api.DeadLetter) bool { return d.Origin != args[0] })
	var to *api.Address
	if len(args) > 2 {
		a := address(args[2])
		to = &a
	}
	e := s.m.Replay(found, to, "op", args[0], uint64(number(args[1])))
	fmt.Fprintf(&s.extra, "replayed %d of %d\n", e.Done, len(found))
	for _, r := range e.Refused {
		fmt.Fprintf(&s.extra, "refused letter %d: %s\n", r.Number, r.Why)
	}
	if e.Full != "" {
		fmt.Fprintf(&s.extra, "no room: %s\n", e.Full)
	}
}

// edit is `edit FUNCTION/ID STATE[=VALUE] TOKEN [if VALUE]`: without a value it is deleted, `if` without one wants it not to be set.
func (s *stage) edit(args []string) {
	state, value := pair(args[1])
	e := machine.Edit{State: state, Delete: !strings.Contains(args[1], "="), Value: value}
	if len(args) > 3 {
		version := ""
		if len(args) > 4 {
			version = statestore.Version("v", []byte(args[4]))
		}
		e.If = &version
	}
	s.m.EditState(address(args[0]), e, "op", uint64(number(args[2])))
}

// forgetAll is `forgetingress ID TOKEN` and `forgetegress ID TOKEN`.
func (s *stage) forgetAll(verb string, args []string) {
	forget := map[string]func(string, string, uint64) (bool, string){"forgetingress": s.m.ForgetIngress, "forgetegress": s.m.ForgetEgress}[verb]
	switch found, why := forget(args[0], "op", uint64(number(args[1]))); {
	case !found:
		s.extra.WriteString("nothing is kept for " + args[0] + "\n")
	case why != "":
		s.extra.WriteString("not forgotten: " + why + "\n")
	}
}

// edited tells what has become of an edit.
func edited(e *machine.Edited) string {
	switch e.Outcome {
	case machine.EditDone:
		if e.Version == "" {
			return "done"
		}
		return "done, version " + e.Version
	case machine.EditChanged:
		return "changed meanwhile, version " + e.Version
	case machine.EditCrowded:
		return "too many wait"
	case machine.EditNothing:
		return "nothing is set"
	}
	return "refused: " + e.Detail
}

// showActs tells what the store knows that operators have done, the last one first.
func (s *stage) showActs() {
	all, err := s.store.Acts(context.Background(), 0, 1000)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, a := range all {
		fmt.Fprintf(&s.extra, "act %d of %s: %s, %s (%s)\n", a.Number, a.By, a.What, a.On, a.Detail)
	}
}
