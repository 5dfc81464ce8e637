package machine_test

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// command does what one line of a scenario says.
func (s *stage) command(line string) {
	all := words(line)
	verb, args := all[0], all[1:]
	switch verb {
	case "new":
		s.create(args)
	case "function":
		s.function(args)
	case "undeclare":
		delete(s.fns, args[0])
		delete(s.cfg.Egresses, args[0])
	case "reroute":
		s.routes[args[0]] = nil
		s.route(args)
	case "egress":
		s.cfg.Egresses[args[0]] = machine.Egress{Outbox: len(args) == 1}
	case "route":
		s.route(args)
	case "start":
		s.start()
	case "restart":
		s.start()
	case "begin":
		s.m.Started(statestore.Progress{Source: sourceOf(args[0]), Start: number(args[1])}, 0)
	case "arrive":
		s.arrive(args)
	case "answer":
		s.answer(args[0])
	case "reply":
		s.m.Replied(s.take(address(args[0])).ID, parseReply(args[1:]))
	case "stale":
		at := slices.IndexFunc(s.old, func(c machine.Call) bool { return c.Target == address(args[0]) })
		s.m.Replied(s.old[at].ID, parseReply(args[1:]))
	case "fail":
		s.fail(args)
	case "unanswered": // unanswered FUNCTION/ID ... [refused]
		refused := args[len(args)-1] == "refused"
		for _, a := range args {
			if a != "refused" {
				s.m.Unanswered(s.take(address(a)).ID, refused)
			}
		}
	case "write":
		s.write()
	case "commit":
		if s.commit == nil {
			s.extra.WriteString("no commit is out\n")
			return
		}
		s.write()
		n := s.commit.Number
		s.commit = nil
		s.m.Committed(n)
	case "tick":
		s.now += number(args[0])
		s.m.Tick(s.now)
	case "delivered":
		s.m.Delivered(statestore.LaneID{Egress: args[0]}, uint64(number(args[1])))
	case "lanestarted":
		s.m.LaneStarted(statestore.LaneID{Egress: args[0]}, uint64(number(args[1])))
	case "refused":
		dead := api.DeadLetter{Kind: api.DeadOutput, From: args[0], Offset: number(args[1]), Reason: "refused"}
		s.m.Refused(statestore.LaneID{Egress: args[0]}, []api.DeadLetter{dead}, uint64(number(args[2])))
	case "discard":
		s.discard(args[0], uint64(number(args[1])))
	case "replay":
		s.replay(args)
	case "edit":
		s.edit(args)
	case "forgetingress", "forgetegress":
		s.forgetAll(verb, args)
	case "pause", "resume":
		s.pause(verb, args)
	case "retry":
		s.m.Retry(address(args[0]), "op", uint64(number(args[1])), s.said(args[1]))
	case "skip":
		s.m.Skip(address(args[0]), uint64(number(args[1])), "op", uint64(number(args[2])), s.said(args[2]))
	case "event":
		to, v := pair(args[0])
		if r := s.m.Event(api.Message{Target: address(to), Argument: v}, uint64(number(args[1]))); r != nil {
			fmt.Fprintf(&s.extra, "refused %s: %s, %s\n", args[1], r.Reason, r.Detail)
		}
	case "ask":
		to, v := pair(args[0])
		if r := s.m.Ask(api.Message{Target: address(to), Argument: v}, args[1], uint64(number(args[2]))); r != nil {
			fmt.Fprintf(&s.extra, "refused %s: %s, %s\n", args[2], r.Reason, r.Detail)
		}
	case "once": // once ask|send FUNCTION/ID=VALUE KEY DIGEST NONCE TOKEN
		to, v := pair(args[1])
		take := map[string]func(api.Message, machine.Once, uint64) *machine.Refusal{"ask": s.m.AskOnce, "send": s.m.SendOnce}[args[0]]
		if r := take(api.Message{Target: address(to), Argument: v}, onceOf(args[2], args[3], args[4]), uint64(number(args[5]))); r != nil {
			fmt.Fprintf(&s.extra, "refused %s: %s, %s\n", args[5], r.Reason, r.Detail)
		}
	case "plant":
		s.plant(args[0], args[1])
	case "forgetonce":
		s.m.ForgetOnce(onceOf(args[0], "", args[1]))
	case "forget":
		s.m.Forget(args[0])
	case "later":
		to, v := pair(args[1])
		if r := s.m.Later(api.Message{Target: address(to), Argument: v}, number(args[0]), args[2], uint64(number(args[3]))); r != nil {
			fmt.Fprintf(&s.extra, "refused %s: %s, %s\n", args[3], r.Reason, r.Detail)
		}
	case "cancellater":
		s.m.CancelLater(args[0], uint64(number(args[1])))
	case "withdraw":
		back := s.m.Withdraw(address(args[0]).Type, uint64(number(args[1])))
		fmt.Fprintf(&s.extra, "taken back %s: %v\n", args[1], back)
	case "sync":
		s.m.Sync(uint64(number(args[0])))
	case "show":
		s.show(args)
	default:
		s.t.Fatalf("unknown command %q", line)
	}
}

// plant is what another program has written of a record of keys: KEY STATE=VALUE. Its types are empty.
func (s *stage) plant(key, state string) {
	claim, ok := s.store.TryAcquire(statestore.Member{ID: "m"}, nil)
	if !ok {
		s.t.Fatal("the store is not given")
	}
	name, value, _ := strings.Cut(state, "=")
	id := key
	if key != "total" {
		id = onceOf(key, "", "").Key
	}
	found, err := s.store.States(context.Background(), []api.Address{{Type: machine.OnceType, ID: id}})
	if err != nil {
		s.t.Fatal(err)
	}
	values := slices.DeleteFunc(slices.Clone(found[0].Values), func(v statestore.StateValue) bool { return v.Name == name })
	values = append(values, statestore.StateValue{Name: name, Value: []byte(value), Touched: s.now, Changed: true})
	slices.SortFunc(values, func(a, b statestore.StateValue) int { return strings.Compare(a.Name, b.Name) })
	c := &statestore.Commit{Fence: claim.Fence, Number: claim.Commit + 1, NextNumber: claim.NextNumber}
	c.States = []statestore.AddressState{{Address: api.Address{Type: machine.OnceType, ID: id}, Values: values}}
	if err := s.store.Commit(context.Background(), c); err != nil {
		s.t.Fatal(err)
	}
}

// onceOf pads short names to the lengths that keys, digests and nonces have.
func onceOf(key, digest, nonce string) machine.Once {
	pad := func(s string, n int) string { return s + strings.Repeat("-", n-len(s)) }
	return machine.Once{Key: pad(key, machine.KeyBytes), Digest: pad(digest, machine.KeyBytes), Nonce: pad(nonce, machine.NonceBytes)}
}

// function declares one: name, and its bounds.
func (s *stage) function(args []string) {
	f := machine.Function{Endpoint: "http://" + args[0]}
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		switch key {
		case "at":
			f.Endpoint = value
		case "batch":
			f.BatchMessages = int(number(value))
		case "bytes":
			f.BatchBytes = int(number(value))
		case "budget":
			f.Budget = number(value)
		case "refusal":
			f.Refusal = value
		case "onfailure":
			f.OnFailure = map[string]machine.Policy{"retry": machine.Retry, "deadletter": machine.SetAside}[value]
		default:
			s.t.Fatalf("function: unknown %q", key)
		}
	}
	s.fns[args[0]] = f
}

func sourceOf(topic string) api.Source { return api.Source{Ingress: "in", Topic: topic} }

func (s *stage) route(args []string) {
	for _, target := range args[1:] {
		f, _, _ := strings.Cut(target, "#")
		s.routes[args[0]] = append(s.routes[args[0]], api.Route{Key: target, Target: functionType(f)})
	}
}

// arrive brings records: offset:id=value, or offset:dead.
func (s *stage) arrive(args []string) {
	var records []api.Record
	for _, arg := range args[1:] {
		offset, rest, _ := strings.Cut(arg, ":")
		r := api.Record{Offset: number(offset), Routes: s.routes[args[0]]}
		r.ID, r.Value = pair(rest)
		if rest == "skipped" {
			records = append(records, api.Record{Offset: number(offset)})
			continue
		}
		if rest == "dead" {
			r = api.Record{Offset: r.Offset, Dead: &api.DeadLetter{Kind: api.DeadRecord, From: "in", Reason: "null key", Source: sourceOf(args[0]), Offset: r.Offset}}
		}
		records = append(records, r)
	}
	s.m.Arrive(sourceOf(args[0]), records)
}

// answer lets the store answer the questions of one kind that wait.
func (s *stage) answer(kind string) {
	waiting := s.asks
	s.asks = nil
	for _, q := range waiting {
		if q.kind == kind {
			q.answer()
		} else {
			s.asks = append(s.asks, q)
		}
	}
}

// take finds the call that is out to an address.
func (s *stage) take(a api.Address) machine.Call {
	at := slices.IndexFunc(s.calls, func(c machine.Call) bool { return c.Target == a })
	if at < 0 {
		s.t.Fatalf("no call of %v is out", a)
	}
	c := s.calls[at]
	s.calls = slices.Delete(s.calls, at, at+1)
	return c
}

func (s *stage) fail(args []string) {
	f := machine.Failure{Text: args[1]}
	f.Kind = map[string]machine.FailureKind{
		"endpoint": machine.FailEndpoint, "timeout": machine.FailTimeout, "toolarge": machine.FailTooLarge, "answer": machine.FailAnswer,
		"busy": machine.FailBusy,
	}[args[1]]
	if len(args) > 2 {
		f.RetryAfter = number(args[2])
	}
	s.m.Failed(s.take(address(args[0])).ID, f)
}

// discard removes the oldest dead letter of an origin that the store has.
func (s *stage) discard(origin string, token uint64) {
	found, err := s.store.DeadLetters(context.Background(), 0, 1000)
	at := slices.IndexFunc(found, func(d api.DeadLetter) bool { return d.Origin == origin })
	if err != nil || at < 0 {
		s.t.Fatalf("no dead letter of %s: %v, %v", origin, found, err)
	}
	s.m.Discard(found[at:at+1], "op", origin, token)
}

// write makes the commit that is out durable without telling the machine.
func (s *stage) write() {
	if s.commit == nil {
		s.t.Fatal("no commit is out")
	}
	if err := s.store.Commit(context.Background(), s.commit); err != nil {
		s.t.Fatal(err)
	}
}

// parseReply reads effects: send TO=V, delay MS TO=V [as TOKEN], cancel TOKEN, out EGRESS=V, set NAME=V, del NAME,
// missing NAME:TYPE[:write|invoke:TTL].
func parseReply(args []string) *machine.Reply {
	r := &machine.Reply{}
	next := func() string {
		v := args[0]
		args = args[1:]
		return v
	}
	for len(args) > 0 {
		switch verb := next(); verb {
		case "send":
			to, v := pair(next())
			r.Sends = append(r.Sends, machine.Send{Target: address(to), Argument: v})
		case "delay":
			d := machine.Delayed{Delay: number(next())}
			to, v := pair(next())
			d.Send = machine.Send{Target: address(to), Argument: v}
			if len(args) > 0 && args[0] == "as" {
				d.Token = args[1]
				args = args[2:]
			}
			r.Delayed = append(r.Delayed, d)
		case "cancel":
			r.Delayed = append(r.Delayed, machine.Delayed{Cancel: true, Token: next()})
		case "cancelnothing":
			r.Delayed = append(r.Delayed, machine.Delayed{Cancel: true})
		case "out":
			e, v := pair(next())
			r.Outputs = append(r.Outputs, machine.Output{Egress: e, Value: v})
		case "set":
			n, v := pair(next())
			n, t, typed := strings.Cut(n, ":")
			if typed {
				v.TypeName = t
			}
			r.Mutations = append(r.Mutations, machine.Mutation{Name: n, Value: v})
		case "del":
			r.Mutations = append(r.Mutations, machine.Mutation{Name: next(), Delete: true})
		case "missing":
			r.Incomplete = true
			r.Missing = append(r.Missing, parseSpec(next()))
		case "incomplete":
			r.Incomplete = true
		case "bulk":
			r.BulkCalls = int32(number(next()))
		default:
			panic(fmt.Sprintf("unknown effect %q", verb))
		}
	}
	return r
}

func parseSpec(text string) statestore.StateSpec {
	parts := strings.Split(text, ":")
	spec := statestore.StateSpec{Name: parts[0], TypeName: "v"}
	if len(parts) > 1 {
		spec.TypeName = parts[1]
	}
	if len(parts) > 3 {
		spec.Expiration = map[string]statestore.Expiration{"write": statestore.ExpireAfterWrite, "invoke": statestore.ExpireAfterInvoke}[parts[2]]
		spec.TTL = number(parts[3])
	}
	return spec
}
