package machine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// stage is where a scenario is played: one machine on one memory store. Questions to the store are answered at once unless the
// scenario wants to answer them itself.
type stage struct {
	t      *testing.T
	store  *memory.Store
	cfg    machine.Config
	fns    map[string]machine.Function
	manual []string // kinds of questions that wait for their command
	routes map[string][]api.Route

	m      *machine.Machine
	inc    uint64
	now    int64
	calls  []machine.Call // that are out
	old    []machine.Call // that were out in earlier incarnations
	commit *statestore.Commit
	asks   []question
	extra  strings.Builder // what commands answer themselves
}

type question struct {
	kind, text string
	answer     func()
}

func functionType(s string) api.FunctionType { return api.FunctionType{Namespace: "x", Name: s} }

func address(s string) api.Address {
	f, id, _ := strings.Cut(s, "/")
	if f == "reply" { // of somebody outside
		if key, nonce, ok := strings.Cut(id, "."); ok {
			o := onceOf(key, "", nonce)
			id = o.Key + "." + o.Nonce
		}
		return api.Address{Type: machine.ReplyType, ID: id}
	}
	return api.Address{Type: functionType(f), ID: id}
}

// pair reads target=value.
func pair(s string) (string, api.TypedValue) {
	key, value, _ := strings.Cut(s, "=")
	return key, typed("v", value)
}

// create is `new`: an empty store, and a machine with the bounds that are named.
func (s *stage) create(args []string) {
	s.now, s.inc, s.calls, s.old, s.commit, s.asks, s.manual = 1000, 0, nil, nil, nil, nil, nil
	s.fns, s.routes = map[string]machine.Function{}, map[string][]api.Route{}
	s.cfg = machine.Config{
		BackoffMin: 16, SweepInterval: 1_000_000, TimerAhead: 1_000_000, Egresses: map[string]machine.Egress{},
		Function: func(t api.FunctionType) (machine.Function, bool) {
			f, ok := s.fns[t.Name]
			return f, ok && t.Namespace == "x"
		},
	}
	bounds := map[string]*int64{
		"age": &s.cfg.CommitAgeMax, "youngage": &s.cfg.YoungAge, "lazy": &s.cfg.LazyAgeMax, "hold": &s.cfg.HoldMax, "backoff": &s.cfg.BackoffMin, "backoffmax": &s.cfg.BackoffMax,
		"probe": &s.cfg.ProbeInterval, "window": &s.cfg.BreakerWindow, "outbox": &s.cfg.OutboxBytesMax, "kept": &s.cfg.KeptBytesMax, "stored": &s.cfg.StoredBytesMax,
		"dead": &s.cfg.DeadLettersMax, "deadbytes": &s.cfg.DeadLetterBytesMax, "ahead": &s.cfg.TimerAhead, "sweep": &s.cfg.SweepInterval, "once": &s.cfg.OnceTTL, "onces": &s.cfg.OnceMax, "oncebytes": &s.cfg.OnceBytesMax,
	}
	counts := map[string]*int{
		"slots": &s.cfg.Slots, "young": &s.cfg.YoungRequests, "bulkmessages": &s.cfg.BulkMessages, "bulkbytes": &s.cfg.BulkBytes, "failures": &s.cfg.BreakerFailures, "ranges": &s.cfg.RangesMax, "records": &s.cfg.SourceMessagesMax, "recordbytes": &s.cfg.SourceBytesMax,
		"mail": &s.cfg.MailBytesMax, "mailwindow": &s.cfg.MailWindow, "cache": &s.cfg.CacheBytesMax, "effects": &s.cfg.EffectsMax,
		"effectbytes": &s.cfg.EffectBytesMax, "events": &s.cfg.EventMessagesMax, "eventbytes": &s.cfg.EventBytesMax, "loads": &s.cfg.LoadsMax, "loadbatch": &s.cfg.LoadBatch, "timerbatch": &s.cfg.TimerBatch,
	}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		switch {
		case key == "manual":
			s.manual = strings.Split(value, ",")
		case bounds[key] != nil:
			*bounds[key] = number(value)
		case counts[key] != nil:
			*counts[key] = int(number(value))
		default:
			s.t.Fatalf("new: unknown bound %q", key)
		}
	}
	s.store = memory.New(memory.Config{Identity: "scenario", Lease: time.Nanosecond, Now: func() time.Time { return time.UnixMilli(s.now) }})
}

// start is the beginning of an incarnation with what the store keeps.
func (s *stage) start() {
	outboxes := []string{}
	for id, e := range s.cfg.Egresses {
		if e.Outbox {
			outboxes = append(outboxes, id)
		}
	}
	slices.Sort(outboxes)
	claim, ok := s.store.TryAcquire(statestore.Member{ID: "m"}, outboxes)
	if !ok {
		s.t.Fatal("the store is not given")
	}
	s.inc++
	s.old, s.calls, s.asks, s.commit = append(s.old, s.calls...), nil, nil, nil
	cfg := s.cfg
	cfg.Incarnation = s.inc
	s.m = machine.New(cfg, claim, s.now)
	for _, p := range claim.Progress {
		fmt.Fprintf(&s.extra, "read on %s\n", progress(p))
	}
}

// work asks the machine, answers what the scenario leaves to the stage, and tells what was to be done.
func (s *stage) work() string {
	out := &strings.Builder{}
	out.WriteString(s.extra.String())
	s.extra.Reset()
	tick := int64(0)
	for again := s.m != nil; again; {
		w := s.m.Work()
		if err := s.m.Invariants(); err != nil {
			s.t.Fatal(err)
		}
		s.tell(out, &w)
		tick, again = w.Tick, s.answerAll()
	}
	if s.m != nil && tick-s.now < 100_000 {
		fmt.Fprintf(out, "tick +%d\n", tick-s.now)
	}
	return out.String()
}

// answerAll answers the questions that are not the scenario's.
func (s *stage) answerAll() (any bool) {
	for i := 0; i < len(s.asks); {
		if slices.Contains(s.manual, s.asks[i].kind) {
			i++
			continue
		}
		q := s.asks[i]
		s.asks = slices.Delete(s.asks, i, i+1)
		q.answer()
		any = true
	}
	return any
}

func (s *stage) ask(out *strings.Builder, kind, text string, answer func()) {
	s.asks = append(s.asks, question{kind, text, answer})
	if slices.Contains(s.manual, kind) {
		fmt.Fprintf(out, "%s %s\n", kind, text)
	}
}

func (s *stage) takeAsks(out *strings.Builder, w *machine.Work) {
	ctx, m := context.Background(), s.m
	for _, q := range w.Loads {
		names := []string{}
		for _, a := range q.Addresses {
			names = append(names, name(a))
		}
		s.ask(out, "load", strings.Join(names, " "), func() {
			found, _ := s.store.States(ctx, q.Addresses)
			m.Loaded(q.ID, found)
		})
	}
	for _, q := range w.MailLoads {
		s.ask(out, "mail", fmt.Sprintf("%s from %d", name(q.Address), q.From), func() {
			found, _ := s.store.Mail(ctx, q.Address, q.From, q.BytesMax)
			m.MailLoaded(q.ID, found)
		})
	}
	if q := w.TimerLoad; q != nil {
		s.ask(out, "timers", fmt.Sprintf("due before +%d", q.Due-s.now), func() {
			found, _ := s.store.Timers(ctx, q.After, q.Due, q.Limit)
			m.TimersLoaded(q.ID, found)
		})
	}
	for _, q := range w.Spills {
		s.ask(out, "walk", q.Function.Name, func() {
			found, next, _ := s.store.SpilledAddresses(ctx, q.Function, q.Cursor, q.Limit)
			m.SpillsLoaded(q.ID, found, next)
		})
	}
	if q := w.Expired; q != nil {
		s.ask(out, "expired", fmt.Sprintf("before +%d", q.Before-s.now), func() {
			found, _ := s.store.ExpiredAddresses(ctx, q.Before, q.Limit)
			m.Expired(q.ID, found)
		})
	}
}
