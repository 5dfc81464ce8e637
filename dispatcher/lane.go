package dispatcher

import (
	"context"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// Outputs reads committed outputs of a lane (egress.Engine).
func (d *Dispatcher) Outputs(ctx context.Context, lane statestore.LaneID, from uint64, bytesMax int) ([]statestore.OutputPack, error) {
	return d.cfg.Store.Outputs(ctx, lane, from, bytesMax)
}

// Owns asks the store whether this member still owns what it claimed (egress.Engine). Renewing the lease is a question that
// only an owner is answered.
func (d *Dispatcher) Owns(ctx context.Context) error {
	return d.cfg.Store.Renew(ctx, d.cfg.Claim.Fence)
}

// Claimed asks the store whether it knows a claim (egress.Engine).
func (d *Dispatcher) Claimed(ctx context.Context, token string) (bool, error) {
	return d.cfg.Store.Claimed(ctx, token)
}

// Started makes durable that a lane has written its first cursor (egress.Engine).
func (d *Dispatcher) Started(ctx context.Context, lane statestore.LaneID) error {
	return d.durable(ctx, func(m *machine.Machine, token uint64) { m.LaneStarted(lane, token) })
}

// Delivered says that a lane's outputs below a number are delivered (egress.Engine).
func (d *Dispatcher) Delivered(lane statestore.LaneID, below uint64) {
	d.inbox.post(func(m *machine.Machine) { m.Delivered(lane, below) })
}

// Refuse sets outputs aside for good (egress.Engine).
func (d *Dispatcher) Refuse(ctx context.Context, lane statestore.LaneID, dead []api.DeadLetter) error {
	return d.durable(ctx, func(m *machine.Machine, token uint64) { m.Refused(lane, dead, token) })
}
