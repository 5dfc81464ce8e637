package stategate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

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
	self   Address
	logger *slog.Logger
	cells  map[string]*cell
	result *protocol.FromFunction_InvocationResponse
	err    error // the first effect that cannot be carried
}

// call runs the function on the messages of a request.
func (f *function) call(ctx context.Context, logger *slog.Logger, request *protocol.ToFunction_InvocationBatchRequest) (*protocol.FromFunction, error) {
	b := &batch{
		self:   addressOf(request.GetTarget()),
		logger: logger,
		cells:  make(map[string]*cell, len(f.specs)),
		result: &protocol.FromFunction_InvocationResponse{},
	}
	if missing := b.load(f.specs, request.GetState()); len(missing) > 0 {
		return &protocol.FromFunction{Response: &protocol.FromFunction_IncompleteInvocationContext_{
			IncompleteInvocationContext: &protocol.FromFunction_IncompleteInvocationContext{MissingValues: missing},
		}}, nil
	}
	for i, invocation := range request.GetInvocations() {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("call %s: %w", b.self, err)
		}
		in := &Invocation{batch: b, caller: invocation.GetCaller(), argument: invocation.GetArgument()}
		if err := f.invoke(ctx, in); err != nil {
			return nil, fmt.Errorf("call %s, message %d of %d: %w", b.self, i+1, len(request.GetInvocations()), err)
		}
	}
	b.store(f.specs)
	return &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: b.result}}, nil
}

// load takes the function's states out of a request and answers those that are not in it.
func (b *batch) load(specs []*protocol.FromFunction_PersistedValueSpec, states []*protocol.ToFunction_PersistedValue) (missing []*protocol.FromFunction_PersistedValueSpec) {
	present := make(map[string]*protocol.TypedValue, len(states))
	for _, s := range states {
		present[s.GetStateName()] = s.GetStateValue()
	}
	for _, spec := range specs {
		value, ok := present[spec.StateName]
		if !ok {
			missing = append(missing, spec)
			continue
		}
		c := &cell{}
		if value.GetHasValue() {
			v := typedValueOf(value)
			c.value = &v
		}
		b.cells[spec.StateName] = c
	}
	return missing
}

// store adds one mutation for each state that was touched.
func (b *batch) store(specs []*protocol.FromFunction_PersistedValueSpec) {
	for _, spec := range specs {
		c := b.cells[spec.StateName]
		if !c.touched {
			continue
		}
		m := &protocol.FromFunction_PersistedValueMutation{StateName: spec.StateName}
		if c.value != nil {
			m.MutationType = protocol.FromFunction_PersistedValueMutation_MODIFY
			m.StateValue = c.value.wire()
		}
		b.result.StateMutations = append(b.result.StateMutations, m)
	}
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
