package stategate

import (
	"errors"
	"fmt"
	"strings"
)

// Address is one instance of a function: the function's type and an id.
type Address struct {
	Namespace, Name string // of the function type
	ID              string
}

// To is the address of an instance of a function, whose type is given as "namespace/name". A function type that is none makes an
// address that Send refuses.
func To(function, id string) Address {
	namespace, name := splitTypeName(function)
	return Address{Namespace: namespace, Name: name, ID: id}
}

func (a Address) String() string { return a.Namespace + "/" + a.Name + "/" + a.ID }

// Function is the function type, "namespace/name".
func (a Address) Function() string { return a.Namespace + "/" + a.Name }

// splitTypeName cuts "namespace/name" at its last slash. The name is empty when there is none.
func splitTypeName(s string) (namespace, name string) {
	i := strings.LastIndexByte(s, '/')
	if i < 0 {
		return s, ""
	}
	return s[:i], s[i+1:]
}

func (a Address) check() error {
	if a.Namespace == "" || a.Name == "" {
		return fmt.Errorf("function type %q: want namespace/name", a.Function())
	}
	return errors.Join(checkText("namespace", a.Namespace), checkText("name", a.Name), checkText("id", a.ID))
}
