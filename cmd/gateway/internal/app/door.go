package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/ingress"
)

// door is what ingresses see of an incarnation: the dispatcher, in their own words. It is an ingress.Engine and an ingress.Asker.
type door struct {
	*dispatcher.Dispatcher
	hooks *Hooks
}

// Arrive hands over records (ingress.Engine).
func (d door) Arrive(ctx context.Context, source api.Source, records []api.Record) error {
	if d.hooks.Arrived != nil {
		d.hooks.Arrived(source, records)
	}
	if d.hooks.Arriving != nil {
		defer d.hooks.Arriving(source, records)()
	}
	return d.Dispatcher.Arrive(ctx, source, records)
}

// Send delivers a message from outside (ingress.Sender).
func (d door) Send(ctx context.Context, msg api.Message) error {
	ended := d.sent(&msg)
	err := outcome(d.Dispatcher.Send(ctx, msg))
	ended(err)
	return err
}

// Ask delivers a message from outside and waits for its reply (ingress.Asker).
func (d door) Ask(ctx context.Context, msg api.Message) (api.TypedValue, error) {
	ended := d.sent(&msg)
	v, err := d.Dispatcher.Ask(ctx, msg)
	ended(err)
	return v, d.noReply(ctx, msg.Target, outcome(err))
}

// Once delivers a message from outside that has a key (ingress.Asker).
func (d door) Once(ctx context.Context, msg api.Message, key string, reply bool) (api.TypedValue, error) {
	ended := d.sent(&msg)
	v, err := d.Dispatcher.Once(ctx, msg, key, reply)
	ended(err)
	return v, d.noReply(ctx, msg.Target, outcome(err))
}

// Later delivers a message from outside after a delay (ingress.Asker).
func (d door) Later(ctx context.Context, msg api.Message, delay time.Duration, name string) error {
	ended := d.sent(&msg)
	err := outcome(d.Dispatcher.Later(ctx, msg, delay, name))
	ended(err)
	return err
}

// noReply says of a reply that has not come when the function fails on what waits for the address: waiting longer is no remedy.
func (d door) noReply(ctx context.Context, target api.Address, err error) error {
	if !errors.Is(err, ingress.ErrNoReply) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), viewMax)
	defer cancel()
	if v, _, viewErr := d.View(ctx, target); viewErr == nil && v.FailingSince != 0 {
		return fmt.Errorf("%w: %w", err, ingress.ErrFailing)
	}
	return err
}

const viewMax = time.Second

// told is a sentinel of ingress's with the dispatcher's own words, which say the same and more.
type told struct{ what, err error }

func (t *told) Error() string   { return t.err.Error() }
func (t *told) Unwrap() []error { return []error{t.what, t.err} }

// sent shows an event to whoever looks. ended tells what became of it.
func (d door) sent(msg *api.Message) (ended func(error)) {
	if d.hooks.Sent != nil {
		d.hooks.Sent(msg)
	}
	if d.hooks.Sending != nil {
		ended = d.hooks.Sending(msg)
	}
	if ended == nil {
		ended = func(error) {}
	}
	return ended
}

// outcome says what became of a message.
func outcome(err error) error {
	var refusal *dispatcher.Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal) && refusal.Reason == "unknown function":
		return fmt.Errorf("%w: %s", ingress.ErrUnknownFunction, refusal.Detail)
	case errors.As(err, &refusal):
		return fmt.Errorf("%w: %s", ingress.ErrUnusable, refusal.Detail)
	case errors.Is(err, dispatcher.ErrNotSent):
		return &told{ingress.ErrNotTaken, err}
	case errors.Is(err, dispatcher.ErrKeyUsed):
		return &told{ingress.ErrKeyUsed, err}
	case errors.Is(err, dispatcher.ErrNoReply):
		return &told{ingress.ErrNoReply, err}
	case errors.Is(err, dispatcher.ErrReplyLost):
		return &told{ingress.ErrReplyLost, err}
	case errors.Is(err, dispatcher.ErrSetAside):
		return &told{ingress.ErrSetAside, err}
	}
	return fmt.Errorf("%w: %w", ingress.ErrMaybeTaken, err)
}
