package dispatcher

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// FuzzReply: whatever a function answers is either refused, or says in the machine's words all that it said on the wire; and what the
// machine makes of it is a commit that a store takes and reads back as it was. A commit is never refused for its data.
func FuzzReply(f *testing.F) {
	f.Fuzz(func(t *testing.T, b []byte) {
		reply := sameReply(t, b)
		if reply == nil {
			return
		}
		want := &protocol.FromFunction{}
		if err := proto.Unmarshal(b, want); err != nil {
			t.Fatalf("protobuf does not read it: %v", err)
		}
		if diff := cmp.Diff(said(want), said(wireOf(reply)), protocmp.Transform()); diff != "" {
			t.Fatalf("(-wire +machine):\n%s", diff)
		}
		playReply(t, reply, recycle)
	})
}

// sameReply reads a reply by hand and through the generated messages, which must agree; nil when both refuse it. What was read must be
// nobody's but the reply's.
func sameReply(t testing.TB, b []byte) *machine.Reply {
	t.Helper()
	want, wantErr := generatedReply(b)
	w, read := newWords(), bytes.Clone(b)
	call := &machine.Call{Target: api.Address{Type: counter, ID: "k"}, Messages: []api.Message{{Caller: api.Address{ID: "caller"}}}}
	for range 2 { // the second time its words are known
		copy(read, b)
		got, err := decodeReply(read, call, w)
		for word := range *w.known.Load() {
			if !utf8.ValidString(word) {
				t.Fatalf("the word %q is no text: replies to come may use it", word)
			}
		}
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("got error %v, want %v", err, wantErr)
		}
		if err != nil {
			if strings.HasPrefix(wantErr.Error(), "decode reply: ") != strings.HasPrefix(err.Error(), "decode reply: ") {
				t.Fatalf("got error %v, want %v", err, wantErr)
			}
			if !strings.HasPrefix(err.Error(), "decode reply: ") && err.Error() != wantErr.Error() {
				t.Fatalf("got error %v, want %v", err, wantErr)
			}
			continue
		}
		clear(read)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-generated +by hand):\n%s", diff)
		}
		want = got
	}
	if wantErr != nil {
		return nil
	}
	return want
}

// said is a reply without what means nothing: unknown fields, absent messages against empty ones, and what a cancellation, a
// deletion or an expiration that never comes carries beside itself.
func said(wire *protocol.FromFunction) *protocol.FromFunction {
	if missing := wire.GetIncompleteInvocationContext(); missing != nil {
		out := &protocol.FromFunction_IncompleteInvocationContext{}
		for _, v := range missing.MissingValues {
			spec := &protocol.FromFunction_PersistedValueSpec{StateName: v.StateName, TypeTypename: v.TypeTypename}
			mode := v.ExpirationSpec.GetMode()
			if ttl := v.ExpirationSpec.GetExpireAfterMillis(); ttl > 0 && (mode == protocol.FromFunction_ExpirationSpec_AFTER_WRITE || mode == protocol.FromFunction_ExpirationSpec_AFTER_INVOKE) {
				spec.ExpirationSpec = &protocol.FromFunction_ExpirationSpec{Mode: mode, ExpireAfterMillis: ttl}
			}
			out.MissingValues = append(out.MissingValues, spec)
		}
		return &protocol.FromFunction{Response: &protocol.FromFunction_IncompleteInvocationContext_{IncompleteInvocationContext: out}}
	}
	address := func(a *protocol.Address) *protocol.Address {
		return &protocol.Address{Namespace: a.GetNamespace(), Type: a.GetType(), Id: a.GetId()}
	}
	value := func(v *protocol.TypedValue) *protocol.TypedValue {
		return &protocol.TypedValue{Typename: v.GetTypename(), HasValue: v.GetHasValue(), Value: v.GetValue()}
	}
	in, out := wire.GetInvocationResult(), &protocol.FromFunction_InvocationResponse{}
	for _, s := range in.GetOutgoingMessages() {
		out.OutgoingMessages = append(out.OutgoingMessages, &protocol.FromFunction_Invocation{Target: address(s.Target), Argument: value(s.Argument)})
	}
	for _, s := range in.GetDelayedInvocations() {
		out.DelayedInvocations = append(out.DelayedInvocations, &protocol.FromFunction_DelayedInvocation{
			IsCancellationRequest: s.IsCancellationRequest, CancellationToken: s.CancellationToken, DelayInMs: s.DelayInMs, Target: address(s.Target), Argument: value(s.Argument)})
	}
	for _, s := range in.GetOutgoingEgresses() {
		// The two parts of an egress's name are one text from here on.
		out.OutgoingEgresses = append(out.OutgoingEgresses, &protocol.FromFunction_EgressMessage{EgressType: s.EgressNamespace + "/" + s.EgressType, Argument: value(s.Argument)})
	}
	for _, s := range in.GetStateMutations() {
		m := &protocol.FromFunction_PersistedValueMutation{MutationType: s.MutationType, StateName: s.StateName}
		if s.MutationType == protocol.FromFunction_PersistedValueMutation_MODIFY {
			m.StateValue = value(s.StateValue)
		}
		out.StateMutations = append(out.StateMutations, m)
	}
	return &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: out}}
}

// wireOf is replyOf the other way round.
func wireOf(reply *machine.Reply) *protocol.FromFunction {
	if reply.Incomplete {
		out := &protocol.FromFunction_IncompleteInvocationContext{}
		for _, s := range reply.Missing {
			spec := &protocol.FromFunction_PersistedValueSpec{StateName: s.Name, TypeTypename: s.TypeName}
			if s.Expiration != statestore.ExpireNever {
				mode := map[statestore.Expiration]protocol.FromFunction_ExpirationSpec_ExpireMode{
					statestore.ExpireAfterWrite: protocol.FromFunction_ExpirationSpec_AFTER_WRITE, statestore.ExpireAfterInvoke: protocol.FromFunction_ExpirationSpec_AFTER_INVOKE}[s.Expiration]
				spec.ExpirationSpec = &protocol.FromFunction_ExpirationSpec{Mode: mode, ExpireAfterMillis: s.TTL}
			}
			out.MissingValues = append(out.MissingValues, spec)
		}
		return &protocol.FromFunction{Response: &protocol.FromFunction_IncompleteInvocationContext_{IncompleteInvocationContext: out}}
	}
	out := &protocol.FromFunction_InvocationResponse{}
	for _, s := range reply.Sends {
		out.OutgoingMessages = append(out.OutgoingMessages, &protocol.FromFunction_Invocation{Target: wireAddress(s.Target), Argument: wireValue(s.Argument)})
	}
	for _, s := range reply.Delayed {
		out.DelayedInvocations = append(out.DelayedInvocations, &protocol.FromFunction_DelayedInvocation{
			IsCancellationRequest: s.Cancel, CancellationToken: s.Token, DelayInMs: s.Delay, Target: wireAddress(s.Target), Argument: wireValue(s.Argument)})
	}
	for _, s := range reply.Outputs {
		namespace, name, _ := strings.Cut(s.Egress, "/")
		out.OutgoingEgresses = append(out.OutgoingEgresses, &protocol.FromFunction_EgressMessage{EgressNamespace: namespace, EgressType: name, Argument: wireValue(s.Value)})
	}
	for _, s := range reply.Mutations {
		m := &protocol.FromFunction_PersistedValueMutation{MutationType: protocol.FromFunction_PersistedValueMutation_MODIFY, StateName: s.Name, StateValue: wireValue(s.Value)}
		if s.Delete {
			m.MutationType, m.StateValue = protocol.FromFunction_PersistedValueMutation_DELETE, nil
		}
		out.StateMutations = append(out.StateMutations, m)
	}
	return &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: out}}
}

// playReply gives the reply to the first call of a machine whose function knows every state that the reply names, answers every other
// call with nothing, and answers the commits of all that comes of it. told is what becomes of each reply that was told.
func playReply(t *testing.T, reply *machine.Reply, told func(*machine.Reply)) (commits []*statestore.Commit) {
	target := api.FunctionType{Namespace: "a.b", Name: "st"}
	spec := statestore.FunctionSpec{Function: target}
	for _, m := range reply.Mutations {
		known := slices.ContainsFunc(spec.States, func(s statestore.StateSpec) bool { return s.Name == m.Name })
		if m.Name != "" && len(m.Name) <= api.NameBytesMax && !known && len(spec.States) < api.StatesPerFunction {
			spec.States = append(spec.States, statestore.StateSpec{Name: m.Name})
		}
	}
	store := memory.New(memory.Config{})
	claim, err := store.Acquire(context.Background(), statestore.Member{ID: "m"}, []string{"a/out"})
	if err != nil {
		t.Fatal(err)
	}
	claim.Functions = []statestore.FunctionSpec{spec}
	m := machine.New(machine.Config{
		Function: func(f api.FunctionType) (machine.Function, bool) {
			return machine.Function{Endpoint: "http://f"}, f.Namespace == target.Namespace
		},
		Egresses: map[string]machine.Egress{"a/out": {Outbox: true}},
	}, claim, 1)
	source := api.Source{Ingress: "a/in", Topic: "t"}
	m.Started(statestore.Progress{Source: source}, 0)
	m.Arrive(source, []api.Record{{ID: "k", Value: api.TypedValue{TypeName: "t/x", HasValue: true}, Routes: []api.Route{{Key: "a.b/st", Target: target}}}})
	answer := reply
	for now := int64(1); now < 2000; now += 100 {
		m.Tick(now)
		for work := m.Work(); ; work = m.Work() {
			for _, l := range work.Loads {
				found, err := store.States(context.Background(), l.Addresses)
				if err != nil {
					t.Fatal(err)
				}
				m.Loaded(l.ID, found)
			}
			if l := work.TimerLoad; l != nil {
				m.TimersLoaded(l.ID, nil)
			}
			if l := work.Expired; l != nil {
				m.Expired(l.ID, nil)
			}
			for _, c := range work.Calls {
				m.Replied(c.ID, answer)
				told(answer)
				answer = &machine.Reply{}
			}
			if work.Commit != nil {
				commits = append(commits, work.Commit)
				sameRows(t, work.Commit)
				if err := store.Commit(context.Background(), work.Commit); err != nil {
					t.Fatalf("the store does not take what became of the reply: %v", err)
				}
				m.Committed(work.Commit.Number)
			}
			if len(work.Loads)+len(work.Calls) == 0 && work.Commit == nil {
				break
			}
		}
		if err := m.Invariants(); err != nil {
			t.Fatal(err)
		}
	}
	if len(commits) == 0 {
		t.Fatal("nothing was committed")
	}
	return commits
}

// sameRows: what a commit holds is the same when it comes back from rows.
func sameRows(t *testing.T, c *statestore.Commit) {
	t.Helper()
	check := func(what string, want, got any, err error) {
		t.Helper()
		if err != nil || !cmp.Equal(want, got) {
			t.Fatalf("%s is read back with error %v (-want +got):\n%s", what, err, cmp.Diff(want, got))
		}
	}
	for _, p := range c.Packs {
		got, err := statestore.DecodeMails(statestore.AppendMails(nil, p.Messages))
		check("pack", p.Messages, got, err)
	}
	for _, timer := range c.Timers {
		got := statestore.Timer{TimerKey: timer.TimerKey}
		err := statestore.DecodeTimerMessage(statestore.AppendTimerMessage(nil, &timer), &got)
		check("timer", timer, got, err)
	}
	for _, o := range c.Outputs {
		got, err := statestore.DecodeOutputs(statestore.AppendOutputs(nil, o.Outputs))
		check("outputs", o.Outputs, got, err)
	}
	for _, d := range c.DeadLetters {
		got, err := statestore.DecodeDeadLetter(statestore.AppendDeadLetter(nil, &d))
		check("dead letter", d, got, err)
	}
	for _, f := range c.Functions {
		got, err := statestore.DecodeSpec(statestore.AppendSpec(nil, &f))
		check("function", f, got, err)
	}
	for _, s := range c.States {
		address, got, apart, err := statestore.DecodeStates(statestore.AppendStates(nil, s.Address, s.Values))
		if err != nil || address != s.Address || len(got) != len(s.Values) {
			t.Fatalf("states of %v are read back as %d of %v: %v", s.Address, len(got), address, err)
		}
		for i, want := range s.Values {
			if slices.Contains(apart, i) {
				got[i].Value = want.Value
			}
			if got[i].Name != want.Name || got[i].TypeName != want.TypeName || got[i].Touched != want.Touched || !bytes.Equal(got[i].Value, want.Value) {
				t.Fatalf("state is read back as %+v, want %+v", got[i], want)
			}
		}
	}
}
