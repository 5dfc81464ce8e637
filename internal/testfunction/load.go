package testfunction

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

// FanOut is how many messages test/fan sends for one.
const FanOut = 10

// typeLarge is the type of the state of test/large: the count in 8 bytes, then bytes that no store can make smaller.
const typeLarge = "test/large"

// fan sends each message on to FanOut addresses of test/count: "ID-0", "ID-1" ...
func fan(batch *protocol.ToFunction_InvocationBatchRequest, out *protocol.FromFunction_InvocationResponse) {
	for _, in := range batch.Invocations {
		for i := range FanOut {
			out.OutgoingMessages = append(out.OutgoingMessages, &protocol.FromFunction_Invocation{
				Target:   &protocol.Address{Namespace: batch.Target.Namespace, Type: "count", Id: batch.Target.Id + "-" + strconv.Itoa(i)},
				Argument: in.Argument,
			})
		}
	}
}

// later sends each message on to test/count, delayed as its value says: "after MILLISECONDS ..." or "at MILLISECONDS ...", of the
// Unix clock.
func later(batch *protocol.ToFunction_InvocationBatchRequest, out *protocol.FromFunction_InvocationResponse, now time.Time) error {
	for _, in := range batch.Invocations {
		words := bytes.SplitN(in.Argument.GetValue(), []byte(" "), 3)
		if len(words) < 3 {
			return fmt.Errorf("later: %.40q says no time", in.Argument.GetValue())
		}
		ms, err := strconv.ParseInt(string(words[1]), 10, 64)
		if err != nil {
			return fmt.Errorf("later: %w", err)
		}
		switch string(words[0]) {
		case "after":
		case "at":
			ms = max(0, ms-now.UnixMilli())
		default:
			return fmt.Errorf("later: %q is neither after nor at", words[0])
		}
		out.DelayedInvocations = append(out.DelayedInvocations, &protocol.FromFunction_DelayedInvocation{
			DelayInMs: ms, Target: &protocol.Address{Namespace: batch.Target.Namespace, Type: "count", Id: batch.Target.Id}, Argument: in.Argument,
		})
	}
	return nil
}

// ask counts, and answers each caller with the count in digits.
func ask(batch *protocol.ToFunction_InvocationBatchRequest, out *protocol.FromFunction_InvocationResponse) (*protocol.FromFunction, error) {
	before, known := stateOf(batch)
	if !known {
		return missing(protocol.TypeLong), nil
	}
	n := uint64(0)
	if v := before.GetValue(); len(v) == 9 {
		n = binary.LittleEndian.Uint64(v[1:])
	}
	for _, in := range batch.Invocations {
		if n++; in.Caller == nil {
			return nil, errors.New("ask: nobody asks")
		}
		out.OutgoingMessages = append(out.OutgoingMessages, &protocol.FromFunction_Invocation{
			Target: in.Caller, Argument: &protocol.TypedValue{Typename: "test/count", HasValue: true, Value: strconv.AppendUint(nil, n, 10)},
		})
	}
	value, err := proto.Marshal(&protocol.LongWrapper{Value: int64(n)})
	if err != nil {
		return nil, err
	}
	out.StateMutations = modified(protocol.TypeLong, value)
	return result(out), nil
}

// large counts as test/count does, in a state of StateBytes bytes, and writes to the same topic.
func (h *Handler) large(batch *protocol.ToFunction_InvocationBatchRequest, out *protocol.FromFunction_InvocationResponse) (*protocol.FromFunction, error) {
	before, known := stateOf(batch)
	if !known {
		return missing(typeLarge), nil
	}
	value := make([]byte, max(8, h.StateBytes))
	copy(value, h.ballast())
	n := uint64(0)
	if v := before.GetValue(); len(v) > 0 {
		if len(v) != len(value) {
			return nil, fmt.Errorf("large: the state has %d bytes, not %d", len(v), len(value))
		}
		n = binary.LittleEndian.Uint64(v)
	}
	for range batch.Invocations {
		n++
		record, err := h.record(h.TopicPrefix+"counts", batch.Target.Id, strconv.AppendUint(nil, n, 10))
		if err != nil {
			return nil, err
		}
		out.OutgoingEgresses = append(out.OutgoingEgresses, &protocol.FromFunction_EgressMessage{
			EgressNamespace: EgressNamespace, EgressType: EgressName, Argument: record,
		})
	}
	binary.LittleEndian.PutUint64(value, n)
	out.StateMutations = modified(typeLarge, value)
	return result(out), nil
}

// ballast is what fills the state of test/large, the same each time.
func (h *Handler) ballast() []byte {
	h.filled.Do(func() {
		h.filling = make([]byte, h.StateBytes)
		_, _ = rand.NewChaCha8([32]byte{}).Read(h.filling)
	})
	return h.filling
}

// stateOf is the batch's one state; false: it was not sent along.
func stateOf(batch *protocol.ToFunction_InvocationBatchRequest) (*protocol.TypedValue, bool) {
	for _, s := range batch.State {
		if s.StateName == state {
			return s.StateValue, true
		}
	}
	return nil, false
}

func missing(typename string) *protocol.FromFunction {
	return &protocol.FromFunction{Response: &protocol.FromFunction_IncompleteInvocationContext_{
		IncompleteInvocationContext: &protocol.FromFunction_IncompleteInvocationContext{
			MissingValues: []*protocol.FromFunction_PersistedValueSpec{{StateName: state, TypeTypename: typename}},
		},
	}}
}

func modified(typename string, value []byte) []*protocol.FromFunction_PersistedValueMutation {
	return []*protocol.FromFunction_PersistedValueMutation{{
		MutationType: protocol.FromFunction_PersistedValueMutation_MODIFY, StateName: state,
		StateValue: &protocol.TypedValue{Typename: typename, HasValue: true, Value: value},
	}}
}
