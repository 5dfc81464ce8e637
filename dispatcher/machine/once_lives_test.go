package machine_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

var (
	onceSeed  = flag.Uint64("once-seed", 0, "play the life of this seed alone")
	onceFirst = flag.Uint64("once-first", 0, "seed of the first life; 0: a fresh one")
	onceLives = flag.Int("once-lives", 300, "how many lives of keys to play")
)

// TestOnceLives plays lives of events under keys: each is sent again and again, by several clients at once, while memories are lost before,
// within and behind their commits, and calls are answered late or not at all. What the store holds in the end is judged by what the
// clients were told.
func TestOnceLives(t *testing.T) {
	first, n := *onceSeed, 1
	if first == 0 {
		first, n = *onceFirst, *onceLives
	}
	if first == 0 {
		first = rand.Uint64N(1 << 40)
	}
	sum := map[string]int{}
	for seed := first; seed < first+uint64(n); seed++ {
		l := &onceLife{rng: rand.New(rand.NewPCG(seed, 0)), seen: sum}
		if err := l.play(); err != nil {
			t.Fatalf("life failed: seed=%d after=%d checker=once: %v\nplay it again: go test ./dispatcher/machine -run TestOnceLives -once-seed=%d", seed, seed-first+1, err, seed)
		}
	}
	if *onceSeed == 0 && n >= 100 { // what few lives do not have to see
		for _, what := range []string{"crash before the commit", "crash behind the commit", "reply", "accepted", "conflict", "same reply after a crash"} {
			if sum[what] < n/10 {
				t.Errorf("only %d times: %s; all: %v", sum[what], what, sum)
			}
		}
	}
}

// onceLife is one store, and memory after memory on it.
type onceLife struct {
	rng   *rand.Rand
	seen  map[string]int
	store *memory.Store
	m     *machine.Machine
	inc   uint64
	now   int64
	token uint64
	ends  bool // nobody sends any more

	calls  []machine.Call
	commit *statestore.Commit
	made   bool                // the commit is in the store
	waits  map[uint64]*attempt // by token
	told   map[string]told     // by key: what a client was answered
	sent   map[string]string   // bodies by which each key was begun, if it was: the first of those that were sent
}

type attempt struct {
	key, body string
	reply     bool
}

// told is what the clients of a key know.
type told struct {
	body  string
	value string // "": that it is accepted
	inc   uint64
}

const onceKeys = 6

// Keys whose number is even want a reply. The function appends each body to its log and answers with the length of the log.
func (l *onceLife) play() error {
	l.now, l.told, l.sent = 1000, map[string]told{}, map[string]string{}
	l.store = memory.New(memory.Config{Identity: "once", Lease: time.Nanosecond, Now: func() time.Time { return time.UnixMilli(l.now) }})
	l.begin()
	for step := range 150 {
		if err := l.step(step >= 120); err != nil {
			return fmt.Errorf("step %d: %w", step, err)
		}
	}
	for at := range 5000 { // to its end, without any crash
		if l.ends = at > 200; l.ends && len(l.waits) == 0 {
			break
		}
		if err := l.step(true); err != nil {
			return fmt.Errorf("in the end: %w", err)
		}
	}
	for _, a := range l.waits {
		return fmt.Errorf("%+v is never answered", a)
	}
	return l.judge()
}

func (l *onceLife) begin() {
	claim, _ := l.store.TryAcquire(statestore.Member{ID: "m"}, nil)
	l.inc++
	l.calls, l.commit, l.waits = nil, nil, map[uint64]*attempt{}
	l.m = machine.New(machine.Config{
		Incarnation: l.inc, Seed: l.rng.Uint64(), BackoffMin: 5, EffectsMax: 1 + l.rng.IntN(50), CacheBytesMax: 1 + l.rng.IntN(5000), MailBytesMax: 100 + l.rng.IntN(5000), MailWindow: 200,
		EventMessagesMax: 1 + l.rng.IntN(4), SweepInterval: 50, Egresses: map[string]machine.Egress{},
		Function: func(t api.FunctionType) (machine.Function, bool) {
			return machine.Function{Endpoint: "http://f"}, t.Namespace == "x"
		},
	}, claim, l.now)
}

// step is one thing that happens, and the work that follows.
func (l *onceLife) step(calm bool) error {
	switch k := l.rng.IntN(20); {
	case k < 6 && !l.ends:
		l.send(calm)
	case k < 10:
		l.answerCall(calm)
	case k < 15:
		l.commitStep()
	case k < 16 && !calm:
		what := "crash before the commit"
		if l.commit != nil && (l.made || l.rng.IntN(2) == 0) {
			what = "crash behind the commit"
			l.make()
		}
		l.seen[what]++
		l.begin()
	case k < 17 && !calm:
		for token, a := range l.waits { // one that waits no longer; which one makes no difference to the rest
			if a.reply {
				delete(l.waits, token)
				l.m.ForgetOnce(l.once(a, token))
			}
			break
		}
	default:
		l.now += l.rng.Int64N(20)
		l.m.Tick(l.now)
	}
	return l.work()
}

func (l *onceLife) once(a *attempt, token uint64) machine.Once {
	pad := func(s string, n int) string { return s + strings.Repeat("-", n-len(s)) }
	return machine.Once{Key: pad(a.key, machine.KeyBytes), Digest: pad(a.body, machine.KeyBytes), Nonce: pad(fmt.Sprintf("n%d.", token)[:len(fmt.Sprint(token))+1], machine.NonceBytes)}
}

func (l *onceLife) send(calm bool) {
	n := l.rng.IntN(onceKeys)
	a := &attempt{key: fmt.Sprint("k", n), body: fmt.Sprint("b", n), reply: n%2 == 0}
	if l.rng.IntN(5) == 0 && !calm {
		a.body = fmt.Sprint("other", n)
	}
	if calm && l.sent[a.key] != "" {
		a.body = l.sent[a.key]
	}
	l.token++
	take := l.m.SendOnce
	if a.reply {
		take = l.m.AskOnce
	}
	msg := api.Message{Target: address(fmt.Sprintf("f/%d", n%2)), Argument: typed("v", a.body+"/"+a.key)}
	if take(msg, l.once(a, l.token), l.token) == nil {
		l.waits[l.token] = a
	}
}

func (l *onceLife) answerCall(calm bool) {
	if len(l.calls) == 0 {
		return
	}
	at := l.rng.IntN(len(l.calls))
	c := l.calls[at]
	l.calls = slices.Delete(l.calls, at, at+1)
	if !calm && l.rng.IntN(4) == 0 {
		l.m.Failed(c.ID, machine.Failure{Kind: machine.FailAnswer, Text: "on purpose"})
		return
	}
	if len(c.States) == 0 {
		l.m.Replied(c.ID, &machine.Reply{Incomplete: true, Missing: []statestore.StateSpec{{Name: "log", TypeName: "v"}}})
		return
	}
	r, log := &machine.Reply{}, string(c.States[0].Value.Value)
	for _, msg := range c.Messages {
		log += string(msg.Argument.Value) + " "
		if msg.Caller.IsZero() {
			continue
		}
		reply := machine.Send{Target: msg.Caller, Argument: typed("v", fmt.Sprintf("%s is number %d", msg.Argument.Value, strings.Count(log, " ")))}
		guess := reply
		guess.Target.ID = guess.Target.ID[:len(guess.Target.ID)-1] + "?"
		guess.Argument = typed("v", "guessed")
		r.Sends = append(r.Sends, guess)
		late := machine.Send{Target: msg.Caller, Argument: typed("v", "too late")}
		if l.rng.IntN(3) == 0 {
			r.Delayed = append(r.Delayed, machine.Delayed{Send: reply, Delay: l.rng.Int64N(30)}, machine.Delayed{Send: late, Delay: 50})
		} else {
			r.Sends = append(r.Sends, reply, late)
		}
	}
	r.Mutations = []machine.Mutation{{Name: "log", Value: typed("v", log)}}
	l.m.Replied(c.ID, r)
}

func (l *onceLife) make() {
	if !l.made {
		if err := l.store.Commit(context.Background(), l.commit); err != nil {
			panic(err)
		}
		l.made = true
	}
}

func (l *onceLife) commitStep() {
	if l.commit == nil {
		return
	}
	l.make()
	if l.rng.IntN(2) == 0 {
		n := l.commit.Number
		l.commit = nil
		l.m.Committed(n)
	}
}

// work takes what is to be done until nothing is asked any more.
func (l *onceLife) work() error {
	for again := true; again; {
		w := l.m.Work()
		if err := l.m.Invariants(); err != nil {
			return err
		}
		if w.Commit != nil {
			l.commit, l.made = w.Commit, false
		}
		for i := range w.Answers {
			if err := l.answered(&w.Answers[i]); err != nil {
				return err
			}
		}
		l.calls = append(l.calls, w.Calls...)
		again = l.load(&w)
	}
	return nil
}

func (l *onceLife) load(w *machine.Work) (any bool) {
	ctx := context.Background()
	for _, q := range w.Loads {
		found, _ := l.store.States(ctx, q.Addresses)
		l.m.Loaded(q.ID, found)
		any = true
	}
	for _, q := range w.MailLoads {
		found, _ := l.store.Mail(ctx, q.Address, q.From, q.BytesMax)
		l.m.MailLoaded(q.ID, found)
		any = true
	}
	if q := w.TimerLoad; q != nil {
		found, _ := l.store.Timers(ctx, q.After, q.Due, q.Limit)
		l.m.TimersLoaded(q.ID, found)
		any = true
	}
	for _, q := range w.Spills {
		found, next, _ := l.store.SpilledAddresses(ctx, q.Function, q.Cursor, q.Limit)
		l.m.SpillsLoaded(q.ID, found, next)
		any = true
	}
	if q := w.Expired; q != nil {
		found, _ := l.store.ExpiredAddresses(ctx, q.Before, q.Limit)
		l.m.Expired(q.ID, found)
		any = true
	}
	return any
}

// answered judges an answer by those that were given before, and by what the store has: what it says is durable.
func (l *onceLife) answered(a *machine.Answer) error {
	at := l.waits[a.Token]
	if at == nil {
		return nil // it waits no longer
	}
	delete(l.waits, a.Token)
	before, known := l.told[at.key]
	if a.Outcome == machine.Conflict {
		l.seen["conflict"]++
		if known && before.body == at.body {
			return fmt.Errorf("%+v is a conflict, and was answered %+v", at, before)
		}
		return nil
	}
	now := told{at.body, string(a.Value.Value), l.inc}
	switch {
	case at.reply != (a.Outcome == machine.Replied):
		return fmt.Errorf("%+v has the outcome %d", at, a.Outcome)
	case known && (before.body != now.body || before.value != now.value):
		return fmt.Errorf("%+v is answered %+v, and was %+v before", at, now, before)
	case at.reply && !strings.HasPrefix(now.value, at.body+"/"+at.key+" is number "):
		return fmt.Errorf("%+v is answered %q", at, now.value)
	}
	l.seen[map[bool]string{true: "reply", false: "accepted"}[at.reply]]++
	if known && before.inc != l.inc && at.reply {
		l.seen["same reply after a crash"]++
	}
	l.told[at.key], l.sent[at.key] = now, at.body
	if at.reply && !strings.Contains(l.log(at.key), at.body+"/"+at.key+" ") {
		return fmt.Errorf("%+v is answered %q, and the store does not have what its call has done: %q", at, now.value, l.log(at.key))
	}
	return nil
}

// log is what the function of a key has done, as the store has it.
func (l *onceLife) log(key string) string {
	found, _ := l.store.States(context.Background(), []api.Address{address("f/" + fmt.Sprint(int(key[1]-'0')%2))})
	for _, v := range found[0].Values {
		if v.Name == "log" {
			return string(v.Value)
		}
	}
	return ""
}

// judge finds what took effect twice, or never though its client was told so, or other than the client was told.
func (l *onceLife) judge() error {
	for n := range onceKeys {
		key := fmt.Sprint("k", n)
		took := map[string]int{}
		for word := range strings.FieldsSeq(l.log(key)) {
			if body, k, _ := strings.Cut(word, "/"); k == key {
				took[body]++
			}
		}
		known, ok := l.told[key]
		all := slices.Collect(maps.Values(took))
		if len(all) > 1 || len(all) == 1 && all[0] != 1 {
			return fmt.Errorf("key %s took effect as %v", key, took)
		}
		if ok && took[known.body] != 1 {
			return fmt.Errorf("key %s was answered %+v, and took effect as %v", key, known, took)
		}
	}
	return nil
}
