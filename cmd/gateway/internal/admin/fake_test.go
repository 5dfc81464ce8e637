package admin

import (
	"context"

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
