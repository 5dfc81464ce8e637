package stategate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/sdk/go/internal/protocol"
)

// Function is one function that a Handler serves.
type Function struct {
	Type   string  // "namespace/name"
	States []State // the states that it uses

	// Call handles one message. An error (or a panic) fails the call: none of its effects happen, and the gateway calls again.
	// ctx ends when the gateway no longer waits.
	Call func(ctx context.Context, in *Invocation) error
}

// function is a Function that was checked.
type function struct {
	Function
	specs []*protocol.FromFunction_PersistedValueSpec // of States, in their order
}

func newFunction(f Function) (*function, error) {
	if namespace, name := splitTypeName(f.Type); namespace == "" || name == "" {
		return nil, fmt.Errorf("function %q: its type is not namespace/name", f.Type)
	}
	if f.Call == nil {
		return nil, fmt.Errorf("function %s: it has no Call", f.Type)
	}
	checked := &function{Function: f}
	names := make(map[string]bool)
	for _, s := range f.States {
		if s == nil {
			return nil, fmt.Errorf("function %s: a state is nil", f.Type)
		}
		spec, err := s.spec()
		if err != nil {
			return nil, fmt.Errorf("function %s: state %q: %w", f.Type, s.name(), err)
		}
		if names[s.name()] {
			return nil, fmt.Errorf("function %s: state %q is declared twice", f.Type, s.name())
		}
		names[s.name()] = true
		checked.specs = append(checked.specs, spec)
	}
	return checked, nil
}

// batch is one call: the messages of one address, in order, on one set of states.
type batch struct {
	self     Address
	function *function
	logger   *slog.Logger
	cells    []cell    // of the function's states, in their order
	effects  [3][]byte // messages, delayed messages, egress records: the fields of an InvocationResponse
	err      error     // the first effect that cannot be carried
}

// call runs the function on the messages of a request, and appends its reply.
func (f *function) call(ctx context.Context, logger *slog.Logger, self Address, r *toFunction, reply []byte) ([]byte, error) {
	b := &batch{self: self, function: f, logger: logger, cells: make([]cell, len(f.specs))}
	if missing := b.load(r.states); len(missing) > 0 {
		reply, err := proto.MarshalOptions{}.MarshalAppend(reply, &protocol.FromFunction{Response: &protocol.FromFunction_IncompleteInvocationContext_{
			IncompleteInvocationContext: &protocol.FromFunction_IncompleteInvocationContext{MissingValues: missing},
		}})
		if err != nil {
			return nil, fmt.Errorf("encode reply of %s: %w", self, err)
		}
		return reply, nil
	}
	for i := range r.messages {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("call %s: %w", self, err)
		}
		in := &r.messages[i]
		in.batch = b
		if err := f.invoke(ctx, in); err != nil {
			return nil, fmt.Errorf("call %s, message %d of %d: %w", self, i+1, len(r.messages), err)
		}
	}
	return b.appendReply(reply), nil
}

// load takes the function's states out of a request and answers those that are not in it.
func (b *batch) load(states []stateIn) (missing []*protocol.FromFunction_PersistedValueSpec) {
	for i, spec := range b.function.specs {
		found := false
		for j := range states {
			if string(states[j].name) == spec.StateName {
				b.cells[i], found = cell{value: states[j].value, set: !states[j].value.absent}, true
			}
		}
		if !found {
			missing = append(missing, spec)
		}
	}
	return missing
}

// PanicError is the error of a call whose function panicked.
type PanicError struct {
	Value any
	Stack []byte // for the log; not in the answer to the gateway
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

func (f *function) invoke(ctx context.Context, in *Invocation) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	return errors.Join(f.Call(ctx, in), in.batch.err)
}
