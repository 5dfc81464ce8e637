package app

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/statestore"
)

// What every member can tell, for it is committed.

// Addresses are those of a function that have states or messages, in the store's order; on a standby those that the store keeps by address.
// An incarnation that ends meanwhile is as with all that only it can tell: a page without what it had in memory would pass over that.
func (a *App) Addresses(ctx context.Context, function api.FunctionType, prefix string, cursor []byte, limit int) ([]api.Address, []byte, error) {
	if d := a.life.Load(); d != nil {
		found, next, err := d.Addresses(ctx, function, prefix, cursor, limit)
		if err != nil && ctx.Err() == nil && !errors.Is(err, statestore.ErrUnavailable) && d.Ping(ctx) != nil {
			return nil, nil, a.waits(ctx)
		}
		return found, next, err
	}
	return a.cfg.Store.Addresses(ctx, function, prefix, cursor, limit)
}

// Mailboxes counts the messages of addresses that are only in the store, one for each.
func (a *App) Mailboxes(ctx context.Context, addresses []api.Address) ([]statestore.Loaded, error) {
	return a.cfg.Store.Mailboxes(ctx, addresses)
}

// Timers are those behind after, in the order of firing, at most limit.
func (a *App) Timers(ctx context.Context, after statestore.TimerKey, limit int) ([]statestore.Timer, error) {
	return a.cfg.Store.Timers(ctx, after, math.MaxInt64, limit)
}

// Acts are what operators have done, with a number below before (0: any), the newest first, at most limit.
func (a *App) Acts(ctx context.Context, before uint64, limit int) ([]statestore.Act, error) {
	return a.cfg.Store.Acts(ctx, before, limit)
}

// Members are the gateways on this store.
func (a *App) Members(ctx context.Context) ([]statestore.MemberState, error) {
	return a.cfg.Store.Members(ctx)
}

// What only the member that works can tell.

// asked looks at the incarnation that works now. One that ends meanwhile is as none: the error says whom to ask.
func asked[T any](ctx context.Context, a *App, look func(d *dispatcher.Dispatcher) (T, error)) (T, error) {
	var none T
	d := a.life.Load()
	if d == nil {
		return none, a.waits(ctx)
	}
	found, err := look(d)
	if err != nil && ctx.Err() == nil {
		return none, a.waits(ctx)
	}
	return found, err
}

// Views looks at many addresses; nil on a standby.
func (a *App) Views(ctx context.Context, addresses []api.Address) ([]machine.View, error) {
	d := a.life.Load()
	if d == nil {
		return nil, nil
	}
	views, err := d.Views(ctx, addresses)
	if err != nil && ctx.Err() == nil {
		return nil, nil // it ends right now
	}
	return views, err
}

// DeadTotals counts dead letters by origin.
func (a *App) DeadTotals(ctx context.Context) ([]statestore.DeadTotal, error) {
	return asked(ctx, a, func(d *dispatcher.Dispatcher) ([]statestore.DeadTotal, error) { return d.DeadTotals(ctx) })
}

// Functions are those that the module declares, and those that are known beside, sorted by name. A standby knows what the module says.
func (a *App) Functions(ctx context.Context) ([]report.Function, error) {
	found := map[string]*report.Function{}
	for i := range a.cfg.Module.Endpoints {
		e := &a.cfg.Module.Endpoints[i]
		f := report.Function{Name: api.FunctionType{Namespace: e.Functions.Namespace, Name: e.Functions.Name}, All: e.Functions.All, Endpoint: endpointOf(e)}
		found[e.Functions.String()] = &f
	}
	d := a.life.Load()
	if d == nil {
		err := a.storedSpecs(ctx, found)
		return functionsOf(found), err
	}
	overview, err := d.Overview(ctx)
	var known []machine.FunctionState
	if err == nil {
		known, err = d.Functions(ctx)
	}
	var pauses []statestore.Pause
	if err == nil {
		pauses, err = d.Paused(ctx)
	}
	if err != nil {
		return nil, orStandby(ctx, a, err)
	}
	addKnown(found, a.cfg.Module, known, overview.Endpoints)
	for i, p := range pauses {
		if p.Kind == statestore.PauseFunction {
			addFunction(found, a.cfg.Module, p.Address.Type).Paused = &pauses[i]
		}
	}
	for _, f := range found {
		wait := overview.Functions[f.Name]
		if f.Wait = &wait; f.DeadLetters == nil {
			f.DeadLetters = new(int64)
		}
	}
	return functionsOf(found), nil
}

// addKnown adds what the machine knows of functions, whether the module names them or not.
func addKnown(found map[string]*report.Function, m *module.Module, all []machine.FunctionState, ways []machine.EndpointState) {
	for i := range all {
		f := &all[i]
		known := addFunction(found, m, f.Name)
		known.States, known.DeadLetters = f.States, &f.DeadLetters
		for _, way := range ways {
			if f.Declared && way.Endpoint == f.Endpoint && way.Endpoint != "" {
				known.Ways = append(known.Ways, way)
			}
		}
	}
}

// addFunction is the function of this name, which is new where it was not known.
func addFunction(found map[string]*report.Function, m *module.Module, t api.FunctionType) *report.Function {
	f := found[t.String()]
	if f == nil {
		f = &report.Function{Name: t}
		if e, ok := m.Endpoint(t); ok {
			f.Endpoint = endpointOf(e)
		}
		found[t.String()] = f
	}
	return f
}

func functionsOf(found map[string]*report.Function) []report.Function {
	out := make([]report.Function, 0, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		out = append(out, *found[name])
	}
	return out
}

// storedSpecs adds the states that are known of functions to what a standby tells.
func (a *App) storedSpecs(ctx context.Context, found map[string]*report.Function) (err error) {
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if f := found[name]; !f.All && err == nil {
			f.States, err = a.cfg.Store.Specs(ctx, f.Name)
		}
	}
	return err
}

// orStandby is the error of an incarnation that has ended: this member works no more.
func orStandby(ctx context.Context, a *App, err error) error {
	if ctx.Err() != nil {
		return err
	}
	return a.waits(ctx)
}

func endpointOf(e *module.Endpoint) *report.Endpoint {
	t := &e.Transport
	return &report.Endpoint{
		At: e.Place.String(), URL: e.Shown(), Fault: e.Fault, OnFailure: string(e.OnFailure), Messages: e.MaxNumBatchRequests,
		Transport: report.Transport{
			Kind: string(t.Kind), Call: t.Call, Connect: t.Connect, Read: t.Read, Write: t.Write, PoolTTL: t.PoolTTL, PoolSize: t.PoolSize,
			ReplyBytesMax: t.PayloadMaxBytes, HTTP2: string(t.HTTP2), Bulk: t.Bulk,
		},
	}
}

// Egresses are those that the module declares, and those that the store keeps outputs for, sorted by id.
func (a *App) Egresses(ctx context.Context) ([]report.Egress, error) {
	lanes, err := asked(ctx, a, func(d *dispatcher.Dispatcher) ([]machine.LaneState, error) { return d.Lanes(ctx) })
	if err != nil {
		return nil, err
	}
	found := map[string]*report.Egress{}
	for id, kind := range egressKinds(a.cfg.Module) {
		found[id] = &report.Egress{ID: id, Kind: kind[0], Semantic: kind[1], Declared: true}
	}
	conditions := a.troubles.all()
	working := a.working.Load()
	for _, l := range lanes {
		e := found[l.ID.Egress]
		if e == nil && l.Next == l.Delivered {
			continue // of an egress that is gone, with nothing in it
		}
		if e == nil {
			e = &report.Egress{ID: l.ID.Egress}
			found[e.ID] = e
		}
		lane := report.Lane{Slot: l.ID.Slot, Next: l.Next, Delivered: l.Delivered, Stored: l.Trimmed, Started: l.Started}
		if working != nil && !l.Strange {
			if d, ok := working.relays[e.ID].(egress.Decider); ok {
				lane.Halted = d.Halted()
			}
		}
		e.Lanes = append(e.Lanes, lane)
		e.Outputs += int64(l.Next - l.Delivered)
		e.Bytes += l.Bytes
		e.OldestMS = max(e.OldestMS, l.OldestMS)
	}
	var out []report.Egress
	for _, id := range slices.Sorted(maps.Keys(found)) {
		found[id].Troubles = of(conditions, "egress", id)
		out = append(out, *found[id])
	}
	return out, nil
}

// egressKinds are the egresses of a module by id, each with its kind and delivery semantic.
func egressKinds(m *module.Module) map[string][2]string {
	out := map[string][2]string{}
	for i := range m.KafkaEgresses {
		out[m.KafkaEgresses[i].ID] = [2]string{"kafka", string(m.KafkaEgresses[i].Semantic)}
	}
	for i := range m.KinesisEgresses {
		out[m.KinesisEgresses[i].ID] = [2]string{"kinesis", string(module.AtLeastOnce)}
	}
	for i := range m.LogEgresses {
		out[m.LogEgresses[i].ID] = [2]string{"log", string(module.None)}
	}
	if p := m.PlaygroundEgress; p != nil {
		out[p.ID] = [2]string{"playground", string(module.AtLeastOnce)}
	}
	return out
}

// Ingresses are those that the module declares, and those that the store knows positions of, sorted by id.
func (a *App) Ingresses(ctx context.Context) ([]report.Ingress, error) {
	overview, err := asked(ctx, a, func(d *dispatcher.Dispatcher) (machine.Overview, error) { return d.Overview(ctx) })
	if err != nil {
		return nil, err
	}
	pauses, err := asked(ctx, a, func(d *dispatcher.Dispatcher) ([]statestore.Pause, error) { return d.Paused(ctx) })
	if err != nil {
		return nil, err
	}
	paused := map[string]*statestore.Pause{}
	for i, p := range pauses {
		if p.Kind == statestore.PauseIngress {
			paused[p.Ingress] = &pauses[i]
		}
	}
	kinds := ingressKinds(a.cfg.Module)
	ids := slices.Sorted(maps.Keys(kinds))
	for id := range overview.Ingresses {
		if kinds[id] == "" {
			ids = append(ids, id)
		}
	}
	for id := range paused { // also when nothing was ever read of it
		if _, read := overview.Ingresses[id]; kinds[id] == "" && !read {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	conditions, lags := a.troubles.all(), a.lags.all()
	var out []report.Ingress
	for _, id := range ids {
		in := report.Ingress{ID: id, Kind: kinds[id], Declared: kinds[id] != "", State: overview.Ingresses[id], Paused: paused[id], Troubles: of(conditions, "ingress", id)}
		sources, err := asked(ctx, a, func(d *dispatcher.Dispatcher) ([]dispatcher.Source, error) { return d.Sources(ctx, id) })
		if err != nil {
			return nil, err
		}
		for i := range sources {
			in.Sources = append(in.Sources, sourceOf(&sources[i], lags))
		}
		out = append(out, in)
	}
	return out, nil
}

func sourceOf(s *dispatcher.Source, lags map[api.Source]int64) report.Source {
	out := report.Source{ID: s.ID, Position: s.Progress.Position(), OldestMS: s.OldestMS, WaitsFor: s.WaitsFor}
	for _, t := range s.Progress.Targets {
		var above int64
		for _, r := range t.Done.Above {
			above += r.To - r.From
		}
		out.Finished = max(out.Finished, above)
	}
	if lag, ok := lags[s.ID]; ok {
		out.Lag = &lag
	}
	return out
}

// ingressKinds are the ingresses of a module by id.
func ingressKinds(m *module.Module) map[string]string {
	out := map[string]string{}
	for i := range m.KafkaIngresses {
		out[m.KafkaIngresses[i].ID] = "kafka"
	}
	for i := range m.KinesisIngresses {
		out[m.KinesisIngresses[i].ID] = "kinesis"
	}
	for i := range m.HTTPIngresses {
		out[m.HTTPIngresses[i].ID] = "http"
	}
	if p := m.PlaygroundIngress; p != nil {
		out[p.ID] = "playground"
	}
	return out
}
