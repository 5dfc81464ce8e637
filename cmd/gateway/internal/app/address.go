package app

import (
	"context"
	"errors"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// Address is what is known of one address.
type Address struct {
	Active   bool                   // this member works; otherwise only what is stored is known
	Declared bool                   // the module says who serves the function
	NowMS    int64                  // by which states expire; Unix milliseconds
	Stored   statestore.Loaded      // what is committed
	Specs    []statestore.StateSpec // of the function type
	View     machine.View           // what is in memory; zero on a standby
}

// Address looks at one address. Any address is there, if only with nothing in it.
func (a *App) Address(ctx context.Context, address api.Address) (Address, error) {
	out := Address{NowMS: time.Now().UnixMilli()}
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

// StoredDeadLetters are those with a number above after, in order, at most limit.
func (a *App) StoredDeadLetters(ctx context.Context, after uint64, limit int) ([]api.DeadLetter, error) {
	return a.cfg.Store.DeadLetters(ctx, after, limit)
}

// ErrStandby: another member works on the store; only that one can change anything.
var ErrStandby = errors.New("this member waits, another one works")

// DiscardDeadLetter removes one for good; found is false when there is none of this number.
func (a *App) DiscardDeadLetter(ctx context.Context, number uint64) (found bool, err error) {
	d := a.life.Load()
	if d == nil {
		return false, ErrStandby
	}
	if err = d.DiscardOne(ctx, number, "the admin API"); errors.Is(err, dispatcher.ErrNothing) {
		return false, nil
	}
	if err == nil {
		a.dead.Add(^uint64(0))
		a.log.Info("a dead letter is discarded", "number", number)
	}
	return err == nil, err
}
