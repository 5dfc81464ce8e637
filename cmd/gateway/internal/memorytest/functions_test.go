//go:build linux

package memorytest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

// functions are the application. mem/spread does what its id says: large-FROM-TO wakes that many addresses of mem/large, whose
// state is written anew with each message; later-FROM-TO and now-FROM-TO send as many messages to mem/later, after a delay, and to mem/now, which
// fails until it is told not to.
type functions struct {
	url   string
	fails atomic.Bool

	mu     sync.Mutex
	arrive map[string]map[string]int // by type, how often each message has come; guarded by mu
}

const (
	largeState = 1 << 20
	smallValue = 1 << 10
	delayMS    = 8000
	addresses  = 5000 // of each type
)

var filling = strings.Repeat("x", largeState)

func serveFunctions(t *testing.T) *functions {
	t.Helper()
	f := &functions{arrive: map[string]map[string]int{"large": {}, "later": {}, "now": {}}}
	f.fails.Store(true)
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

func (f *functions) arrived(kind string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.arrive[kind])
}

func (f *functions) arrives(batch *protocol.ToFunction_InvocationBatchRequest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range batch.GetInvocations() {
		number, _, _ := strings.Cut(string(i.GetArgument().GetValue()), " ")
		f.arrive[batch.GetTarget().GetType()][number]++
	}
}

func (f *functions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var call protocol.ToFunction
	if err := proto.Unmarshal(body, &call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	batch := call.GetInvocation()
	if batch.GetTarget().GetType() == "now" && f.fails.Load() {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	answer, err := proto.Marshal(f.answer(batch))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(answer)
}

func (f *functions) answer(batch *protocol.ToFunction_InvocationBatchRequest) *protocol.FromFunction {
	out := &protocol.FromFunction_InvocationResponse{}
	switch batch.GetTarget().GetType() {
	case "large":
		if len(batch.GetState()) == 0 {
			return &protocol.FromFunction{Response: &protocol.FromFunction_IncompleteInvocationContext_{
				IncompleteInvocationContext: &protocol.FromFunction_IncompleteInvocationContext{
					MissingValues: []*protocol.FromFunction_PersistedValueSpec{{StateName: "s", TypeTypename: "test/text"}},
				},
			}}
		}
		f.arrives(batch)
		out.StateMutations = []*protocol.FromFunction_PersistedValueMutation{{
			MutationType: protocol.FromFunction_PersistedValueMutation_MODIFY, StateName: "s",
			StateValue: &protocol.TypedValue{Typename: "test/text", HasValue: true, Value: []byte(filling)},
		}}
	case "later", "now":
		f.arrives(batch)
	case "spread":
		spread(out, strings.ReplaceAll(batch.GetTarget().GetId(), "-", " "))
	}
	return &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: out}}
}

// spread appends the messages that an order asks for. Those of later and now have a number each.
func spread(out *protocol.FromFunction_InvocationResponse, order string) {
	var kind string
	var from, to int
	if n, _ := fmt.Sscan(order, &kind, &from, &to); n != 3 {
		return
	}
	for i := from; i < to; i++ {
		address := &protocol.Address{Namespace: "mem", Type: kind, Id: strconv.Itoa(i % addresses)}
		value := kind + strconv.Itoa(i) + " "
		if kind != "large" {
			value += filling[:smallValue]
		}
		argument := &protocol.TypedValue{Typename: "test/text", HasValue: true, Value: []byte(value)}
		if kind == "later" {
			out.DelayedInvocations = append(out.DelayedInvocations, &protocol.FromFunction_DelayedInvocation{Target: address, Argument: argument, DelayInMs: delayMS})
			continue
		}
		out.OutgoingMessages = append(out.OutgoingMessages, &protocol.FromFunction_Invocation{Target: address, Argument: argument})
	}
}
