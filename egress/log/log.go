// Package log is the egress of development: each record is one readable line. It keeps nothing and delivers nowhere.
//
// A record is shown once its commit is durable, in the order of the egress's numbers, and never refused: any type will do. It has no
// outbox, so what was committed in the moment in which the gateway dies is not shown, and no record is shown twice.
package log

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/statestore"
)

// Config is the egress of one module.
type Config struct {
	ID string
	// Show takes each record instead of Log; it runs on the relay's goroutine.
	Show  func(egress string, sender api.Address, value Text)
	Log   *slog.Logger
	Hooks egress.Hooks
}

// Relay writes what it is offered.
type Relay struct {
	cfg    Config
	lane   statestore.LaneID
	engine egress.Engine
	wake   chan struct{} // has a token when something was offered

	mu      sync.Mutex
	offered []statestore.OutputPack // bounded by the engine: it slows the sources by what is not Delivered; guarded by mu
}

// New makes the relay of a lane without an outbox.
func New(cfg Config, lane statestore.Lane, engine egress.Engine) *Relay {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	r := &Relay{cfg: cfg, lane: lane.LaneID, engine: engine, wake: make(chan struct{}, 1)}
	if r.cfg.Show == nil {
		r.cfg.Show = r.write
	}
	return r
}

// Offer hands over outputs that have just been committed.
func (r *Relay) Offer(pack statestore.OutputPack) {
	r.mu.Lock()
	r.offered = append(r.offered, pack)
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Run shows records until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	for {
		select {
		case <-r.wake:
		case <-ctx.Done():
			r.show() // what a stop has still brought: nobody would ever see it again
			return nil
		}
		r.show()
	}
}

func (r *Relay) show() {
	r.mu.Lock()
	packs := r.offered
	r.offered = nil
	r.mu.Unlock()
	for i := range packs {
		p := &packs[i]
		for k := range p.Outputs {
			began := time.Now()
			r.cfg.Show(r.cfg.ID, p.Outputs[k].Sender, TextOf(p.Outputs[k].Value))
			if o := &p.Outputs[k]; r.cfg.Hooks.Traced != nil && o.Trace.Sampled() {
				r.cfg.Hooks.Traced(egress.Sent{Lane: r.lane, Number: p.First + uint64(k), Output: o, Began: began})
			}
		}
		r.engine.Delivered(r.lane, p.First+uint64(len(p.Outputs)))
		if r.cfg.Hooks.Deliveries != nil {
			r.cfg.Hooks.Deliveries(r.cfg.ID, "ok", len(p.Outputs))
		}
	}
}

// write is a line of the log.
func (r *Relay) write(id string, sender api.Address, t Text) {
	line := []any{"egress", id, "from", cut(sender.String()), "type", cut(t.Type)}
	if t.Topic != "" {
		line = append(line, "topic", cut(t.Topic), "key", t.Key)
	}
	r.cfg.Log.Info("output", append(line, "value", t.Value)...)
}
