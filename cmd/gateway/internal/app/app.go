// Package app puts one gateway together: from a module and a store to a member that serves. It is the only place that knows
// every part, and it does no work of theirs.
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/cluster"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/cmd/gateway/internal/trace"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/dispatcher/endpoint"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/egress"
	egresslog "github.com/stategate/stategate/egress/log"
	"github.com/stategate/stategate/ingress"
	ingresshttp "github.com/stategate/stategate/ingress/http"
	"github.com/stategate/stategate/statestore"
)

// Config is one gateway.
type Config struct {
	Module *module.Module
	Store  statestore.Store
	// StoreName names the store to people, without a password.
	StoreName string
	// Address is where the admin side listens; other members show it to people.
	Address string
	// Bounds are the machine's; zero means their defaults.
	Bounds machine.Config
	// RepliesBytesMax is the memory of all large replies of functions together. Default 64 MiB.
	RepliesBytesMax int64
	// RenewEvery is how often the lease is renewed: a third of it.
	RenewEvery time.Duration
	// DrainMax bounds a graceful stop. Default 10 s.
	DrainMax time.Duration
	// HTTP is where HTTP ingresses of the module listen. Without a listener they do not.
	HTTP HTTP
	// Tracer makes spans of what happens to events; nil: nothing is traced.
	Tracer *trace.Tracer
	// Signer signs calls to functions; nil: they are not signed.
	Signer *endpoint.Signer
	Log    *slog.Logger
	Hooks  Hooks
}

// HTTP is the place of HTTP ingresses.
type HTTP struct {
	Listener  net.Listener // of HTTP, or of TLS; Run closes it
	Advertise string       // HOST:PORT by which other members reach it
	// Allow judges the header Authorization of each request; nil: everybody is let in.
	Allow  func(authorization string) bool
	Onward *tls.Config // by which this member reaches others; nil: without TLS
}

// Hooks observe the parts; all may be empty.
type Hooks struct {
	Ingress    ingress.Hooks
	Egress     egress.Hooks
	Dispatcher dispatcher.Hooks

	// For development. Arrived sees records before the engine does, Sent events that have no source; neither may keep or change them.
	Arrived func(source api.Source, records []api.Record)
	Sent    func(event *api.Message)
	// Arriving begins spans of records before the engine has them, and Sending that of an event; what they answer ends them, and may be nil.
	// They are set by New when there is a Tracer.
	Arriving func(source api.Source, records []api.Record) (arrived func())
	Sending  func(event *api.Message) (sent func(error))
	// Output takes the records of log egresses instead of Log.
	Output func(egress string, sender api.Address, value egresslog.Text)
}

const drainMaxDefault = 10 * time.Second

// App is one gateway.
type App struct {
	cfg       Config
	log       *slog.Logger
	functions *functions
	ingresses []*source
	egresses  map[string]*sink
	asked     map[string]bool // egresses that deliver when they are asked to: a stop waits for nobody to ask
	pool      *endpoint.Pool
	http      *ingresshttp.Server // nil: the module has no HTTP ingress
	member    statestore.Member
	troubles  *troubles
	lags      lags

	life     atomic.Pointer[dispatcher.Dispatcher] // of the incarnation that works now; nil on a standby
	working  atomic.Pointer[incarnation]           // the same, with what works for it
	draining atomic.Bool
	dead     atomic.Uint64 // letters that the store keeps
	lives    uint64        // incarnations so far; the serving goroutine's own

	effective effective
}

// New checks what the module asks for. It connects to nothing.
func New(cfg Config) (*App, error) {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.DrainMax <= 0 {
		cfg.DrainMax = drainMaxDefault
	}
	a := &App{cfg: cfg, log: cfg.Log, functions: newFunctions(cfg.Module), egresses: map[string]*sink{}, asked: map[string]bool{}, pool: endpoint.NewPool(), troubles: newTroubles()}
	a.pool.Bound(cfg.RepliesBytesMax)
	a.pool.SignWith(cfg.Signer)
	a.traceArrivals()
	a.member = statestore.Member{
		ID: uuid.NewString(), PID: os.Getpid(), Address: cfg.Address, Events: cfg.HTTP.Advertise, Started: time.Now().UTC().Truncate(time.Millisecond),
	}
	a.member.Host, _ = os.Hostname() // for people only
	var problems []error
	for i := range cfg.Module.KafkaIngresses {
		in, err := a.kafkaSource(&cfg.Module.KafkaIngresses[i])
		problems = append(problems, err)
		a.ingresses = append(a.ingresses, in)
	}
	for i := range cfg.Module.KinesisIngresses {
		in, err := a.kinesisSource(&cfg.Module.KinesisIngresses[i])
		problems = append(problems, err)
		a.ingresses = append(a.ingresses, in)
	}
	if p := cfg.Module.PlaygroundIngress; p != nil {
		a.ingresses = append(a.ingresses, a.playgroundSource(p))
	}
	if a.http = a.newHTTP(); a.http != nil {
		a.ingresses = append(a.ingresses, a.httpSource())
	}
	for i := range cfg.Module.KafkaEgresses {
		out, err := a.kafkaSink(&cfg.Module.KafkaEgresses[i])
		problems = append(problems, err)
		a.egresses[cfg.Module.KafkaEgresses[i].ID] = out
	}
	for i := range cfg.Module.KinesisEgresses {
		out, err := a.kinesisSink(&cfg.Module.KinesisEgresses[i])
		problems = append(problems, err)
		a.egresses[cfg.Module.KinesisEgresses[i].ID] = out
	}
	if p := cfg.Module.PlaygroundEgress; p != nil {
		a.egresses[p.ID] = a.playgroundSink(p)
	}
	for i := range cfg.Module.LogEgresses {
		a.egresses[cfg.Module.LogEgresses[i].ID] = a.logSink(&cfg.Module.LogEgresses[i])
	}
	if err := errors.Join(problems...); err != nil {
		return nil, err
	}
	return a, nil
}

// Run serves until ctx ends, drains, and gives ownership back. An error is final.
func (a *App) Run(ctx context.Context) error {
	defer a.pool.Close()
	ctx, end := context.WithCancel(ctx)
	var comparing sync.WaitGroup
	comparing.Go(func() { a.compareModule(ctx) })
	defer comparing.Wait()
	defer end()
	return a.beside(ctx, func(ctx context.Context) error {
		return cluster.Run(ctx, cluster.Config{
			Store: a.cfg.Store, Member: a.member, Egresses: a.outboxes(), Serve: a.serve, Log: a.log,
		})
	})
}

// outboxes are the egresses that have a lane in the store.
func (a *App) outboxes() []string {
	var ids []string
	for id, s := range a.egresses {
		if s.outbox {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// serve is one incarnation.
func (a *App) serve(ctx context.Context, claim *statestore.Claim) error {
	a.lives++
	a.dead.Store(claim.DeadLetters())
	bounds := a.cfg.Bounds
	bounds.Incarnation = a.lives
	bounds.Seed = uint64(time.Now().UnixNano())
	l := &incarnation{app: a, relays: map[string]relay{}, slots: map[string]int{}}
	egresses := map[string]machine.Egress{}
	for id, s := range a.egresses {
		egresses[id] = machine.Egress{Outbox: s.outbox}
	}
	hooks := a.dispatcherHooks()
	l.dispatcher = dispatcher.New(dispatcher.Config{
		Store: a.cfg.Store, Claim: claim, Machine: bounds, Function: a.functions.of, Egresses: egresses, Ingresses: a.ingressIDs(), Deliver: l.deliver,
		Pool: a.pool, RenewEvery: a.cfg.RenewEvery, Log: a.log, Hooks: hooks,
	})
	if err := l.makeRelays(claim); err != nil {
		return err
	}
	if claim.Fence.Epoch == 1 { // the first that was drawn. Commits tell nothing: each process counts its own
		a.log.Info("the store is new: sources begin at their startupPosition", "store", a.cfg.StoreName)
	}
	a.warnOfStrangers(claim)
	a.life.Store(l.dispatcher)
	defer a.lags.end()
	defer a.life.Store(nil)
	a.working.Store(l)
	defer a.working.Store(nil)
	err := l.run(ctx)
	if err != nil && hooks.Restarted != nil {
		hooks.Restarted(err.Error())
	}
	return err
}

// strangerKey ends the key of the condition that outputs wait for an egress that the module does not declare so.
const strangerKey = ": outputs wait"

func outputsWere(n uint64) string {
	if n == 1 {
		return "1 output was"
	}
	return fmt.Sprintf("%d outputs were", n)
}

// warnOfStrangers names what the store keeps for functions and egresses that the module does not declare: it is kept.
func (a *App) warnOfStrangers(claim *statestore.Claim) {
	for _, l := range claim.Lanes {
		key := "egress " + l.Egress + strangerKey
		a.troubles.end(key)
		if s := a.egresses[l.Egress]; (s == nil || !s.outbox) && l.Low < l.Next {
			text := fmt.Sprintf("%s committed while the module declared this egress as exactly-once or at-least-once; declare it so again to deliver what waits", outputsWere(l.Next-l.Low))
			a.troubles.begin(key, text)
			a.log.Warn(key, "detail", text)
		}
	}
	waiting := map[api.FunctionType]int64{}
	for _, s := range claim.Spilled {
		waiting[s.Function] += s.Messages
	}
	for _, p := range claim.Packs {
		for i := range p.Messages {
			waiting[p.Messages[i].Message.Target.Type]++
		}
	}
	for t, messages := range waiting {
		if _, ok := a.functions.of(t); !ok {
			a.log.Warn("the store keeps messages for a function that the module does not declare; they wait", "function", t.String(), "messages", messages)
		}
	}
}

// group runs the parts of an incarnation: the first error ends all of them.
type group struct {
	wait sync.WaitGroup
	end  context.CancelCauseFunc
}

func (g *group) run(f func() error) {
	g.wait.Add(1)
	go func() {
		defer g.wait.Done()
		if err := f(); err != nil {
			g.end(err)
		}
	}()
}
