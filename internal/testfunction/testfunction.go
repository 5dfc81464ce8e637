// Package testfunction serves the functions that tests call, over the protocol alone: it uses neither SDK, so that a mistake in
// one cannot hide behind the same mistake in the other. It holds no state beyond its switches.
//
//	test/count     counts its messages per id; writes the count to topic "counts", key: the id
//	test/audit     the same to topic "audits"
//	test/hop0..9   a chain: each sends to the next, same id; hop9 sends to test/count
//	test/ping,     a cycle: each sends to the other with one less, same id, and then to test/count
//	test/pong
//	test/quiet     counts and writes nothing
//	test/fan       sends to ten addresses of test/count
//	test/later     sends to test/count with the delay that the message asks for
//	test/large     counts as test/count, in a state of StateBytes bytes
//	test/ask       counts, and answers its caller with the count
//
// Calls come one by one or, where Bulk says so, many in a request. An id that begins with "bad-" is answered 500, one with "hang-" not
// at all, one with "slow-" after SlowFor.
package testfunction

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

// Egress is the id of the egress that functions write to, "namespace/name".
const (
	EgressNamespace = "test"
	EgressName      = "out"
)

// Handler serves the functions on any path. The zero value works.
type Handler struct {
	// SlowFor is how long an id that begins with "slow-" takes.
	SlowFor time.Duration
	// Before is asked before a call is looked at; a status other than 0 is the answer. It may block.
	Before func(function, id string) (status int)
	// TopicPrefix stands before the names of all topics that functions write to.
	TopicPrefix string
	// Kinesis: functions write to an egress of Kinesis; streams are named as the topics, the id is the partition key.
	Kinesis bool
	// Counted is told of each batch that a counting function has run, before its answer leaves. An error is answered instead.
	Counted func(function, id string, invocations int) error
	// Bulk is how many calls of one bulk request run at once, as it is announced; 0: bulk calls are unknown.
	Bulk int
	// StateBytes is how long the state of test/large is.
	StateBytes int

	down   sync.Map // function name -> true: answered 503
	calls  atomic.Int64
	forgot atomic.Bool // bulk calls, for now

	filled  sync.Once
	filling []byte // made by filled
}

// Calls counts the calls that were answered with effects.
func (h *Handler) Calls() int64 { return h.calls.Load() }

// SetDown makes one function answer 503, or ends that.
func (h *Handler) SetDown(function string, down bool) {
	if down {
		h.down.Store(function, true)
	} else {
		h.down.Delete(function)
	}
}

// ForgetBulk makes bulk calls unknown, or ends that, as a new version of a function may.
func (h *Handler) ForgetBulk(forgot bool) { h.forgot.Store(forgot) }

// ServeHTTP answers one call or a bulk of them; "POST /control?down=NAME", "?up=NAME" and "?bulk=off" or "on" are the switches for a
// server in another process.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/control" {
		if name := r.URL.Query().Get("down"); name != "" {
			h.SetDown(name, true)
		}
		if name := r.URL.Query().Get("up"); name != "" {
			h.SetDown(name, false)
		}
		if set := r.URL.Query().Get("bulk"); set != "" {
			h.ForgetBulk(set == "off")
		}
		return
	}
	if r.Header.Get("Content-Type") == bulkContentType {
		h.serveBulk(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var call protocol.ToFunction
	if err := proto.Unmarshal(body, &call); err != nil || call.GetInvocation() == nil {
		http.Error(w, fmt.Sprintf("request: %v", err), http.StatusBadRequest)
		return
	}
	out, failed := h.run(r.Context(), call.GetInvocation())
	switch {
	case r.Context().Err() != nil:
	case failed != nil:
		http.Error(w, failed.Reason, int(failed.Status))
	default:
		w.Header().Set("Content-Type", protocol.ContentType)
		if h.bulk() > 0 && offersBulk(r) {
			h.announce(w)
		}
		_, _ = w.Write(out)
	}
}

// run is one call, whichever way it came. It answers nothing that counts when the context has ended.
func (h *Handler) run(ctx context.Context, batch *protocol.ToFunction_InvocationBatchRequest) ([]byte, *failure) {
	if failed := h.admit(ctx, batch.GetTarget()); failed != nil || ctx.Err() != nil {
		return nil, failed
	}
	reply, err := h.answer(batch)
	if err != nil {
		return nil, &failure{Status: http.StatusInternalServerError, Reason: err.Error()}
	}
	out, err := proto.Marshal(reply)
	if err != nil {
		return nil, &failure{Status: http.StatusInternalServerError, Reason: err.Error()}
	}
	h.calls.Add(1)
	return out, nil
}

type failure = protocol.FromFunctions_Failure

// admit judges by id and switches. It may wait until the context ends.
func (h *Handler) admit(ctx context.Context, target *protocol.Address) *failure {
	if _, down := h.down.Load(target.GetType()); down {
		return &failure{Status: http.StatusServiceUnavailable, Reason: "down on purpose"}
	}
	if h.Before != nil {
		if status := h.Before(target.GetType(), target.GetId()); status != 0 {
			return &failure{Status: uint32(status), Reason: "on purpose"}
		}
	}
	switch id := target.GetId(); {
	case strings.HasPrefix(id, "bad-"):
		return &failure{Status: http.StatusInternalServerError, Reason: "bad on purpose"}
	case strings.HasPrefix(id, "hang-"):
		<-ctx.Done()
	case strings.HasPrefix(id, "slow-"):
		t := time.NewTimer(h.SlowFor)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return nil
}

// answer runs one batch.
func (h *Handler) answer(batch *protocol.ToFunction_InvocationBatchRequest) (*protocol.FromFunction, error) {
	name, id := batch.GetTarget().GetType(), batch.GetTarget().GetId()
	out := &protocol.FromFunction_InvocationResponse{}
	send := func(function string, argument *protocol.TypedValue) {
		out.OutgoingMessages = append(out.OutgoingMessages, &protocol.FromFunction_Invocation{
			Target: &protocol.Address{Namespace: batch.Target.Namespace, Type: function, Id: id}, Argument: argument,
		})
	}
	switch {
	case name == "count" || name == "audit" || name == "quiet":
		return h.count(batch, out)
	case strings.HasPrefix(name, "hop"):
		n, err := strconv.Atoi(strings.TrimPrefix(name, "hop"))
		if err != nil {
			return nil, fmt.Errorf("unknown function %q", name)
		}
		next := fmt.Sprintf("hop%d", n+1)
		if n >= 9 {
			next = "count"
		}
		for _, in := range batch.Invocations {
			send(next, in.Argument)
		}
	case name == "ping" || name == "pong":
		other := map[string]string{"ping": "pong", "pong": "ping"}[name]
		for _, in := range batch.Invocations {
			left, err := strconv.Atoi(string(in.Argument.GetValue()))
			if err != nil {
				return nil, fmt.Errorf("argument of %s: %w", name, err)
			}
			if left <= 0 {
				send("count", in.Argument)
				continue
			}
			send(other, &protocol.TypedValue{Typename: in.Argument.Typename, HasValue: true, Value: []byte(strconv.Itoa(left - 1))})
		}
	case name == "fan":
		fan(batch, out)
	case name == "later":
		if err := later(batch, out, time.Now()); err != nil {
			return nil, err
		}
	case name == "large":
		return h.large(batch, out)
	case name == "ask":
		return ask(batch, out)
	default:
		return nil, fmt.Errorf("unknown function %q", name)
	}
	return result(out), nil
}

func result(out *protocol.FromFunction_InvocationResponse) *protocol.FromFunction {
	return &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: out}}
}

// state is the one state of functions that count.
const state = "n"

func (h *Handler) count(batch *protocol.ToFunction_InvocationBatchRequest, out *protocol.FromFunction_InvocationResponse) (*protocol.FromFunction, error) {
	known, n := false, uint64(0)
	for _, s := range batch.State {
		if s.StateName != state {
			continue
		}
		known = true
		if v := s.StateValue.GetValue(); len(v) == 9 {
			n = binary.LittleEndian.Uint64(v[1:])
		}
	}
	if !known {
		return &protocol.FromFunction{Response: &protocol.FromFunction_IncompleteInvocationContext_{
			IncompleteInvocationContext: &protocol.FromFunction_IncompleteInvocationContext{
				MissingValues: []*protocol.FromFunction_PersistedValueSpec{{StateName: state, TypeTypename: protocol.TypeLong}},
			},
		}}, nil
	}
	for range batch.Invocations {
		n++
		if batch.Target.Type == "quiet" {
			continue
		}
		record, err := h.record(h.TopicPrefix+batch.Target.Type+"s", batch.Target.Id, strconv.AppendUint(nil, n, 10))
		if err != nil {
			return nil, err
		}
		out.OutgoingEgresses = append(out.OutgoingEgresses, &protocol.FromFunction_EgressMessage{
			EgressNamespace: EgressNamespace, EgressType: EgressName,
			Argument: record,
		})
	}
	if h.Counted != nil {
		if err := h.Counted(batch.Target.Type, batch.Target.Id, len(batch.Invocations)); err != nil {
			return nil, err
		}
	}
	value, err := proto.Marshal(&protocol.LongWrapper{Value: int64(n)})
	if err != nil {
		return nil, err
	}
	out.StateMutations = []*protocol.FromFunction_PersistedValueMutation{{
		MutationType: protocol.FromFunction_PersistedValueMutation_MODIFY, StateName: state,
		StateValue: &protocol.TypedValue{Typename: protocol.TypeLong, HasValue: true, Value: value},
	}}
	return result(out), nil
}

// record is what an egress takes.
func (h *Handler) record(topic, key string, value []byte) (*protocol.TypedValue, error) {
	name, m := protocol.TypeKafkaProducerRecord, proto.Message(&protocol.KafkaProducerRecord{Key: []byte(key), Topic: topic, ValueBytes: value})
	if h.Kinesis {
		name, m = protocol.TypeKinesisEgressRecord, &protocol.KinesisEgressRecord{PartitionKey: []byte(key), Stream: topic, ValueBytes: value}
	}
	b, err := proto.Marshal(m)
	if err != nil {
		return nil, err
	}
	return &protocol.TypedValue{Typename: name, HasValue: true, Value: b}, nil
}
