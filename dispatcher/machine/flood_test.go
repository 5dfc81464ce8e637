package machine

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// flood is one function that sends many messages to another one whose endpoint is down.
type flood struct {
	t     *testing.T
	m     *Machine
	store *memory.Store
	now   int64
	up    bool
	each  int // messages that a call of the sender sends

	sent, got         int
	seen              map[string]int // messages by target id
	mailMax, cellsMax int
	spilledMax        int // bytes that one commit has spilled
	calls, probes     int
}

var (
	floodSender = api.FunctionType{Namespace: "x", Name: "sender"}
	floodTarget = api.FunctionType{Namespace: "x", Name: "target"}
)

// TestFlood: what is sent to an endpoint that is down costs disk and not memory, however much it is and however many addresses
// it is for; the endpoint is probed and not hammered; and when it is back, everything is called once and in order.
func TestFlood(t *testing.T) {
	const addresses, calls, each, mailMax, effectMax = 3000, 60, 500, 1 << 20, 256 << 10
	f := &flood{t: t, now: 1, each: each, seen: map[string]int{}}
	f.store = memory.New(memory.Config{Identity: "flood", Lease: time.Nanosecond, Now: func() time.Time { return time.UnixMilli(f.now) }})
	claim, _ := f.store.TryAcquire(statestore.Member{ID: "m"}, nil)
	f.m = New(Config{
		Function: func(t api.FunctionType) (Function, bool) {
			return Function{Endpoint: "http://" + t.Name, BatchMessages: 10}, true
		},
		MailBytesMax: mailMax, EffectBytesMax: effectMax, MailWindow: 4 << 10, CacheBytesMax: 100_000, TimerAhead: 1 << 40,
	}, claim, f.now)
	source := api.Source{Ingress: "in", Topic: "t"}
	f.m.Started(statestore.Progress{Source: source}, 0)
	routes := []api.Route{{Key: "sender", Target: floodSender}}
	for i := range int64(calls) {
		f.m.Arrive(source, []api.Record{{Offset: i, ID: "s", Routes: routes}})
		f.play(addresses)
		f.pass(20)
		f.play(addresses)
	}
	for range 100 {
		f.pass(100)
		f.play(addresses)
	}
	if f.sent != calls*each {
		t.Fatalf("%d messages were sent, want %d", f.sent, calls*each)
	}
	if limit := mailMax + 2*each*210; f.mailMax > limit {
		t.Errorf("mailboxes took %d bytes, want at most %d", f.mailMax, limit)
	}
	if limit := effectMax/2 + 2*each*210; f.spilledMax > limit {
		t.Errorf("one commit has spilled %d bytes, want at most %d", f.spilledMax, limit)
	}
	if f.cellsMax > 8000 {
		t.Errorf("%d addresses were in memory", f.cellsMax)
	}
	if f.probes > each+60 { // those that were out when it went down, and two probes a second
		t.Errorf("an endpoint that is down was called %d times in 10 s", f.probes)
	}
	f.up = true
	for i := 0; f.got < f.sent && i < 20_000; i++ {
		f.pass(100)
		f.play(addresses)
	}
	if g := f.m.Gauges(); f.got != f.sent || g.MailMessages != 0 || g.MailBytes != 0 {
		t.Errorf("%d of %d messages were called, %d wait, %d bytes", f.got, f.sent, g.MailMessages, g.MailBytes)
	}
	t.Logf("most in memory: %d bytes of mail, %d addresses; %d calls while down, %d in all", f.mailMax, f.cellsMax, f.probes, f.calls)
}

func (f *flood) pass(ms int64) {
	f.now += ms
	f.m.Tick(f.now)
}

// play answers everything until nothing is to be done.
func (f *flood) play(addresses int) {
	ctx := context.Background()
	for again := true; again; {
		w := f.m.Work()
		f.mailMax, f.cellsMax = max(f.mailMax, f.m.mailBytes), max(f.cellsMax, len(f.m.cells))
		again = len(w.Calls)+len(w.Loads)+len(w.MailLoads)+len(w.Spills) > 0 || w.Commit != nil || w.TimerLoad != nil
		for i := range w.Calls {
			f.call(&w.Calls[i], addresses)
		}
		for _, l := range w.Loads {
			found, _ := f.store.States(ctx, l.Addresses)
			f.m.Loaded(l.ID, found)
		}
		for _, l := range w.MailLoads {
			found, _ := f.store.Mail(ctx, l.Address, l.From, l.BytesMax)
			f.m.MailLoaded(l.ID, found)
		}
		for _, l := range w.Spills {
			found, next, _ := f.store.SpilledAddresses(ctx, l.Function, l.Cursor, l.Limit)
			f.m.SpillsLoaded(l.ID, found, next)
		}
		if w.TimerLoad != nil {
			f.m.TimersLoaded(w.TimerLoad.ID, nil)
		}
		if w.Commit != nil {
			spilled := 0
			for _, chunk := range w.Commit.Mail {
				for i := range chunk.Messages {
					spilled += chunk.Messages[i].Message.Size()
				}
			}
			f.spilledMax = max(f.spilledMax, spilled)
			if err := f.store.Commit(ctx, w.Commit); err != nil {
				f.t.Fatal(err)
			}
			f.m.Committed(w.Commit.Number)
		}
	}
	if err := f.m.Invariants(); err != nil {
		f.t.Fatal(err)
	}
}

func (f *flood) call(c *Call, addresses int) {
	f.calls++
	if c.Function == floodSender {
		reply := &Reply{}
		for range f.each {
			to := api.Address{Type: floodTarget, ID: strconv.Itoa(f.sent * 7919 % addresses)}
			n := f.sent / addresses // of the message among those to its target
			reply.Sends = append(reply.Sends, Send{Target: to, Argument: api.TypedValue{Value: []byte(strconv.Itoa(n))}})
			f.sent++
		}
		f.m.Replied(c.ID, reply)
		return
	}
	if !f.up {
		f.probes++
		f.m.Failed(c.ID, Failure{Kind: FailEndpoint, Text: "refused"})
		return
	}
	for i := range c.Messages {
		if got, want := string(c.Messages[i].Argument.Value), strconv.Itoa(f.seen[c.Target.ID]); got != want {
			f.t.Fatalf("%v is called with message %s, want %s", c.Target, got, want)
		}
		f.seen[c.Target.ID]++
		f.got++
	}
	f.m.Replied(c.ID, &Reply{})
}
