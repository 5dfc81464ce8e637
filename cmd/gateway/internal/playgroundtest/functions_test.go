//go:build unix

package playgroundtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

// greeter is the application: example/person counts visits and sends them on to example/greeter of the same id, which greets on topic
// greetings. example/echo writes what it is sent to the egress as it is, example/many the members of the list that it is sent.
type greeter struct {
	url string

	mu    sync.Mutex
	calls int           // of person; guarded by mu
	hold  chan struct{} // not nil: calls of person wait until it is closed; guarded by mu
	seen  chan string   // ids of person's calls, as they arrive; has room for many
}

type greeting struct {
	Name   string `json:"name"`
	Visits int32  `json:"visits,omitempty"`
}

const (
	requestType = "example/GreetRequest"
	countType   = "io.statefun.types/int"
	egressType  = "io.statefun.playground/EgressRecord"
)

func serveGreeter(t *testing.T) *greeter {
	t.Helper()
	g := &greeter{seen: make(chan string, 10_000)}
	server := httptest.NewServer(g)
	t.Cleanup(server.Close)
	t.Cleanup(g.release)
	g.url = server.URL
	return g
}

// block makes calls of person wait, until release.
func (g *greeter) block() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.hold = make(chan struct{})
}

func (g *greeter) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.hold != nil {
		close(g.hold)
		g.hold = nil
	}
}

func (g *greeter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var call protocol.ToFunction
	if err == nil {
		err = proto.Unmarshal(body, &call)
	}
	var reply *protocol.FromFunction
	if err == nil {
		reply, err = g.answer(r, call.GetInvocation())
	}
	if err == nil {
		body, err = proto.Marshal(reply)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(body)
}

func (g *greeter) answer(r *http.Request, batch *protocol.ToFunction_InvocationBatchRequest) (*protocol.FromFunction, error) {
	out := &protocol.FromFunction_InvocationResponse{}
	target := batch.GetTarget()
	switch target.GetType() {
	case "person":
		return g.person(r, batch, out)
	case "greeter":
		for _, in := range batch.GetInvocations() {
			var got greeting
			if err := json.Unmarshal(in.GetArgument().GetValue(), &got); err != nil {
				return nil, err
			}
			record, err := json.Marshal(map[string]string{"topic": "greetings", "payload": fmt.Sprintf("Hello %s, visit %d of %s", got.Name, got.Visits, target.GetId())})
			if err != nil {
				return nil, err
			}
			out.OutgoingEgresses = append(out.OutgoingEgresses, egressOf(egressType, record))
		}
	case "echo":
		for _, in := range batch.GetInvocations() {
			out.OutgoingEgresses = append(out.OutgoingEgresses, egressOf(in.GetArgument().GetTypename(), in.GetArgument().GetValue()))
		}
	case "many":
		for _, in := range batch.GetInvocations() {
			var records []json.RawMessage
			if err := json.Unmarshal(in.GetArgument().GetValue(), &records); err != nil {
				return nil, err
			}
			for _, record := range records {
				out.OutgoingEgresses = append(out.OutgoingEgresses, egressOf(egressType, record))
			}
		}
	}
	return &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: out}}, nil
}

// person counts in a state, so that an effect that took place twice shows.
func (g *greeter) person(r *http.Request, batch *protocol.ToFunction_InvocationBatchRequest, out *protocol.FromFunction_InvocationResponse) (*protocol.FromFunction, error) {
	if len(batch.GetState()) == 0 {
		return &protocol.FromFunction{Response: &protocol.FromFunction_IncompleteInvocationContext_{IncompleteInvocationContext: &protocol.FromFunction_IncompleteInvocationContext{
			MissingValues: []*protocol.FromFunction_PersistedValueSpec{{StateName: "visits", TypeTypename: countType}},
		}}}, nil
	}
	g.mu.Lock()
	hold := g.hold
	g.calls++
	g.mu.Unlock()
	g.seen <- batch.GetTarget().GetId()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	visits := int32(0)
	if v := batch.GetState()[0].GetStateValue(); v.GetHasValue() {
		var count protocol.IntWrapper
		if err := proto.Unmarshal(v.GetValue(), &count); err != nil {
			return nil, err
		}
		visits = count.GetValue()
	}
	for _, in := range batch.GetInvocations() {
		var got greeting
		if name := in.GetArgument().GetTypename(); name != requestType {
			return nil, fmt.Errorf("an argument of type %q", name)
		}
		if err := json.Unmarshal(in.GetArgument().GetValue(), &got); err != nil {
			return nil, err
		}
		visits++
		got.Visits = visits
		value, err := json.Marshal(got)
		if err != nil {
			return nil, err
		}
		out.OutgoingMessages = append(out.OutgoingMessages, &protocol.FromFunction_Invocation{
			Target:   &protocol.Address{Namespace: "example", Type: "greeter", Id: batch.GetTarget().GetId()},
			Argument: &protocol.TypedValue{Typename: requestType, HasValue: true, Value: value},
		})
	}
	value, err := proto.Marshal(&protocol.IntWrapper{Value: visits})
	if err != nil {
		return nil, err
	}
	out.StateMutations = append(out.StateMutations, &protocol.FromFunction_PersistedValueMutation{
		MutationType: protocol.FromFunction_PersistedValueMutation_MODIFY, StateName: "visits",
		StateValue: &protocol.TypedValue{Typename: countType, HasValue: true, Value: value},
	})
	return &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: out}}, nil
}

func egressOf(typeName string, value []byte) *protocol.FromFunction_EgressMessage {
	return &protocol.FromFunction_EgressMessage{
		EgressNamespace: "io.statefun.playground", EgressType: "egress",
		Argument: &protocol.TypedValue{Typename: typeName, HasValue: true, Value: value},
	}
}
