// Package playground keeps results until they are fetched by HTTP, as StateFun's playground does: a request for a topic takes its oldest
// record. Unlike there a record waits in the store, so that a crash loses none and nobody's silence drops any. It holds no more than a
// bounded part in memory, and sets aside what is no record of a declared topic.
package playground

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/internal/playground"
	"github.com/stategate/stategate/statestore"
)

// Config is the egress of one module.
type Config struct {
	ID      string
	Address string // host:port; port 0: any that is free
	Place   string // where the module says so
	Topics  []string
	// MemoryBytesMax bounds what is held in memory: a half for what was just committed, a half for what waits to be fetched, each topic
	// its share. Default 32 MiB. What does not fit is read back from the store.
	MemoryBytesMax int
	Log            *slog.Logger
	Hooks          egress.Hooks
	// Listening is told the address once it is open; may be nil.
	Listening func(net.Addr)
}

const (
	memoryBytesMax = 32 << 20
	readBytes      = 1 << 20   // of one question to the store
	shareMin       = 256 << 10 // of a topic, however many there are

	// lookTimeMax is how long a request waits until so much has been looked at that it can be answered.
	lookTimeMax = 10 * time.Second
)

// Relay keeps one lane's outputs until they are fetched. Outputs are sorted by their topics in the order of their numbers, by one
// goroutine. A topic whose share of the memory is used up falls behind: it reads its records back when those in memory are fetched.
type Relay struct {
	cfg    Config
	lane   statestore.LaneID
	engine egress.Engine
	share  int             // bytes of each topic
	wake   chan struct{}   // has a token when there may be something to sort
	over   context.Context // done when Run is to end: nobody waits any longer
	end    func()          // ends it

	lookTimeMax time.Duration

	mu      sync.Mutex // guards all below, and the topics
	offered []statestore.OutputPack
	bytes   int    // of offered
	taken   uint64 // number behind the last of offered that is being sorted
	known   uint64 // number behind the last output that is committed
	sorted  uint64 // all below have been looked at
	done    statestore.Ranges
	told    uint64        // all below are done, as the engine knows
	open    int64         // outputs below sorted that are not done
	looked  chan struct{} // if somebody waits for it: closed when more has been looked at
	topics  map[string]*topic
}

// New makes the relay of a lane.
func New(cfg Config, lane statestore.Lane, engine egress.Engine) *Relay {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	if cfg.MemoryBytesMax <= 0 {
		cfg.MemoryBytesMax = memoryBytesMax
	}
	r := &Relay{
		cfg: cfg, lane: lane.LaneID, engine: engine, share: max(cfg.MemoryBytesMax/2/max(len(cfg.Topics), 1), min(shareMin, cfg.MemoryBytesMax/2)),
		wake: make(chan struct{}, 1), lookTimeMax: lookTimeMax, known: lane.Next, sorted: lane.Low, told: lane.Low, topics: map[string]*topic{},
		done: statestore.Ranges{Watermark: int64(lane.Low)},
	}
	r.over, r.end = context.WithCancel(context.Background())
	for _, name := range cfg.Topics {
		r.topics[name] = &topic{turn: make(chan struct{}, 1)}
	}
	r.rouse()
	return r
}

func (r *Relay) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Offer hands over outputs that have just been committed. What does not fit into memory is left out, and so is all behind it until the
// sorting has caught up.
func (r *Relay) Offer(pack statestore.OutputPack) {
	r.mu.Lock()
	defer r.mu.Unlock()
	size := 0
	for i := range pack.Outputs {
		size += pack.Outputs[i].Size()
	}
	end := max(r.sorted, r.taken)
	if n := len(r.offered); n > 0 {
		end = behind(&r.offered[n-1])
	}
	if pack.First <= end && r.bytes+size <= r.cfg.MemoryBytesMax/2 {
		r.offered = append(r.offered, pack)
		r.bytes += size
	}
	r.known = max(r.known, behind(&pack))
	r.rouse()
}

func behind(p *statestore.OutputPack) uint64 { return p.First + uint64(len(p.Outputs)) }

// Run sorts outputs and answers whoever fetches them until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	context.AfterFunc(ctx, r.end)
	served := make(chan error, 1)
	go func() {
		defer end()
		served <- playground.Serve(ctx, playground.Config{
			Name: "egress " + r.cfg.ID, Address: r.cfg.Address, Place: r.cfg.Place, Handler: r, Log: r.cfg.Log,
			Degraded: r.cfg.Hooks.Degraded, Recovered: r.cfg.Hooks.Recovered, Listening: r.cfg.Listening,
		})
	}()
	r.sort(ctx)
	return <-served
}

const (
	tellEvery  = time.Second
	retryPause = 100 * time.Millisecond
)

// sort looks at outputs in the order of their numbers until ctx ends.
func (r *Relay) sort(ctx context.Context) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	for ctx.Err() == nil {
		packs, more := r.next(ctx)
		for i := range packs {
			r.sortPack(ctx, &packs[i])
		}
		if more {
			continue
		}
		select {
		case <-ctx.Done():
		case <-r.wake:
		case <-tick.C:
		}
		r.tellPending(time.Now())
	}
}

// next answers the outputs that are to be looked at next, from memory or from the store; more: do not wait before asking again.
func (r *Relay) next(ctx context.Context) (packs []statestore.OutputPack, more bool) {
	r.mu.Lock()
	if len(r.offered) > 0 && r.offered[0].First <= r.sorted {
		packs = r.offered
		r.taken = behind(&packs[len(packs)-1])
		r.offered, r.bytes = nil, 0
		r.mu.Unlock()
		return packs, true
	}
	from, known := r.sorted, r.known
	r.mu.Unlock()
	if from >= known {
		return nil, false
	}
	packs, err := r.read(ctx, from)
	if err != nil {
		return nil, r.pause(ctx)
	}
	if len(packs) == 0 { // gone, since they were done: nothing is to be looked at
		r.mu.Lock()
		r.sorted = max(r.sorted, known)
		r.announce()
		r.mu.Unlock()
	}
	return packs, true
}

// read asks the store for outputs from a number on.
func (r *Relay) read(ctx context.Context, from uint64) ([]statestore.OutputPack, error) {
	const key = ": store"
	packs, err := r.engine.Outputs(ctx, r.lane, from, readBytes)
	switch {
	case ctx.Err() != nil:
	case err != nil && r.cfg.Hooks.Degraded != nil:
		r.cfg.Hooks.Degraded("egress "+r.cfg.ID+key, err.Error())
	case err == nil && r.cfg.Hooks.Recovered != nil:
		r.cfg.Hooks.Recovered("egress " + r.cfg.ID + key)
	}
	return packs, err
}

func (r *Relay) pause(ctx context.Context) bool {
	t := time.NewTimer(retryPause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// sortPack looks at the outputs of a pack that were not looked at before. Those that nobody can ever fetch are set aside before the next
// pack's turn.
func (r *Relay) sortPack(ctx context.Context, p *statestore.OutputPack) {
	r.mu.Lock()
	from, known := r.sorted, r.known
	r.mu.Unlock()
	var dead []api.DeadLetter
	for i := range p.Outputs {
		n := p.First + uint64(i)
		if n < from || n >= known {
			continue
		}
		if problem := r.sortOutput(n, &p.Outputs[i].Value, slices.Contains(p.Refused, n)); problem != nil {
			dead = append(dead, r.letter(n, &p.Outputs[i], problem))
		}
	}
	r.mu.Lock()
	r.announce()
	r.mu.Unlock()
	r.tellDone()
	if len(dead) > 0 {
		r.refuse(ctx, dead)
	}
}

// sortOutput looks at one output. Others go on while it is decoded, and a payload that has no place in memory is not even unpacked.
func (r *Relay) sortOutput(n uint64, v *api.TypedValue, refused bool) *problem {
	if refused {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.sorted = n + 1
		r.done.Add(int64(n), int64(n)+1)
		return nil
	}
	rec, problem := decode(v)
	t := r.topics[rec.topic]
	if problem == nil && t == nil {
		problem = undeclared(rec.topic, r.cfg.Topics)
	}
	payload := sync.OnceValue(rec.text)
	if problem == nil && !r.isBehind(t) {
		payload()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sorted = n + 1
	r.open++
	if problem == nil {
		r.file(n, t, payload, time.Now())
	}
	return problem
}

// isBehind may be over as soon as it is answered.
func (r *Relay) isBehind(t *topic) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return t.behind
}

// announce tells those who wait that more has been looked at. The caller holds r.mu.
func (r *Relay) announce() {
	if r.looked != nil {
		close(r.looked)
		r.looked = nil
	}
}

// tellDone tells the engine below which number all is done.
func (r *Relay) tellDone() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if below := uint64(r.done.Watermark); below > r.told {
		r.told = below
		r.engine.Delivered(r.lane, below)
	}
}

func (r *Relay) letter(n uint64, o *api.Output, p *problem) api.DeadLetter {
	return api.DeadLetter{
		Kind: api.DeadOutput, From: r.cfg.ID, Reason: p.reason, Detail: p.detail, Offset: int64(n), Address: o.Sender,
		TypeName: o.Value.TypeName, Value: o.Value.Value,
	}
}

// refuse sets outputs aside; when the dead letters are full that waits.
func (r *Relay) refuse(ctx context.Context, dead []api.DeadLetter) {
	if err := r.engine.Refuse(ctx, r.lane, dead); err != nil {
		return // the incarnation ends: the next one finds them again
	}
	for i := range dead {
		r.finish(uint64(dead[i].Offset))
	}
	if r.cfg.Hooks.Deliveries != nil {
		r.cfg.Hooks.Deliveries(r.cfg.ID, "refused", len(dead))
	}
}

// finish notes that an output was fetched, or set aside.
func (r *Relay) finish(n uint64) {
	r.mu.Lock()
	r.done.Add(int64(n), int64(n)+1)
	r.open--
	r.mu.Unlock()
	r.tellDone()
}

// tellPending says how much waits, and for how long the oldest has been waiting as far as this member knows.
func (r *Relay) tellPending(now time.Time) {
	if r.cfg.Hooks.Pending == nil {
		return
	}
	r.mu.Lock()
	outputs, oldest := r.open+int64(r.known-r.sorted), now
	for _, t := range r.topics {
		if len(t.queue) > 0 && t.queue[0].at.Before(oldest) {
			oldest = t.queue[0].at
		}
	}
	r.mu.Unlock()
	r.cfg.Hooks.Pending(r.cfg.ID, outputs, now.Sub(oldest).Seconds())
}
