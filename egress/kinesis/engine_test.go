package kinesis

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/internal/testserver"
	"github.com/stategate/stategate/statestore"
)

func TestMain(m *testing.M) {
	code := testserver.Main(m)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

const patience = 90 * time.Second

// outbox is the store's side of one lane, as it outlives relays and members.
type outbox struct {
	id statestore.LaneID

	mu        sync.Mutex
	epoch     int
	packs     []statestore.OutputPack
	next      uint64
	refused   map[uint64]bool
	dead      []api.DeadLetter
	delivered uint64
	reads     int // of Outputs
	degraded  map[string]string
	counts    map[string]int
	changed   chan struct{}
}

func newOutbox() *outbox {
	return &outbox{id: statestore.LaneID{Egress: "shop/out"}, next: 1, delivered: 1, refused: map[uint64]bool{}, degraded: map[string]string{},
		counts: map[string]int{}, changed: make(chan struct{})}
}

func (o *outbox) change() { close(o.changed); o.changed = make(chan struct{}) }

// until waits until a condition of the outbox holds; it is asked with the lock held.
func (o *outbox) until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for limit := time.After(patience); ; {
		o.mu.Lock()
		done, changed := ok(), o.changed
		now := fmt.Sprint("delivered below ", o.delivered, " ", o.counts, o.degraded)
		o.mu.Unlock()
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

func (o *outbox) untilDelivered(t testing.TB, below uint64) {
	t.Helper()
	o.until(t, fmt.Sprintf("outputs below %d delivered", below), func() bool { return o.delivered >= below })
}

// member is one owner of the lane. It implements egress.Engine.
type member struct {
	*outbox
	epoch int
	relay *Relay
	stop  func() error
	ended chan error // what Run answered
}

func (m *member) fence() error {
	if m.epoch != m.outbox.epoch {
		return statestore.ErrFenced
	}
	return nil
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

func (m *member) Claimed(context.Context, string) (bool, error) { return true, nil }

func (m *member) Started(context.Context, statestore.LaneID) error { return nil }

func (m *member) Delivered(_ statestore.LaneID, below uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fence() != nil {
		return
	}
	m.delivered = max(m.delivered, below)
	for len(m.packs) > 0 && m.packs[0].First+uint64(len(m.packs[0].Outputs)) <= m.delivered {
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

// emit commits outputs as one pack and offers it, if somebody is there.
func (m *member) emit(outputs ...api.Output) {
	m.mu.Lock()
	pack := statestore.OutputPack{Lane: m.id, First: m.next, Outputs: outputs}
	m.packs = append(m.packs, pack)
	m.next += uint64(len(outputs))
	m.mu.Unlock()
	m.relay.Offer(pack)
}

func (o *outbox) hooks() egress.Hooks {
	note := func(f func()) {
		o.mu.Lock()
		defer o.mu.Unlock()
		f()
		o.change()
	}
	return egress.Hooks{
		Deliveries: func(_, result string, n int) { note(func() { o.counts[result] += n }) },
		Degraded:   func(key, text string) { note(func() { o.degraded[key] = text }) },
		Recovered:  func(key string) { note(func() { delete(o.degraded, key) }) },
	}
}

func quick() pace {
	return pace{grace: 100 * time.Millisecond, probe: 50 * time.Millisecond, retry: time.Millisecond, retryMax: 10 * time.Millisecond, stop: 200 * time.Millisecond}
}

// begin claims the lane and runs a relay.
func begin(t testing.TB, o *outbox, cfg Config) *member {
	t.Helper()
	o.mu.Lock()
	o.epoch++
	m := &member{outbox: o, epoch: o.epoch}
	lane := statestore.Lane{LaneID: o.id, Next: o.next, Low: o.next}
	if len(o.packs) > 0 {
		lane.Low = o.packs[0].First
	}
	o.mu.Unlock()
	traced := cfg.Hooks.Traced
	cfg.ID, cfg.Hooks = o.id.Egress, o.hooks()
	cfg.Hooks.Traced = traced
	if cfg.pace == (pace{}) {
		cfg.pace = quick()
	}
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	r, err := New(cfg, lane, m)
	if err != nil {
		t.Fatal(err)
	}
	m.relay = r
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	m.ended = ended
	go func() { ended <- r.Run(ctx) }()
	var once sync.Once
	m.stop = func() (err error) {
		once.Do(func() {
			cancel()
			select {
			case err = <-ended:
			case <-time.After(patience):
				t.Error("relay does not end")
			}
		})
		return err
	}
	t.Cleanup(func() { _ = m.stop() })
	return m
}

func record(stream, key, hash, value string) api.Output {
	b, err := proto.Marshal(&protocol.KinesisEgressRecord{Stream: stream, PartitionKey: []byte(key), ExplicitHashKey: hash, ValueBytes: []byte(value)})
	if err != nil {
		panic(err)
	}
	return api.Output{
		Sender: api.Address{Type: api.FunctionType{Namespace: "test", Name: "f"}, ID: key},
		Value:  api.TypedValue{TypeName: protocol.TypeKinesisEgressRecord, HasValue: true, Value: b},
	}
}
