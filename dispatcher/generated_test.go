package dispatcher

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// generatedReply reads a reply through the generated messages: what decodeReply must agree with.
func generatedReply(b []byte) (*machine.Reply, error) {
	wire := &protocol.FromFunction{}
	if err := proto.Unmarshal(b, wire); err != nil {
		return nil, fmt.Errorf("decode reply: %w", err)
	}
	return replyOf(wire)
}

// replyOf takes a reply into the machine's words.
func replyOf(wire *protocol.FromFunction) (*machine.Reply, error) {
	if missing := wire.GetIncompleteInvocationContext(); missing != nil {
		return incompleteOf(missing)
	}
	result := wire.GetInvocationResult()
	reply := &machine.Reply{}
	if result == nil { // neither alternative: no effects
		return reply, nil
	}
	if n := len(result.OutgoingMessages); n > 0 {
		reply.Sends = make([]machine.Send, n)
		for i, s := range result.OutgoingMessages {
			reply.Sends[i] = machine.Send{Target: addressOf(s.Target), Argument: valueOf(s.Argument)}
		}
	}
	if n := len(result.DelayedInvocations); n > 0 {
		reply.Delayed = make([]machine.Delayed, n)
		for i, s := range result.DelayedInvocations {
			reply.Delayed[i] = machine.Delayed{
				Send:  machine.Send{Target: addressOf(s.Target), Argument: valueOf(s.Argument)},
				Delay: s.DelayInMs, Token: s.CancellationToken, Cancel: s.IsCancellationRequest,
			}
		}
	}
	if n := len(result.OutgoingEgresses); n > 0 {
		reply.Outputs = make([]machine.Output, n)
		for i, o := range result.OutgoingEgresses {
			reply.Outputs[i] = machine.Output{Egress: o.EgressNamespace + "/" + o.EgressType, Value: valueOf(o.Argument)}
		}
	}
	if n := len(result.StateMutations); n > 0 {
		reply.Mutations = make([]machine.Mutation, n)
		for i, mut := range result.StateMutations {
			switch mut.MutationType {
			case protocol.FromFunction_PersistedValueMutation_DELETE:
				reply.Mutations[i] = machine.Mutation{Name: mut.StateName, Delete: true}
			case protocol.FromFunction_PersistedValueMutation_MODIFY:
				reply.Mutations[i] = machine.Mutation{Name: mut.StateName, Value: valueOf(mut.StateValue)}
			default:
				return nil, fmt.Errorf("reply has a mutation of state %q of the unknown kind %d", short(mut.StateName), mut.MutationType)
			}
		}
	}
	return reply, nil
}

func incompleteOf(missing *protocol.FromFunction_IncompleteInvocationContext) (*machine.Reply, error) {
	reply := &machine.Reply{Incomplete: true, Missing: make([]statestore.StateSpec, len(missing.MissingValues))}
	for i, v := range missing.MissingValues {
		if v.StateName == "" || len(v.StateName) > api.NameBytesMax {
			return nil, fmt.Errorf("function declares a state %q: a name has 1 to %d bytes", short(v.StateName), api.NameBytesMax)
		}
		if len(v.TypeTypename) > api.TypeNameBytesMax {
			return nil, fmt.Errorf("function declares state %q with a type name of %d bytes: at most %d are allowed", v.StateName, len(v.TypeTypename), api.TypeNameBytesMax)
		}
		spec := statestore.StateSpec{Name: v.StateName, TypeName: v.TypeTypename}
		if ttl := v.ExpirationSpec.GetExpireAfterMillis(); ttl > 0 {
			switch v.ExpirationSpec.GetMode() { // unknown modes count as none
			case protocol.FromFunction_ExpirationSpec_AFTER_WRITE:
				spec.Expiration, spec.TTL = statestore.ExpireAfterWrite, ttl
			case protocol.FromFunction_ExpirationSpec_AFTER_INVOKE:
				spec.Expiration, spec.TTL = statestore.ExpireAfterInvoke, ttl
			}
		}
		reply.Missing[i] = spec
	}
	return reply, nil
}

func addressOf(a *protocol.Address) api.Address {
	return api.Address{Type: api.FunctionType{Namespace: a.GetNamespace(), Name: a.GetType()}, ID: a.GetId()}
}

func valueOf(v *protocol.TypedValue) api.TypedValue {
	return api.TypedValue{TypeName: v.GetTypename(), HasValue: v.GetHasValue(), Value: v.GetValue()}
}
