package app

import (
	"context"

	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/egress"
	egressplayground "github.com/stategate/stategate/egress/playground"
	"github.com/stategate/stategate/ingress"
	ingressplayground "github.com/stategate/stategate/ingress/playground"
	"github.com/stategate/stategate/statestore"
)

func (a *App) playgroundSource(p *module.PlaygroundIngress) *source {
	in := ingressplayground.New(ingressplayground.Config{
		ID: p.ID, Address: p.Address(), Place: p.Place.String(), Log: a.log, Hooks: a.ingressHooks(), Paused: func() bool { return a.pausedIngress(p.ID) },
	})
	return &source{id: p.ID, run: func(ctx context.Context, engine ingress.Engine) error { return in.Run(ctx, engine.(door)) }}
}

func (a *App) playgroundSink(p *module.PlaygroundEgress) *sink {
	a.asked[p.ID] = true
	cfg := egressplayground.Config{ID: p.ID, Address: p.Address(), Place: p.Place.String(), Topics: p.Topics, Log: a.log, Hooks: a.egressHooks()}
	return &sink{id: p.ID, outbox: true, open: func(lane, _ statestore.Lane, engine egress.Engine, _ string) (relay, error) {
		return egressplayground.New(cfg, lane, engine), nil
	}}
}
