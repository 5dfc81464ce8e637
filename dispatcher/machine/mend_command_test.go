package machine_test

import (
	"fmt"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// pause is `pause` and `resume`: FUNCTION/ID TOKEN, FUNCTION TOKEN or ingress ID TOKEN.
func (s *stage) pause(verb string, args []string) {
	p := statestore.Pause{Kind: statestore.PauseFunction, By: "op", Ended: verb == "resume"}
	switch {
	case args[0] == "ingress":
		p.Kind, p.Ingress = statestore.PauseIngress, args[1]
	case strings.Contains(args[0], "/"):
		p.Kind, p.Address = statestore.PauseAddress, address(args[0])
	default:
		p.Address = api.Address{Type: functionType(args[0])}
	}
	token := args[len(args)-1]
	s.said(token)(s.m.Pause(p, uint64(number(token))))
}

// said tells what an operator is told who is denied something.
func (s *stage) said(token string) func(*machine.Denial) {
	return func(d *machine.Denial) {
		switch {
		case d == nil:
		case d.Nothing:
			fmt.Fprintf(&s.extra, "nothing for %s: %s\n", token, d.Detail)
		default:
			fmt.Fprintf(&s.extra, "denied %s: %s (%s)\n", token, d.Detail, d.Remedy)
		}
	}
}
