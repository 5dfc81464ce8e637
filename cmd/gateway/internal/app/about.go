package app

import (
	"context"

	"github.com/stategate/stategate/cmd/gateway/internal/report"
)

// About is which gateway this is.
func (a *App) About() report.About {
	return report.About{Member: a.member, Store: a.cfg.StoreName, StoreID: a.cfg.Store.Identity(), Active: a.life.Load() != nil}
}

// waits is the error of a member that does not work, with the one to ask. It is the store's when that does not tell who works.
func (a *App) waits(ctx context.Context) error {
	owner, owned, err := a.cfg.Store.Owner(ctx)
	switch {
	case err != nil:
		return err
	case !owned || owner.ID == a.member.ID:
		return &report.Standby{}
	}
	return &report.Standby{Owner: owner.Address, Host: owner.Host}
}
