package app

import (
	"context"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher"
)

// later is what the dispatcher learns next.
func later(d *dispatcher.Dispatcher) interface {
	EditState(ctx context.Context, a api.Address, e dispatcher.Edit, by string) (string, error)
	ForgetIngress(ctx context.Context, id, by string) error
	ForgetEgress(ctx context.Context, id, by string) error
} {
	if l, ok := any(d).(interface {
		EditState(ctx context.Context, a api.Address, e dispatcher.Edit, by string) (string, error)
		ForgetIngress(ctx context.Context, id, by string) error
		ForgetEgress(ctx context.Context, id, by string) error
	}); ok {
		return l
	}
	return unable{}
}

type unable struct{}

var errUnable = &dispatcher.Objection{Detail: "this version cannot do that", Remedy: "use a newer one"}

func (unable) EditState(context.Context, api.Address, dispatcher.Edit, string) (string, error) { return "", errUnable }
func (unable) ForgetIngress(context.Context, string, string) error                             { return errUnable }
func (unable) ForgetEgress(context.Context, string, string) error                              { return errUnable }
