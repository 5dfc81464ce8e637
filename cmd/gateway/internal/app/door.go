package app

import (
	"context"
	"errors"
	"fmt"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/ingress"
)

// door is what ingresses see of an incarnation: the dispatcher, in their own words. It is an ingress.Engine and an ingress.Sender.
type door struct {
	*dispatcher.Dispatcher
	hooks *Hooks
}

// Arrive hands over records (ingress.Engine).
func (d door) Arrive(ctx context.Context, source api.Source, records []api.Record) error {
	if d.hooks.Arrived != nil {
		d.hooks.Arrived(source, records)
	}
	return d.Dispatcher.Arrive(ctx, source, records)
}

// Send delivers a message from outside (ingress.Sender).
func (d door) Send(ctx context.Context, msg api.Message) error {
	if d.hooks.Sent != nil {
		d.hooks.Sent(&msg)
	}
	err := d.Dispatcher.Send(ctx, msg)
	var refusal *dispatcher.Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal) && refusal.Reason == "unknown function":
		return fmt.Errorf("%w: %s", ingress.ErrUnknownFunction, refusal.Detail)
	case errors.As(err, &refusal):
		return fmt.Errorf("%w: %s", ingress.ErrUnusable, refusal.Detail)
	case errors.Is(err, dispatcher.ErrNotSent):
		return fmt.Errorf("%w: %w", ingress.ErrNotTaken, err)
	}
	return fmt.Errorf("%w: %w", ingress.ErrMaybeTaken, err)
}
