package app

import (
	"context"
	"sync"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/ingress"
	ingresshttp "github.com/stategate/stategate/ingress/http"
	"github.com/stategate/stategate/statestore"
)

// newHTTP makes the server of all HTTP ingresses of the module; nil: it has none.
func (a *App) newHTTP() *ingresshttp.Server {
	if len(a.cfg.Module.HTTPIngresses) == 0 {
		return nil
	}
	cfg := ingresshttp.Config{
		Allow: a.cfg.HTTP.Allow, Onward: a.cfg.HTTP.Onward, Owner: (&owner{store: a.cfg.Store, self: a.member.ID}).find, Paused: a.pausedIngress,
		DrainMax: a.cfg.DrainMax * 4 / 10, Log: a.log, Hooks: a.ingressHooks(),
	}
	if a.cfg.Tracer != nil {
		cfg.Traced = a.cfg.Tracer.Request
	}
	for i := range a.cfg.Module.HTTPIngresses {
		cfg.Ingresses = append(cfg.Ingresses, httpIngress(&a.cfg.Module.HTTPIngresses[i]))
	}
	return ingresshttp.New(cfg)
}

func httpIngress(m *module.HTTPIngress) ingresshttp.Ingress {
	in := ingresshttp.Ingress{ID: m.ID, BodyMax: m.MaxBodySize, Timeout: m.Timeout}
	exact := map[module.Functions]bool{}
	for _, f := range m.Functions {
		in.Reaches = append(in.Reaches, f.String())
		exact[f] = true
	}
	in.Reach = func(t api.FunctionType) bool {
		return exact[module.Functions{Namespace: t.Namespace, Name: t.Name}] || exact[module.Functions{Namespace: t.Namespace, All: true}]
	}
	for _, r := range m.Routes {
		in.Routes = append(in.Routes, ingresshttp.Route{
			Method: r.Method, Path: r.Path, Target: r.Target, ID: r.ID, Call: r.Mode == module.HTTPCall, ValueType: r.ValueType,
		})
	}
	return in
}

// pausedIngress reports whether an operator has paused an ingress. A member that does not work has none.
func (a *App) pausedIngress(id string) bool {
	d := a.life.Load()
	return d != nil && d.PausedIngress(id)
}

// httpSources stands for all HTTP ingresses of the module, which are one source here.
const httpSources = "http"

// httpSource lets an incarnation answer requests.
func (a *App) httpSource() *source {
	return &source{id: httpSources, run: func(ctx context.Context, engine ingress.Engine) error { return a.http.Work(ctx, engine.(door)) }}
}

// owner finds the member that works. An answer is good for a moment: the store is not asked for each request that is passed on.
type owner struct {
	store statestore.Ownership
	self  string

	mu     sync.Mutex
	asked  time.Time         // guarded by mu
	member statestore.Member // guarded by mu
	ok     bool              // guarded by mu
}

const (
	ownerFresh  = 200 * time.Millisecond
	ownerAskMax = 2 * time.Second
)

func (o *owner) find(ctx context.Context) (address string, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.asked) > ownerFresh {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ownerAskMax) // the answer is for others, too
		defer cancel()
		if member, ok, err := o.store.Owner(ctx); err == nil { // while the store is away who worked last may still do so
			o.member, o.ok = member, ok
		}
		o.asked = time.Now()
	}
	return o.member.Events, o.ok && o.member.ID != o.self && o.member.Events != ""
}

// beside runs the HTTP server beside work, from before its start until after its end; when the server cannot go on, both end.
func (a *App) beside(ctx context.Context, work func(context.Context) error) error {
	if a.http == nil || a.cfg.HTTP.Listener == nil {
		return work(ctx)
	}
	serving, endServing := context.WithCancel(context.WithoutCancel(ctx))
	defer endServing()
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	ended := make(chan error, 1)
	go func() {
		err := a.http.Run(serving, a.cfg.HTTP.Listener)
		end(err)
		ended <- err
	}()
	a.log.Info("http: listening", "address", a.cfg.HTTP.Listener.Addr().String(), "advertise", a.cfg.HTTP.Advertise)
	err := work(ctx)
	endServing()
	if serveErr := <-ended; err == nil {
		err = serveErr
	}
	return err
}
