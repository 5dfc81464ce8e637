//go:build unix

package app

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/internal/testfunction"
)

// unruly serves testfunction's functions, some of its own, and answers what a test wants it to.
//
//	test/echo   writes each argument to topic "echoes", key: the id
//	test/say    answers its arguments: each is a reply as it stands on the wire
//	own...      counts as test/count does, under a type, and so a URL and states, of its own
type unruly struct {
	inner *testfunction.Handler

	mu      sync.Mutex
	scripts map[string]script // by "name/id"; guarded by mu
	asked   map[string]int    // requests by their URI as it came; guarded by mu
	calls   map[string]int    // by "name/id"; guarded by mu
}

// script answers one call. The request's body is read already.
type script func(w http.ResponseWriter, r *http.Request, batch *batchRequest)

type (
	batchRequest = protocol.ToFunction_InvocationBatchRequest
	response     = protocol.FromFunction_InvocationResponse
)

func newUnruly(prefix string) *unruly {
	return &unruly{inner: &testfunction.Handler{TopicPrefix: prefix}, scripts: map[string]script{}, asked: map[string]int{}, calls: map[string]int{}}
}

// misbehave makes a function answer by a script for one id, until behave.
func (u *unruly) misbehave(name, id string, s script) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.scripts[name+"/"+id] = s
}

func (u *unruly) behave(name, id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.scripts, name+"/"+id)
}

// called is how often a function was called for an id.
func (u *unruly) called(name, id string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.calls[name+"/"+id]
}

// requests is how often a URI was asked for.
func (u *unruly) requests(uri string) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.asked[uri]
}

// uris lists all that was asked for.
func (u *unruly) uris() (all []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for uri := range u.asked {
		all = append(all, uri)
	}
	return all
}

// readCall reads a request; it answers itself when that is none.
func readCall(w http.ResponseWriter, r *http.Request) (*protocol.ToFunction, bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, false
	}
	var call protocol.ToFunction
	if err := proto.Unmarshal(body, &call); err != nil || call.GetInvocation() == nil {
		http.Error(w, "no call", http.StatusBadRequest)
		return nil, false
	}
	return &call, true
}

func (u *unruly) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call, ok := readCall(w, r)
	if !ok {
		return
	}
	batch := call.GetInvocation()
	u.mu.Lock()
	u.asked[r.RequestURI]++
	u.calls[batch.Target.Type+"/"+batch.Target.Id]++
	s := u.scripts[batch.Target.Type+"/"+batch.Target.Id]
	u.mu.Unlock()
	switch {
	case s != nil:
		s(w, r, batch)
	case batch.Target.Type == "echo":
		respond(w, effects(u.echo(batch)...))
	case batch.Target.Type == "say":
		var all []byte // messages that stand behind one another are merged: effects in their order
		for _, in := range batch.Invocations {
			all = append(all, in.Argument.GetValue()...)
		}
		respond(w, all)
	default:
		u.count(w, r, call)
	}
}

func (u *unruly) echo(batch *batchRequest) (out []effect) {
	for _, in := range batch.Invocations {
		out = append(out, write("test/out", kafkaRecord(u.inner.TopicPrefix+"echoes", batch.Target.Id, in.Argument.GetValue())))
	}
	return out
}

// count hands a call to the functions that count.
func (u *unruly) count(w http.ResponseWriter, r *http.Request, call *protocol.ToFunction) {
	if target := call.GetInvocation().Target; strings.HasPrefix(target.Type, "own") {
		target.Type = "count"
	}
	body, err := proto.Marshal(call)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(body))
	u.inner.ServeHTTP(w, again)
}

// respond sends a good reply.
func respond(w http.ResponseWriter, reply []byte) {
	w.Header().Set("Content-Type", protocol.ContentType)
	_, _ = w.Write(reply)
}

// replying is the script of a reply that is whole on the wire.
func replying(reply []byte) script {
	return func(w http.ResponseWriter, _ *http.Request, _ *batchRequest) { respond(w, reply) }
}

// effect is one thing that a reply asks for.
type effect func(*response)

// effects is a reply on the wire.
func effects(all ...effect) []byte {
	out := &response{}
	for _, e := range all {
		e(out)
	}
	return encoded(&protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: out}})
}

// missing is a reply on the wire that asks for states.
func missing(states ...*protocol.FromFunction_PersistedValueSpec) []byte {
	return encoded(&protocol.FromFunction{Response: &protocol.FromFunction_IncompleteInvocationContext_{
		IncompleteInvocationContext: &protocol.FromFunction_IncompleteInvocationContext{MissingValues: states},
	}})
}

func encoded(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err) // only of a mistake in a test
	}
	return b
}

func typed(name string, value []byte) *protocol.TypedValue {
	return &protocol.TypedValue{Typename: name, HasValue: true, Value: value}
}

func target(namespace, name, id string) *protocol.Address {
	return &protocol.Address{Namespace: namespace, Type: name, Id: id}
}

func send(to *protocol.Address) effect {
	return func(r *response) {
		r.OutgoingMessages = append(r.OutgoingMessages, &protocol.FromFunction_Invocation{Target: to, Argument: typed("test/event", []byte("x"))})
	}
}

func sendLater(ms int64, to *protocol.Address) effect {
	return func(r *response) {
		r.DelayedInvocations = append(r.DelayedInvocations, &protocol.FromFunction_DelayedInvocation{DelayInMs: ms, Target: to, Argument: typed("test/event", []byte("x"))})
	}
}

func cancelLater(token string) effect {
	return func(r *response) {
		r.DelayedInvocations = append(r.DelayedInvocations, &protocol.FromFunction_DelayedInvocation{IsCancellationRequest: true, CancellationToken: token})
	}
}

// write asks for an output; egress is "namespace/name".
func write(egress string, value *protocol.TypedValue) effect {
	namespace, name, _ := strings.Cut(egress, "/")
	return func(r *response) {
		r.OutgoingEgresses = append(r.OutgoingEgresses, &protocol.FromFunction_EgressMessage{EgressNamespace: namespace, EgressType: name, Argument: value})
	}
}

func kafkaRecord(topic, key string, value []byte) *protocol.TypedValue {
	return typed(protocol.TypeKafkaProducerRecord, encoded(&protocol.KafkaProducerRecord{Topic: topic, Key: []byte(key), ValueBytes: value}))
}

func mutate(kind protocol.FromFunction_PersistedValueMutation_MutationType, name string, value *protocol.TypedValue) effect {
	return func(r *response) {
		r.StateMutations = append(r.StateMutations, &protocol.FromFunction_PersistedValueMutation{MutationType: kind, StateName: name, StateValue: value})
	}
}
