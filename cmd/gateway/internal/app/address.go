package app

import (
	"context"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
)

// Address looks at one address. Any address is there, if only with nothing in it.
func (a *App) Address(ctx context.Context, address api.Address) (report.Address, error) {
	out := report.Address{NowMS: time.Now().UnixMilli()}
	_, out.Declared = a.functions.of(address.Type)
	if d := a.life.Load(); d != nil {
		var err error
		out.View, out.Specs, err = d.View(ctx, address)
		if err != nil && ctx.Err() != nil {
			return out, err
		}
		out.Active = err == nil // an incarnation that ends right now leaves what is stored
	}
	found, err := a.cfg.Store.States(ctx, []api.Address{address})
	if err != nil {
		return out, err
	}
	out.Stored = found[0]
	if !out.Active { // nobody's memory to ask: without specs, what has expired would look alive until its owner removes it
		out.Specs, err = a.cfg.Store.Specs(ctx, address.Type)
	}
	return out, err
}

// DeadLetters are those with a number above after, in order, at most limit.
func (a *App) DeadLetters(ctx context.Context, after uint64, limit int) ([]api.DeadLetter, error) {
	return a.cfg.Store.DeadLetters(ctx, after, limit)
}
