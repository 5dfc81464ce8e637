package stategate

import "github.com/stategate/stategate/sdk/go/internal/protocol"

// wire is a value as generated code has it.
func (v TypedValue) wire() *protocol.TypedValue {
	return &protocol.TypedValue{Typename: v.TypeName, HasValue: true, Value: v.Value}
}

// wire is an address as generated code has it.
func (a Address) wire() *protocol.Address {
	return &protocol.Address{Namespace: a.Namespace, Type: a.Name, Id: a.ID}
}

func addressOf(a *protocol.Address) Address {
	return Address{Namespace: a.GetNamespace(), Name: a.GetType(), ID: a.GetId()}
}

func typedValueOf(v *protocol.TypedValue) TypedValue {
	return TypedValue{TypeName: v.GetTypename(), Value: v.GetValue(), absent: !v.GetHasValue()}
}
