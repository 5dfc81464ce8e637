package admin

import (
	"context"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// fake is a gateway, and its application, that answers what a test says; what it says nothing of is empty.
type fake struct {
	turning bool
	status  report.Status
	err     error // why there is no application
	about   report.About
	spilled int // messages of every address that are only in the store
	module  report.Module

	dead      func(after uint64, limit int) ([]api.DeadLetter, error)
	addresses func(function api.FunctionType, prefix string, cursor []byte, limit int) ([]api.Address, []byte, error)
	timers    func(after statestore.TimerKey, limit int) ([]statestore.Timer, error)
	acts      func(before uint64, limit int) ([]statestore.Act, error)

	members func() ([]statestore.MemberState, error)

	address    func(ctx context.Context, a api.Address) (report.Address, error)
	views      func(addresses []api.Address) ([]machine.View, error)
	functions  func() ([]report.Function, error)
	stuck      func(limit int) ([]report.Stuck, error)
	ingresses  func() ([]report.Ingress, error)
	egresses   func() ([]report.Egress, error)
	deadTotals func() ([]statestore.DeadTotal, error)

	fakeMender
}

func (f *fake) Turning(context.Context) bool         { return f.turning }
func (f *fake) Status(context.Context) report.Status { return f.status }
func (f *fake) Application() (Application, error)    { return f, f.err }
func (f *fake) About() report.About                  { return f.about }
func (f *fake) Module() report.Module                { return f.module }

func (f *fake) DeadLetters(_ context.Context, after uint64, limit int) ([]api.DeadLetter, error) {
	if f.dead == nil {
		return nil, nil
	}
	return f.dead(after, limit)
}

func (f *fake) Addresses(_ context.Context, function api.FunctionType, prefix string, cursor []byte, limit int) ([]api.Address, []byte, error) {
	if f.addresses == nil {
		return nil, nil, nil
	}
	return f.addresses(function, prefix, cursor, limit)
}

func (f *fake) Mailboxes(_ context.Context, addresses []api.Address) ([]statestore.Loaded, error) {
	out := make([]statestore.Loaded, len(addresses))
	for i := range out {
		out[i].Spilled = int64(f.spilled)
	}
	return out, nil
}

func (f *fake) Timers(_ context.Context, after statestore.TimerKey, limit int) ([]statestore.Timer, error) {
	if f.timers == nil {
		return nil, nil
	}
	return f.timers(after, limit)
}

func (f *fake) Acts(_ context.Context, before uint64, limit int) ([]statestore.Act, error) {
	if f.acts == nil {
		return nil, nil
	}
	return f.acts(before, limit)
}

func (f *fake) Members(context.Context) ([]statestore.MemberState, error) { return found(f.members) }

func (f *fake) Address(ctx context.Context, a api.Address) (report.Address, error) {
	if f.address == nil {
		return report.Address{}, nil
	}
	return f.address(ctx, a)
}

func (f *fake) Views(_ context.Context, addresses []api.Address) ([]machine.View, error) {
	if f.views == nil {
		return make([]machine.View, len(addresses)), nil
	}
	return f.views(addresses)
}

func (f *fake) Functions(context.Context) ([]report.Function, error) {
	return found(f.functions)
}

func (f *fake) Stuck(_ context.Context, limit int) ([]report.Stuck, error) {
	if f.stuck == nil {
		return nil, nil
	}
	return f.stuck(limit)
}

func (f *fake) Ingresses(context.Context) ([]report.Ingress, error) { return found(f.ingresses) }
func (f *fake) Egresses(context.Context) ([]report.Egress, error)   { return found(f.egresses) }
func (f *fake) DeadTotals(context.Context) ([]statestore.DeadTotal, error) {
	return found(f.deadTotals)
}

func found[T any](f func() ([]T, error)) ([]T, error) {
	if f == nil {
		return nil, nil
	}
	return f()
}

// full is a gateway that has one of everything, with this text wherever there is one.
func full(text string) *fake {
	address := api.Address{Type: api.FunctionType{Namespace: "a", Name: "b"}, ID: text}
	value := statestore.StateValue{Name: "s", TypeName: text, Value: []byte(text), Touched: 1}
	pause := &statestore.Pause{AtMS: 1, By: text}
	condition := report.Condition{Key: text, Text: text, Since: time.UnixMilli(1)}
	count := int64(1)
	name := address.Type
	view := machine.View{InMemory: true, Phase: text, LastError: text, Paused: pause, Front: machine.Front{Number: 1, Caller: address, TypeName: text}, Ahead: true, Values: []statestore.StateValue{value}}
	return &fake{
		turning: true, status: report.Status{Active: true, Reasons: []report.Reason{{Kind: "stuck", Text: text}}},
		about: report.About{Member: statestore.Member{ID: text, Host: text}, Store: text, StoreID: text, Active: true},
		dead: func(after uint64, _ int) ([]api.DeadLetter, error) {
			if after >= 7 {
				return nil, nil
			}
			return []api.DeadLetter{{
				Number: 7, From: text, Origin: "ingress " + text, Reason: text, Detail: text, TypeName: text, Key: []byte(text), Value: []byte(text), Address: address, Caller: address,
				Headers: []api.Header{{Key: text, Value: []byte(text)}},
			}}, nil
		},
		addresses: func(api.FunctionType, string, []byte, int) ([]api.Address, []byte, error) {
			return []api.Address{address}, nil, nil
		},
		timers: func(statestore.TimerKey, int) ([]statestore.Timer, error) {
			t := statestore.Timer{TimerKey: statestore.TimerKey{Due: 1, Number: 1}, Token: text, Message: api.Message{Target: address, Caller: address, Argument: api.TypedValue{TypeName: text}}}
			return []statestore.Timer{t}, nil
		},
		acts: func(uint64, int) ([]statestore.Act, error) {
			return []statestore.Act{{Number: 1, By: text, What: text, On: text, Detail: text}}, nil
		},
		members: func() ([]statestore.MemberState, error) {
			return []statestore.MemberState{{Member: statestore.Member{ID: text, Host: text, Address: text, Events: text}}}, nil
		},
		address: func(context.Context, api.Address) (report.Address, error) {
			return report.Address{Active: true, NowMS: 1, Stored: statestore.Loaded{Values: []statestore.StateValue{value}}, View: view}, nil
		},
		views: func([]api.Address) ([]machine.View, error) { return []machine.View{view}, nil },
		functions: func() ([]report.Function, error) {
			return []report.Function{{
				Name: name, Endpoint: &report.Endpoint{At: text, URL: text, Fault: text, OnFailure: text}, States: []statestore.StateSpec{{Name: text, TypeName: text}},
				Ways: []machine.EndpointState{{Endpoint: text}}, Wait: &machine.FunctionWait{}, Paused: pause, DeadLetters: &count,
			}}, nil
		},
		stuck: func(int) ([]report.Stuck, error) {
			return []report.Stuck{{Stuck: machine.Stuck{Cause: "poisoned", Since: 1, Kind: "address", Name: text, Address: address, Message: 1, Text: text, LastError: text}, Remedy: text}}, nil
		},
		ingresses: func() ([]report.Ingress, error) {
			s := report.Source{ID: api.Source{Ingress: "a/b", Topic: text}, Lag: &count, WaitsFor: text}
			return []report.Ingress{{ID: "a/b", Kind: text, Paused: pause, Sources: []report.Source{s}, Troubles: []report.Condition{condition}}}, nil
		},
		egresses: func() ([]report.Egress, error) {
			return []report.Egress{{ID: "a/b", Kind: text, Semantic: text, Lanes: []report.Lane{{Halted: text}}, Troubles: []report.Condition{condition}}}, nil
		},
		deadTotals: func() ([]statestore.DeadTotal, error) {
			return []statestore.DeadTotal{{Origin: "ingress " + text, Letters: 1, Bytes: 1}}, nil
		},
	}
}
