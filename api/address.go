package api

import (
	"fmt"
	"strings"
)

// FunctionType names a function: namespace and name, as in "shop/cart".
type FunctionType struct {
	Namespace, Name string
}

// ParseFunctionType reads "namespace/name" by the rules of StateFun's runtime: trailing empty parts are dropped and
// exactly two parts must remain; the namespace may be empty.
func ParseFunctionType(s string) (FunctionType, error) {
	parts := strings.Split(strings.TrimRight(s, "/"), "/")
	if len(parts) != 2 {
		return FunctionType{}, fmt.Errorf("type name %q: want namespace/name", s)
	}
	return FunctionType{Namespace: parts[0], Name: parts[1]}, nil
}

func (f FunctionType) String() string { return f.Namespace + "/" + f.Name }

// IsZero reports whether neither part is set.
func (f FunctionType) IsZero() bool { return f == FunctionType{} }

// Address is one instance of a function. The zero Address means "nobody" (the caller of an ingress message).
type Address struct {
	Type FunctionType
	ID   string
}

func (a Address) String() string { return a.Type.String() + "/" + a.ID }

// IsZero reports whether the address is nobody's.
func (a Address) IsZero() bool { return a == Address{} }
