package api

import (
	"fmt"
	"unicode/utf8"
)

// Limits of what any store can hold. They are enforced where a record or a reply is accepted, and fail that alone: a commit is
// never refused by its data.
const (
	IDBytesMax        = 64 << 10  // of an address
	NameBytesMax      = 512       // of a namespace, of a function's name, of a state's name, of an egress's parts
	TypeNameBytesMax  = 64 << 10  // of a value's type name
	TokenBytesMax     = 64 << 10  // of a cancellation token
	ValueBytesMax     = 128 << 20 // of one argument, state value or output
	StateBytesMax     = 256 << 20 // of all states of one address together
	StatesPerFunction = 1024      // state names of one function type
)

// CheckAddress says why an address is not one that the gateway can hold, or nil.
func CheckAddress(a Address) error {
	if err := CheckFunctionType(a.Type); err != nil {
		return err
	}
	return CheckID(a.ID)
}

// CheckID says why an id is not one that the gateway can hold, or nil.
func CheckID(id string) error {
	switch {
	case len(id) > IDBytesMax:
		return fmt.Errorf("id of %d bytes: at most %d are allowed", len(id), IDBytesMax)
	case !utf8.ValidString(id):
		return fmt.Errorf("id %q is not UTF-8", short(id))
	}
	return nil
}

// CheckFunctionType says why a function type is not one that the gateway can hold, or nil.
func CheckFunctionType(f FunctionType) error {
	switch {
	case len(f.Namespace) > NameBytesMax || len(f.Name) > NameBytesMax:
		return fmt.Errorf("function type %q of %d + %d bytes: at most %d each are allowed", short(f.String()), len(f.Namespace), len(f.Name), NameBytesMax)
	case f.Name == "":
		return fmt.Errorf("function type %q has no name", f.String())
	}
	return nil
}

// CheckValue says why a value is not one that the gateway can hold, or nil.
func CheckValue(v TypedValue) error {
	switch {
	case len(v.TypeName) > TypeNameBytesMax:
		return fmt.Errorf("type name of %d bytes: at most %d are allowed", len(v.TypeName), TypeNameBytesMax)
	case len(v.Value) > ValueBytesMax:
		return fmt.Errorf("value of %d bytes: at most %d are allowed", len(v.Value), ValueBytesMax)
	}
	return nil
}

// short cuts hostile text for an error message.
func short(s string) string {
	const max = 64
	if len(s) <= max {
		return s
	}
	return s[:max] + "..."
}
