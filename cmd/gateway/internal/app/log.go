package app

import (
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/egress"
	egresslog "github.com/stategate/stategate/egress/log"
	"github.com/stategate/stategate/statestore"
)

func (a *App) logSink(l *module.LogEgress) *sink {
	cfg := egresslog.Config{ID: l.ID, Show: a.cfg.Hooks.Output, Log: a.log, Hooks: a.egressHooks()}
	return &sink{id: l.ID, open: func(lane, _ statestore.Lane, engine egress.Engine, _ string) (relay, error) {
		return egresslog.New(cfg, lane, engine), nil
	}}
}
