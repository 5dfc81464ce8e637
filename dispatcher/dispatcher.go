// Package dispatcher runs one incarnation of a member: it carries facts to the machine and does the work that the machine
// asks for. It calls functions, loads, commits, and hands over what a commit has released. It decides nothing that the
// machine can decide, keeps nothing beyond its incarnation, and knows no ingress and no egress: both are handed the
// methods that they need.
package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/endpoint"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// Store is what a dispatcher needs of its store.
type Store interface {
	statestore.Committer
	statestore.Reader
	Renew(ctx context.Context, fence statestore.Fence) error
}

// Function says how a function type is called.
type Function struct {
	machine.Function
	Spec endpoint.Spec // where; not used when Refusal says that there is no call
}

// Config is one incarnation.
type Config struct {
	Store Store
	// Claim is what the store keeps. Run takes the messages out of it: what is finished of them is to leave memory, and what nobody takes.
	Claim *statestore.Claim
	// Machine holds the bounds, and the incarnation's number. Its Function, Egresses, Ingresses and OnDeadLetter are set from the
	// fields below.
	Machine machine.Config
	// Function tells how to call a function type; ok is false when the module does not declare it.
	Function func(api.FunctionType) (f Function, ok bool)
	// Egresses are the ids that the module declares.
	Egresses map[string]machine.Egress
	// Ingresses are the ids that the module declares, of all kinds.
	Ingresses []string
	// Deliver hands committed outputs to their egress, in order. It must not block.
	Deliver func(statestore.OutputPack)
	// Pool holds the connections to functions. It outlives the incarnation.
	Pool *endpoint.Pool
	// RenewEvery is how often the lease is renewed. Default 1 s; a third of the lease is right.
	RenewEvery time.Duration
	watchEvery time.Duration // watchEvery, but in tests

	Log   *slog.Logger
	Hooks Hooks

	time readings // default: the real ones; tests set the wall clock back
}

// Dispatcher is one incarnation. Its methods may be called from any goroutine while Run runs.
type Dispatcher struct {
	cfg      Config
	log      *slog.Logger
	inbox    inbox
	journal  journal
	speakers speakers
	stops    stops

	ctx  context.Context // ends with the incarnation; its cause says why
	end  context.CancelCauseFunc
	wait sync.WaitGroup // of everything that Run has started

	callCtx  context.Context // of calls to functions: a drain that runs out of time ends them first
	endCalls context.CancelFunc

	commits chan *statestore.Commit // room for the one commit that there can be
	traced  []*api.Trace            // of calls whose effects it holds; set before it is sent, and let alone until it has ended
	running atomic.Int64            // calls under way
	room    atomic.Int64            // of the pool's budget, that large replies hold which the machine does not have yet
	mending chan struct{}           // holds a token while dead letters are being ended
	drain   atomic.Bool             // no new call starts
	looks   chan struct{}           // holds a token while somebody looks through all that waits
	listing chan struct{}           // holds a token while somebody lists addresses
	seen    looks
	overdue atomic.Int64 // addresses, as the last overview has it
	pace    pace
	away    conditions

	mu       sync.Mutex
	progress map[api.Source]statestore.Progress // committed; guarded by mu
	gates    map[api.Source]*gate               // guarded by mu
	waiters  map[uint64]*waiter                 // by token; guarded by mu
	tokens   uint64                             // guarded by mu
	asking   map[uint64]*waiter                 // that wait for a reply, by token; guarded by mu

	looped   chan struct{} // closed when the loop has ended: nothing is sealed or done any more
	large    []outcome     // replies that wait for a commit; the loop's own
	setAside int           // dead letters so far; the loop's own
	clean    chan struct{} // closed when a drain has nothing left to wait for; the loop's own
}

// New makes an incarnation on what the store keeps. Run starts it.
func New(cfg Config) *Dispatcher {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.RenewEvery <= 0 {
		cfg.RenewEvery = time.Second
	}
	if cfg.watchEvery <= 0 {
		cfg.watchEvery = watchEvery
	}
	d := &Dispatcher{
		cfg: cfg, log: cfg.Log, inbox: newInbox(), journal: newJournal(cfg.Log), commits: make(chan *statestore.Commit, 1), mending: make(chan struct{}, 1), looks: make(chan struct{}, 1), listing: make(chan struct{}, 1), seen: newLooks(),
		progress: map[api.Source]statestore.Progress{}, gates: map[api.Source]*gate{}, waiters: map[uint64]*waiter{}, asking: map[uint64]*waiter{},
		clean: make(chan struct{}), looped: make(chan struct{}), away: conditions{hooks: cfg.Hooks, log: cfg.Log},
	}
	for i := range cfg.Claim.Progress {
		p := cfg.Claim.Progress[i].Clone()
		d.progress[p.Source] = p
	}
	for _, p := range cfg.Claim.Pauses {
		if p.Kind == statestore.PauseIngress {
			d.stops.pauseIngress(p.Ingress, false)
		}
	}
	d.ctx, d.end = context.WithCancelCause(context.Background())
	d.callCtx, d.endCalls = context.WithCancel(d.ctx)
	return d
}

// errStopped is why an incarnation ends that was asked to.
var errStopped = errors.New("the gateway stops")

// Run works until ctx ends (then it returns nil) or the incarnation cannot go on: statestore.ErrFenced, or a final error of the
// store. It returns when all that it started has ended.
func (d *Dispatcher) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { d.end(errStopped) })
	defer stop()
	d.wait.Add(3)
	go func() { defer d.wait.Done(); d.keepJournal() }()
	go func() { defer d.wait.Done(); d.keepLease() }()
	go func() { defer d.wait.Done(); d.keepCommitting() }()
	c := newClock(d.cfg.time)
	m := d.newMachine(c.now()) // it takes its time when much is kept: the lease is renewed meanwhile
	d.loop(m, c)
	close(d.looped)
	d.wait.Wait()
	if room := d.room.Load(); room > 0 { // of replies that nobody is told any more: the pool outlives this
		d.release(room)
	}
	d.away.endAll()
	if cause := context.Cause(d.ctx); !errors.Is(cause, errStopped) {
		return cause
	}
	return nil
}

func (d *Dispatcher) newMachine(now time.Time) *machine.Machine {
	cfg := d.cfg.Machine
	cfg.Egresses = d.cfg.Egresses
	cfg.Ingresses = map[string]bool{}
	for _, id := range d.cfg.Ingresses {
		cfg.Ingresses[id] = true
	}
	cfg.OnDeadLetter = func(dead *api.DeadLetter) {
		d.setAside++
		d.journal.setAside(dead)
		if d.cfg.Hooks.DeadLetter != nil {
			d.cfg.Hooks.DeadLetter(dead)
		}
	}
	cfg.Function = func(t api.FunctionType) (machine.Function, bool) {
		f, ok := d.cfg.Function(t)
		return f.Function, ok
	}
	m := machine.New(cfg, d.cfg.Claim, now.UnixMilli())
	d.cfg.Claim.Packs, d.cfg.Claim.Finished = nil, nil
	return m
}

// fail ends the incarnation.
func (d *Dispatcher) fail(err error) { d.end(err) }

// keepLease renews the lease. It is a courtesy to those who wait; the fence is what counts, so a store that is away is no
// reason to end.
func (d *Dispatcher) keepLease() {
	tick := time.NewTicker(d.cfg.RenewEvery)
	defer tick.Stop()
	for {
		err := d.cfg.Store.Renew(d.ctx, d.cfg.Claim.Fence)
		switch {
		case d.ctx.Err() != nil:
			return
		case err == nil:
			d.away.end("lease")
		case errors.Is(err, statestore.ErrFenced):
			d.fail(fmt.Errorf("renew lease: %w", statestore.ErrFenced))
			return
		default:
			d.away.begin("lease", err.Error())
		}
		select {
		case <-d.ctx.Done():
			return
		case <-tick.C:
		}
	}
}
