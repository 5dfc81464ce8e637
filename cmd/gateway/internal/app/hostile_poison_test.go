//go:build unix

package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/dispatcher/machine"
)

// poisonModule is an endpoint whose function sets aside what it keeps failing on. Its budget is a second.
const poisonModule = `---
kind: io.statefun.endpoints.v2/http
spec: {functions: poison/*, urlPathTemplate: "http://${POISON}/{function.name}", onFailure: deadLetter, transport: {call: 1s}}
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: test/poison
  address: ${KAFKA}
  consumerGroupId: ${PREFIX}poison
  startupPosition: {type: earliest}
  topics:
    - {topic: "${PREFIX}poison", valueType: test/event, targets: [poison/order]}
`

// poisoned serves poison/order: it writes its arguments to topic "echoes", and to "counts" how many there were, from its state; an
// argument "poison" spoils the whole reply, which asks for effects all the same.
type poisoned struct {
	arena  *arena
	addr   string
	server *http.Server
	ended  chan struct{}

	mu      sync.Mutex
	batches [][]string    // of all calls; guarded by mu
	hold    chan struct{} // a call is answered when it is closed; guarded by mu
	status  int           // that every call gets; 0: none. Guarded by mu
}

func newPoisoned(t *testing.T, bounds machine.Config) *poisoned {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &poisoned{addr: listener.Addr().String()}
	p.serve(listener)
	t.Cleanup(func() { p.close() })
	p.arena = newArenaWithin(t, bounds, poisonModule, map[string]string{"POISON": p.addr})
	p.arena.create(t, "poison", nil)
	return p
}

func (p *poisoned) serve(listener net.Listener) {
	p.server, p.ended = &http.Server{Handler: p}, make(chan struct{})
	go func(s *http.Server, ended chan struct{}) { defer close(ended); _ = s.Serve(listener) }(p.server, p.ended)
}

func (p *poisoned) close() {
	_ = p.server.Close()
	<-p.ended
}

// again serves as a new process does.
func (p *poisoned) again(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	p.serve(listener)
}

func (p *poisoned) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call, ok := readCall(w, r)
	if !ok {
		return
	}
	batch := call.GetInvocation()
	var values []string
	for _, in := range batch.Invocations {
		values = append(values, string(in.Argument.GetValue()))
	}
	p.mu.Lock()
	p.batches = append(p.batches, values)
	hold, status := p.hold, p.status
	p.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if status != 0 {
		http.Error(w, "not now", status)
		return
	}
	all, known := p.effects(batch, values)
	if !known {
		respond(w, missing(&protocol.FromFunction_PersistedValueSpec{StateName: "n", TypeTypename: "test/n"}))
		return
	}
	respond(w, effects(all...))
}

// effects is what a batch asks for; known is false when it came without its state.
func (p *poisoned) effects(batch *batchRequest, values []string) (all []effect, known bool) {
	if len(batch.State) == 0 {
		return nil, false
	}
	n := 0
	if v := batch.State[0].GetStateValue(); v.GetHasValue() {
		_, _ = fmt.Sscan(string(v.Value), &n)
	}
	for _, v := range values {
		n++
		if v == "poison" {
			all = append(all, sendLater(-1, target("test", "count", "never")))
		}
		all = append(all, write("test/out", kafkaRecord(p.arena.prefix+"echoes", batch.Target.Id, []byte(v))))
	}
	state := typed("test/n", fmt.Append(nil, n))
	return append(all, mutate(protocol.FromFunction_PersistedValueMutation_MODIFY, "n", state)), true
}

// calls is the batches so far.
func (p *poisoned) calls() [][]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.batches)
}

func (p *poisoned) answer(status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
}

// gather holds the call of the first value until all others wait behind it.
func (p *poisoned) gather(t *testing.T, id string, put func(value string), values ...string) {
	t.Helper()
	hold := make(chan struct{})
	p.mu.Lock()
	p.hold = hold
	p.mu.Unlock()
	for _, v := range values {
		put(v)
	}
	hostileUntil(t, "all messages wait", func() bool { return p.arena.view(t, "poison", "order", id).Mailbox == int64(len(values)) })
	p.mu.Lock()
	p.hold = nil
	p.mu.Unlock()
	close(hold)
}

// send sends a value to an address.
func (p *poisoned) send(t *testing.T, id, value string) {
	t.Helper()
	p.arena.say(t, "poisoner", func(r *response) {
		r.OutgoingMessages = append(r.OutgoingMessages, &protocol.FromFunction_Invocation{Target: target("poison", "order", id), Argument: typed("test/event", []byte(value))})
	})
}

// dead waits for the letter of a message.
func (p *poisoned) dead(t *testing.T, id string, change func(d *api.DeadLetter)) {
	t.Helper()
	d := api.DeadLetter{
		Kind: api.DeadMessage, From: "poison/order", Reason: "function keeps failing", Detail: "delay of -1 ms",
		Address:  api.Address{Type: api.FunctionType{Namespace: "poison", Name: "order"}, ID: id},
		Caller:   api.Address{Type: api.FunctionType{Namespace: "test", Name: "say"}, ID: "poisoner"},
		TypeName: "test/event", Value: []byte("poison"),
	}
	if change != nil {
		change(&d)
	}
	p.arena.deadLetter(t, d)
}

// state waits for what is committed of the state of an address.
func (p *poisoned) state(t *testing.T, id, want string) {
	t.Helper()
	address := api.Address{Type: api.FunctionType{Namespace: "poison", Name: "order"}, ID: id}
	hostileUntil(t, "the state of "+id+" is "+want, func() bool {
		found, err := p.arena.store.States(t.Context(), []api.Address{address})
		return err == nil && len(found[0].Values) == 1 && string(found[0].Values[0].Value) == want
	})
}

// TestHostilePoison: a message on which its function keeps failing is set aside alone, with where it came from; the others of its
// address go on in order, with a state that knows nothing of it, and other addresses are not held up.
func TestHostilePoison(t *testing.T) {
	t.Parallel()
	p := newPoisoned(t, hostileBounds)
	a := p.arena
	t.Run("messages", func(t *testing.T) {
		a.around(t, func() {
			p.gather(t, "sent", func(v string) { p.send(t, "sent", v) }, "1", "2", "3", "poison", "4", "5", "6", "7", "8", "poison", "9", "10")
			a.around(t, func() {}) // while it fails
			p.dead(t, "sent", nil)
			p.dead(t, "sent", nil)
			p.send(t, "sent", "11")
			a.topics.want(t, "echoes", "sent", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11")
			p.state(t, "sent", "11")
		})
		p.halved(t)
	})
	t.Run("records", func(t *testing.T) {
		a.around(t, func() {
			p.gather(t, "brought", func(v string) { a.put(t, "poison", []byte("brought"), []byte(v)) }, "1", "poison", "2", "3")
			p.dead(t, "brought", func(d *api.DeadLetter) {
				d.Caller, d.Source, d.Offset = api.Address{}, api.Source{Ingress: "test/poison", Topic: a.prefix + "poison"}, 1
			})
			a.topics.want(t, "echoes", "brought", "1", "2", "3")
			p.state(t, "brought", "3")
		})
	})
	if a.seen.count("call poison/order bad_reply") == 0 {
		t.Error("no call is counted as a bad reply")
	}
	a.finish(t)
}

// halved looks at the calls: each of two messages was tried in a larger batch for the whole budget, then in fewer and fewer, and
// alone three times.
func (p *poisoned) halved(t *testing.T) {
	t.Helper()
	calls := p.calls()
	alone, repeated, different := 0, 0, 0
	for i, values := range calls {
		switch {
		case slices.Equal(values, []string{"poison"}):
			alone++
		case i > 0 && slices.Equal(values, calls[i-1]):
			repeated++
		default:
			different++
		}
	}
	if alone != 6 || repeated < 3 || different > 20 {
		t.Errorf("the poison was called alone %d times, want 2 x 3; batches were repeated %d times, want several; %d were different: %q", alone, repeated, different, calls)
	}
}

// TestHostileRedeploy: whatever an endpoint does while it is not itself (refuses connections, is overloaded, does not answer in
// time), for longer than the budget of a call, nothing is set aside.
func TestHostileRedeploy(t *testing.T) {
	t.Parallel()
	p := newPoisoned(t, hostileBounds)
	a := p.arena
	outlast := func(id, result string) {
		t.Helper()
		for i := range 3 {
			p.send(t, id, fmt.Sprint(i))
		}
		hostileUntil(t, "it has failed for three budgets", func() bool {
			v := a.view(t, "poison", "order", id)
			return v.FailingSince != 0 && time.Since(time.UnixMilli(v.FailingSince)) > 3*time.Second
		})
		if n := a.seen.count("call poison/order " + result); n < 2 {
			t.Errorf("%d calls are counted as %s", n, result)
		}
	}
	back := func(id string) {
		t.Helper()
		a.topics.want(t, "echoes", id, "0", "1", "2")
		p.state(t, id, "3")
	}
	t.Run("refused", func(t *testing.T) {
		a.around(t, func() {
			p.close()
			outlast("refused", "unreachable")
			p.again(t)
			back("refused")
		})
	})
	t.Run("503", func(t *testing.T) {
		a.around(t, func() {
			p.answer(http.StatusServiceUnavailable)
			outlast("overloaded", "overloaded")
			p.answer(0)
			back("overloaded")
		})
	})
	t.Run("no answer", func(t *testing.T) {
		a.around(t, func() {
			hold := make(chan struct{})
			p.mu.Lock()
			p.hold = hold
			p.mu.Unlock()
			outlast("late", "timeout")
			p.mu.Lock()
			p.hold = nil
			p.mu.Unlock()
			close(hold)
			back("late")
		})
	})
	a.finish(t)
}

// TestHostileDeadLetterBound: at the bound of its dead letters an address waits and says so, also after a restart; all others go on,
// and it goes on when some are discarded. An ingress at its bound brings nothing more until then.
func TestHostileDeadLetterBound(t *testing.T) {
	t.Parallel()
	bounds := hostileBounds
	bounds.DeadLettersMax = 2
	p := newPoisoned(t, bounds)
	a := p.arena
	a.around(t, func() {
		for range 3 {
			p.send(t, "bound", "poison")
		}
		p.send(t, "bound", "good")
		p.dead(t, "bound", nil)
		p.dead(t, "bound", nil)
		hostileUntil(t, "the status says that the bound is reached", func() bool { return a.reason(t, "deadletters") != "" })
		p.send(t, "beside", "good")
		a.topics.want(t, "echoes", "beside", "good")
	})
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	a.start(t)
	a.around(t, func() {
		hostileUntil(t, "the message is tried again, and waits", func() bool {
			v := a.view(t, "poison", "order", "bound")
			return v.LastError != "" && v.Mailbox == 2 && v.Stuck
		})
		if status := a.app.Status(t.Context()); status.Unready != "" || a.reason(t, "deadletters") == "" || a.app.DeadCount() != 2 {
			t.Errorf("%d dead letters, status %+v", a.app.DeadCount(), status)
		}
		a.discard(t, a.letters[0].Number)
		p.dead(t, "bound", nil)
		a.topics.want(t, "echoes", "bound", "good")
		p.state(t, "bound", "1")
	})
	a.discard(t, a.letters[1].Number)
	hostileUntil(t, "the status is good again", func() bool { return a.reason(t, "deadletters") == "" })

	first := a.put(t, "events", nil, []byte("x")).Offset
	a.put(t, "events", nil, []byte("x"))
	hostileUntil(t, "the ingress says that it waits", func() bool { return a.reason(t, "deadletters") != "" })
	a.event(t, "behind")
	for i := range int64(2) {
		a.deadLetter(t, api.DeadLetter{
			Kind: api.DeadRecord, From: "test/in", Reason: "null key", Source: api.Source{Ingress: "test/in", Topic: a.prefix + "events"}, Offset: first + i,
			TypeName: "test/event", Value: []byte("x"),
		})
	}
	a.discard(t, a.letters[len(a.letters)-1].Number)
	a.counted(t, "behind")
	a.finish(t)
}

// discard removes a letter, once however many ask.
func (a *arena) discard(t *testing.T, number uint64) {
	t.Helper()
	const askers = 4
	done := make(chan bool, askers)
	before := a.app.DeadCount()
	for range askers {
		go func() {
			err := a.app.DiscardOne(context.Background(), number, "the test")
			if err != nil && !errors.Is(err, dispatcher.ErrNothing) {
				t.Error(err)
			}
			done <- err == nil
		}()
	}
	found := 0
	for range askers {
		if <-done {
			found++
		}
	}
	if found != 1 {
		t.Errorf("dead letter %d was discarded %d times", number, found)
	}
	if after := a.app.DeadCount(); after > before { // the room may be taken already
		t.Errorf("%d dead letters after, %d before", after, before)
	}
}
