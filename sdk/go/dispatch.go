package stategate

import (
	"context"
	"fmt"
	"strings"
)

// Case handles the messages of one type; On makes it.
type Case struct {
	typeName string
	call     func(ctx context.Context, in *Invocation) error
}

// On handles messages of a type with the value that they carry.
func On[T any](t Type[T], call func(ctx context.Context, in *Invocation, value T) error) Case {
	return Case{t.Name, func(ctx context.Context, in *Invocation) error {
		value, err := t.From(in.Argument())
		if err != nil {
			return err
		}
		return call(ctx, in, value)
	}}
}

// Dispatch is a Function's Call that hands each message to the case of its type. A message of any other type fails the call. Two cases
// of one type are a mistake of the program: Dispatch panics.
func Dispatch(cases ...Case) func(ctx context.Context, in *Invocation) error {
	byType := make(map[string]Case, len(cases))
	names := make([]string, 0, len(cases))
	for _, c := range cases {
		if _, twice := byType[c.typeName]; twice {
			panic("stategate: Dispatch has two cases of type " + c.typeName)
		}
		byType[c.typeName] = c
		names = append(names, c.typeName)
	}
	known := strings.Join(names, ", ")
	return func(ctx context.Context, in *Invocation) error {
		c, ok := byType[in.argument.TypeName]
		if !ok {
			return fmt.Errorf("a message of type %q: want one of %s", in.argument.TypeName, known)
		}
		return c.call(ctx, in)
	}
}
