package testfunction

import (
	"io"
	"net/http"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

// Func serves functions of a test's own, one call in a request. An error is answered 500.
type Func func(call *protocol.ToFunction_InvocationBatchRequest) (*protocol.FromFunction, error)

func (f Func) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var call protocol.ToFunction
	if err == nil {
		err = proto.Unmarshal(body, &call)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply, err := f(call.GetInvocation())
	if err == nil {
		body, err = proto.Marshal(reply)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", protocol.ContentType)
	_, _ = w.Write(body)
}

// Missing answers that the function has a state that the call did not bring.
func Missing(state, typeName string) *protocol.FromFunction {
	return &protocol.FromFunction{Response: &protocol.FromFunction_IncompleteInvocationContext_{
		IncompleteInvocationContext: &protocol.FromFunction_IncompleteInvocationContext{
			MissingValues: []*protocol.FromFunction_PersistedValueSpec{{StateName: state, TypeTypename: typeName}},
		},
	}}
}

// Modified is the mutation that sets a state.
func Modified(state, typeName string, value []byte) *protocol.FromFunction_PersistedValueMutation {
	return &protocol.FromFunction_PersistedValueMutation{
		MutationType: protocol.FromFunction_PersistedValueMutation_MODIFY, StateName: state,
		StateValue: &protocol.TypedValue{Typename: typeName, HasValue: true, Value: value},
	}
}

// Done answers with effects.
func Done(effects *protocol.FromFunction_InvocationResponse) *protocol.FromFunction {
	return &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: effects}}
}
