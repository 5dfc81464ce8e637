// Package module reads module.yaml, the description of an application in one file or in several, into typed values:
// endpoints, ingresses and egresses, every default filled in. It accepts what StateFun 3.3 accepts and says of everything
// that is wrong where it stands and what is allowed. It opens no connection, reads no file but the modules, and runs nothing.
//
// Where StateFun would refuse the file the complaint is an error. Where StateFun would start, and fail or do something
// unexpected later, it is a warning.
package module

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
)

// Module is what an application declares, each kind in the order of its files. Only Parse, Load and LoadAll make one.
type Module struct {
	Endpoints         []Endpoint
	KafkaIngresses    []KafkaIngress
	KafkaEgresses     []KafkaEgress
	KinesisIngresses  []KinesisIngress
	KinesisEgresses   []KinesisEgress
	PlaygroundIngress *PlaygroundIngress // nil: none
	PlaygroundEgress  *PlaygroundEgress  // nil: none
	HTTPIngresses     []HTTPIngress
	LogEgresses       []LogEgress
	Processes         []Process // for gateway dev alone

	index map[Functions]int // into Endpoints
	files []string          // that were read, in this order
	items []Item            // see Effective
}

// Endpoint is who serves a function type: the endpoint that names it, else that of its namespace.
func (m *Module) Endpoint(ft api.FunctionType) (*Endpoint, bool) {
	for _, f := range []Functions{{Namespace: ft.Namespace, Name: ft.Name}, {Namespace: ft.Namespace, All: true}} {
		if i, ok := m.index[f]; ok {
			return &m.Endpoints[i], true
		}
	}
	return nil, false
}

// Files are the files that the module was read from.
func (m *Module) Files() []string { return slices.Clone(m.files) }

// Summary is what the module declares, for people: a line each, no secrets.
func (m *Module) Summary() string {
	var b strings.Builder
	for _, e := range m.Endpoints {
		policy := ""
		if e.OnFailure != Retry {
			policy = ", onFailure " + string(e.OnFailure)
		}
		switch n := e.Transport.Bulk; {
		case n == 1:
			policy += ", bulk never"
		case n > 1:
			policy += fmt.Sprintf(", bulk %d", n)
		}
		fmt.Fprintf(&b, "endpoint %s: %s (%s, call %s%s)\n", e.Functions, e.shown(), e.Transport.Kind, e.Transport.Call, policy)
	}
	for _, k := range m.KafkaIngresses {
		fmt.Fprintf(&b, "ingress %s: kafka %s, group %s, from %s\n", k.ID, k.Address, k.ConsumerGroupID, k.StartupPosition.Kind)
		for _, t := range k.Topics {
			fmt.Fprintf(&b, "  %s -> %s\n", t.Topic, joinTargets(t.Targets))
		}
	}
	for _, k := range m.KinesisIngresses {
		fmt.Fprintf(&b, "ingress %s: kinesis, from %s\n", k.ID, k.StartupPosition.Kind)
		for _, s := range k.Streams {
			fmt.Fprintf(&b, "  %s -> %s\n", s.Stream, joinTargets(s.Targets))
		}
	}
	if p := m.PlaygroundIngress; p != nil {
		fmt.Fprintf(&b, "ingress %s: playground, %s\n", p.ID, p.Address())
	}
	for _, h := range m.HTTPIngresses {
		fmt.Fprintf(&b, "ingress %s: http\n", h.ID)
		for _, f := range h.Functions {
			fmt.Fprintf(&b, "  POST /v1/send|call/... -> %s\n", f)
		}
		for _, r := range h.Routes {
			fmt.Fprintf(&b, "  %s %s -> %s (%s)\n", r.Method, r.Path, r.Target, r.Mode)
		}
	}
	for _, k := range m.KafkaEgresses {
		fmt.Fprintf(&b, "egress %s: kafka %s, %s\n", k.ID, k.Address, k.Semantic)
	}
	for _, k := range m.KinesisEgresses {
		fmt.Fprintf(&b, "egress %s: kinesis\n", k.ID)
	}
	if p := m.PlaygroundEgress; p != nil {
		fmt.Fprintf(&b, "egress %s: playground, %s\n", p.ID, p.Address())
	}
	for _, l := range m.LogEgresses {
		fmt.Fprintf(&b, "egress %s: log\n", l.ID)
	}
	for _, p := range m.Processes {
		fmt.Fprintf(&b, "process %s: %s (gateway dev starts it)\n", p.Name, quote(p.Command[0]))
	}
	return b.String()
}

func joinTargets(targets []api.FunctionType) string {
	if len(targets) == 0 {
		return "nobody"
	}
	var out []string
	for _, t := range targets {
		out = append(out, t.String())
	}
	return strings.Join(out, ", ")
}

// Secret is text that shows itself nowhere by accident.
type Secret string

func (Secret) String() string               { return "***" }
func (Secret) GoString() string             { return `"***"` }
func (Secret) MarshalText() ([]byte, error) { return []byte("***"), nil }
