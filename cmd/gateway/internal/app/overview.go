package app

import (
	"context"

	"github.com/stategate/stategate/dispatcher/machine"
)

// Overview is what waits and what for; zero on a standby.
func (a *App) Overview() machine.Overview {
	d := a.life.Load()
	if d == nil {
		return machine.Overview{}
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookMax)
	defer cancel()
	o, _ := d.Overview(ctx) // an incarnation that ends right now has none
	return o
}
