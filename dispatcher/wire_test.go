package dispatcher

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

type (
	wireBatch    = protocol.ToFunction_InvocationBatchRequest
	wireState    = protocol.ToFunction_PersistedValue
	wireMessage  = protocol.ToFunction_Invocation
	wireResult   = protocol.FromFunction_InvocationResponse
	wireSpec     = protocol.FromFunction_PersistedValueSpec
	wireMutation = protocol.FromFunction_PersistedValueMutation
)

// transcript is a function that answers from a list, one call after the other, and keeps what it was asked.
type transcript struct {
	t       *testing.T
	answers [][]byte

	mu    sync.Mutex
	asked []*wireBatch // guarded by mu
}

func (f *transcript) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var call protocol.ToFunction
	if err == nil {
		err = proto.Unmarshal(body, &call)
	}
	if err != nil {
		f.t.Error(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	answer := []byte{} // no effects
	if n := len(f.asked); n < len(f.answers) {
		answer = f.answers[n]
	}
	f.asked = append(f.asked, call.GetInvocation())
	w.Header().Set("Content-Type", protocol.ContentType)
	_, _ = w.Write(answer)
}

func resultOf(r *wireResult) *protocol.FromFunction {
	return &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: r}}
}

func missingOf(specs ...*wireSpec) *protocol.FromFunction {
	return &protocol.FromFunction{Response: &protocol.FromFunction_IncompleteInvocationContext_{
		IncompleteInvocationContext: &protocol.FromFunction_IncompleteInvocationContext{MissingValues: specs}}}
}

func onWire(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestPresenceOnTheWire plays one address and looks at each request as a function gets it: who is named as caller and who is not,
// which states travel, set and unset, and what is present and empty. An official SDK throws where one of these is wrong.
func TestPresenceOnTheWire(t *testing.T) {
	const modify, remove = protocol.FromFunction_PersistedValueMutation_MODIFY, protocol.FromFunction_PersistedValueMutation_DELETE
	self := &protocol.Address{Namespace: counter.Namespace, Type: counter.Name, Id: "a"}
	odd := &protocol.TypedValue{Typename: "no slash, and a/lot/of/them", Value: []byte{0, 0xff}} // has_value is the sender's
	first := onWire(t, resultOf(&wireResult{
		StateMutations: []*wireMutation{
			{MutationType: modify, StateName: "seen", StateValue: &protocol.TypedValue{Typename: protocol.TypeInt}}, // 0, without has_value
			{MutationType: modify, StateName: "any", StateValue: &protocol.TypedValue{Typename: "test/a", HasValue: true, Value: []byte("x")}},
			{MutationType: remove, StateName: "never"},
		},
		OutgoingMessages:   []*protocol.FromFunction_Invocation{{Target: self, Argument: odd}, {Target: self}},
		DelayedInvocations: []*protocol.FromFunction_DelayedInvocation{{Target: self, Argument: &protocol.TypedValue{Typename: "test/later", HasValue: true}}},
	}))
	first = protowire.AppendBytes(protowire.AppendTag(first, 4711, protowire.BytesType), []byte("of a later version"))
	f := &transcript{t: t, answers: [][]byte{
		onWire(t, missingOf(&wireSpec{StateName: "seen", TypeTypename: protocol.TypeInt}, &wireSpec{StateName: "any"},
			&wireSpec{StateName: "never", TypeTypename: "test/n", ExpirationSpec: &protocol.FromFunction_ExpirationSpec{}})),
		first,
	}}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	l := begin(t, newStore(nil), &function{url: server.URL})
	l.arrive(0, "a")

	unset := []*wireState{{StateName: "seen"}, {StateName: "any"}, {StateName: "never"}}
	set := []*wireState{
		{StateName: "seen", StateValue: &protocol.TypedValue{Typename: protocol.TypeInt, HasValue: true}},
		{StateName: "any", StateValue: &protocol.TypedValue{Typename: "test/a", HasValue: true, Value: []byte("x")}}, {StateName: "never"},
	}
	record := []*wireMessage{{Argument: &protocol.TypedValue{Typename: "test/event", HasValue: true, Value: []byte("x")}}}
	later := &wireMessage{Caller: self, Argument: &protocol.TypedValue{Typename: "test/later", HasValue: true}}
	want := []*wireBatch{
		{Target: self, Invocations: record},
		{Target: self, State: unset, Invocations: record},
		{Target: self, State: set, Invocations: []*wireMessage{{Caller: self, Argument: odd}, {Caller: self, Argument: &protocol.TypedValue{}}}},
		{Target: self, State: set, Invocations: []*wireMessage{later}},
	}
	l.until("all calls", func() bool { f.mu.Lock(); defer f.mu.Unlock(); return l.results["ok"] > 0 && len(f.asked) >= len(want) })
	f.mu.Lock()
	defer f.mu.Unlock()
	if diff := cmp.Diff(want, f.asked, protocmp.Transform()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// TestSpecsOfAReply: states are declared in many ways by SDKs of four languages and of all ages.
func TestSpecsOfAReply(t *testing.T) {
	expire := func(mode protocol.FromFunction_ExpirationSpec_ExpireMode, ms int64) *protocol.FromFunction_ExpirationSpec {
		return &protocol.FromFunction_ExpirationSpec{Mode: mode, ExpireAfterMillis: ms}
	}
	const none, write, invoke = protocol.FromFunction_ExpirationSpec_NONE, protocol.FromFunction_ExpirationSpec_AFTER_WRITE, protocol.FromFunction_ExpirationSpec_AFTER_INVOKE
	got, err := replyOf(missingOf(
		&wireSpec{StateName: "b", TypeTypename: "test/b"},
		&wireSpec{StateName: "a", TypeTypename: "test/a", ExpirationSpec: &protocol.FromFunction_ExpirationSpec{}},
		&wireSpec{StateName: "old"},
		&wireSpec{StateName: "none", ExpirationSpec: expire(none, 5000)},
		&wireSpec{StateName: "write", ExpirationSpec: expire(write, 5000)},
		&wireSpec{StateName: "invoke", ExpirationSpec: expire(invoke, 1)},
		&wireSpec{StateName: "unknown", ExpirationSpec: expire(9, 5000)},
		&wireSpec{StateName: "zero", ExpirationSpec: expire(write, 0)},
		&wireSpec{StateName: "negative", ExpirationSpec: expire(invoke, -1)},
		&wireSpec{StateName: "b", TypeTypename: "test/b"},
	))
	if err != nil {
		t.Fatal(err)
	}
	want := &machine.Reply{Incomplete: true, Missing: []statestore.StateSpec{
		{Name: "b", TypeName: "test/b"}, {Name: "a", TypeName: "test/a"}, {Name: "old"}, {Name: "none"},
		{Name: "write", Expiration: statestore.ExpireAfterWrite, TTL: 5000}, {Name: "invoke", Expiration: statestore.ExpireAfterInvoke, TTL: 1},
		{Name: "unknown"}, {Name: "zero"}, {Name: "negative"}, {Name: "b", TypeName: "test/b"},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("reply (-want +got):\n%s", diff)
	}
}

// TestNoEffects: the ways in which functions say that nothing is to be done; none of them is a failure, and the record is finished.
func TestNoEffects(t *testing.T) {
	both := append(onWire(t, resultOf(&wireResult{OutgoingMessages: []*protocol.FromFunction_Invocation{{}}})), onWire(t, missingOf())...)
	for name, answer := range map[string][]byte{
		"Python":         {},
		"Go, JS, Java":   {0xa2, 0x06, 0x00},
		"unknown fields": protowire.AppendVarint(protowire.AppendTag(nil, 9, protowire.VarintType), 1),
		"the last one":   append(both, 0xa2, 0x06, 0x00),
	} {
		t.Run(name, func(t *testing.T) {
			f := &transcript{t: t, answers: [][]byte{answer}}
			server := httptest.NewServer(f)
			t.Cleanup(server.Close)
			l := begin(t, newStore(nil), &function{url: server.URL})
			l.arrive(0, "a")
			l.finished(1)
			f.mu.Lock()
			defer f.mu.Unlock()
			if len(f.asked) != 1 || l.failed != 0 {
				t.Errorf("%d calls, %d of them failed, want one good one", len(f.asked), l.failed)
			}
			if v, _, err := l.View(t.Context(), api.Address{Type: counter, ID: "a"}); err != nil || v.Mailbox != 0 {
				t.Errorf("%d messages wait, %v, want none", v.Mailbox, err)
			}
		})
	}
}

// finished waits until the source's records below an offset are finished, durably.
func (l *life) finished(below int64) {
	l.t.Helper()
	for limit := time.Now().Add(patience); ; {
		if p, _ := l.Progress(l.source); p.Position() >= below {
			return
		}
		if err := l.Sync(l.t.Context()); err != nil || time.Now().After(limit) {
			l.t.Fatalf("the records below %d are not finished: %v", below, err)
		}
	}
}
