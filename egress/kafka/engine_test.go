package kafka

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/google/uuid"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/statestore"
)

// outbox is the store's side of one lane, as it outlives relays and members.
type outbox struct {
	id statestore.LaneID

	mu        sync.Mutex
	epoch     int
	packs     []statestore.OutputPack
	next      uint64
	started   bool
	refused   map[uint64]bool
	claims    map[string]bool // tokens
	dead      []api.DeadLetter
	delivered uint64
	reads     int // of Outputs
	holdTrims bool
	changed   chan struct{} // closed and renewed at each change
}

func newOutbox(egressID string) *outbox {
	return &outbox{id: statestore.LaneID{Egress: egressID}, next: 1, delivered: 1, refused: map[uint64]bool{}, claims: map[string]bool{}, changed: make(chan struct{})}
}

func (o *outbox) change() { close(o.changed); o.changed = make(chan struct{}) }

// member is one owner of the lane. It implements egress.Engine.
type member struct {
	*outbox
	epoch  int
	token  string // of its claim
	relay  *Relay
	killed bool // nothing that it says reaches the store any more
}

// claim makes a new owner, as a takeover does.
func (o *outbox) claim() (*member, statestore.Lane) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.epoch++
	token := uuid.NewString()
	o.claims[token] = true
	lane := statestore.Lane{LaneID: o.id, Next: o.next, Started: o.started, Low: o.next}
	if len(o.packs) > 0 {
		lane.Low = o.packs[0].First
	}
	return &member{outbox: o, epoch: o.epoch, token: token}, lane
}

// emit commits outputs as one pack and offers it.
func (m *member) emit(outputs ...api.Output) {
	m.mu.Lock()
	pack := statestore.OutputPack{Lane: m.id, First: m.next, Outputs: outputs}
	m.packs = append(m.packs, pack)
	m.next += uint64(len(outputs))
	m.mu.Unlock()
	m.relay.Offer(pack)
}

func (m *member) Outputs(_ context.Context, _ statestore.LaneID, from uint64, bytesMax int) ([]statestore.OutputPack, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	var packs []statestore.OutputPack
	for _, p := range m.packs {
		if p.First+uint64(len(p.Outputs)) <= from {
			continue
		}
		for i := range p.Outputs {
			bytesMax -= p.Outputs[i].Size()
			if n := p.First + uint64(i); m.refused[n] {
				p.Refused = append(p.Refused, n)
			}
		}
		packs = append(packs, p)
		if bytesMax < 0 {
			break
		}
	}
	return packs, nil
}

func (m *member) Owns(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.fence()
}

// Claimed knows all claims up to the newest one.
func (m *member) Claimed(_ context.Context, token string) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.claims[token], m.fence()
}

func (m *member) fence() error {
	if m.killed || m.epoch != m.outbox.epoch {
		return statestore.ErrFenced
	}
	return nil
}

// kill ends what the member says to the store, as its death does.
func (m *member) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.killed = true
}

func (m *member) Started(context.Context, statestore.LaneID) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fence(); err != nil {
		return err
	}
	m.started = true
	m.change()
	return nil
}

func (m *member) Delivered(_ statestore.LaneID, below uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fence() != nil {
		return
	}
	m.delivered = max(m.delivered, below)
	for !m.holdTrims && len(m.packs) > 0 && m.packs[0].First+uint64(len(m.packs[0].Outputs)) <= m.delivered {
		m.packs = m.packs[1:]
	}
	m.change()
}

func (m *member) Refuse(_ context.Context, _ statestore.LaneID, dead []api.DeadLetter) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.fence(); err != nil {
		return err
	}
	for _, d := range dead {
		if m.refused[uint64(d.Offset)] {
			return fmt.Errorf("output %d is refused twice", d.Offset)
		}
		m.refused[uint64(d.Offset)] = true
		m.dead = append(m.dead, d)
	}
	m.change()
	return nil
}

// patience is for what takes milliseconds on a quiet machine: it only decides when a test gives up.
const patience = 90 * time.Second

// waitFor waits until a condition of the outbox holds.
func (o *outbox) waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		o.mu.Lock()
		done, changed := ok(), o.changed
		delivered := o.delivered
		o.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%s: not after %v; delivered below %d", what, patience, delivered)
		}
	}
}

// moved is closed at the next change.
func (o *outbox) moved() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.changed
}

func (o *outbox) waitDelivered(t testing.TB, below uint64) {
	t.Helper()
	o.waitFor(t, fmt.Sprintf("outputs below %d delivered", below), func() bool { return o.delivered >= below })
}

// hooks collect what a relay tells.
type told struct {
	mu       sync.Mutex
	counts   map[string]int
	degraded map[string]string
	ended    []string
	changed  chan struct{}
}

func newTold() *told {
	return &told{counts: map[string]int{}, degraded: map[string]string{}, changed: make(chan struct{})}
}

func (h *told) note(f func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f()
	close(h.changed)
	h.changed = make(chan struct{})
}

func (h *told) hooks() egress.Hooks {
	return egress.Hooks{
		Deliveries: func(_, result string, n int) { h.note(func() { h.counts[result] += n }) },
		Degraded:   func(key, text string) { h.note(func() { h.degraded[key] = text }) },
		Recovered:  func(key string) { h.note(func() { delete(h.degraded, key); h.ended = append(h.ended, key) }) },
	}
}

func (h *told) count(result string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.counts[result]
}

// lasts reports whether a condition is told and not ended.
func (h *told) lasts(key string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.degraded[key] != ""
}

// wait waits until a condition holds.
func (h *told) wait(t testing.TB, what string, ok func() bool) {
	t.Helper()
	limit := time.After(patience)
	for {
		h.mu.Lock()
		done, changed, now := ok(), h.changed, fmt.Sprint(h.counts, h.degraded)
		h.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-limit:
			t.Fatalf("%s: not after %v: %s", what, patience, now)
		}
	}
}

func (h *told) waitDegraded(t testing.TB, key string) string {
	t.Helper()
	h.wait(t, "degraded: "+key, func() bool { return h.degraded[key] != "" })
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.degraded[key]
}

// life is a running relay.
type life struct {
	*member
	relay *Relay
	told  *told
	stop  context.CancelFunc
	done  chan error
}

// begin claims the lane and runs a relay. change may alter it before it runs.
func begin(t testing.TB, o *outbox, cfg Config, change ...func(*Relay)) *life {
	t.Helper()
	m, lane := o.claim()
	return beginAs(t, m, lane, cfg, change...)
}

func beginAs(t testing.TB, m *member, lane statestore.Lane, cfg Config, change ...func(*Relay)) *life {
	t.Helper()
	h := newTold()
	cfg.ID, cfg.Hooks, cfg.Claim = m.id.Egress, h.hooks(), m.token
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	r, err := New(cfg, lane, m)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(r)
	}
	m.relay = r
	ctx, cancel := context.WithCancel(context.Background())
	l := &life{member: m, relay: r, told: h, stop: cancel, done: make(chan error, 1)}
	go func() { l.done <- r.Run(ctx); close(l.done) }()
	t.Cleanup(func() { cancel(); <-l.done })
	return l
}

// end stops the relay and answers what Run said.
func (l *life) end(t testing.TB) error {
	t.Helper()
	l.stop()
	select {
	case err := <-l.done:
		return err
	case <-time.After(patience):
		t.Fatal("relay does not end")
		return nil
	}
}

func kafkaOutput(topic, key, value string) api.Output {
	b, err := proto.Marshal(&protocol.KafkaProducerRecord{Topic: topic, Key: []byte(key), ValueBytes: []byte(value)})
	if err != nil {
		panic(err)
	}
	return api.Output{
		Sender: api.Address{Type: api.FunctionType{Namespace: "test", Name: "f"}, ID: key},
		Value:  api.TypedValue{TypeName: protocol.TypeKafkaProducerRecord, HasValue: true, Value: b},
	}
}
