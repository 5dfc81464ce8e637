package api

// TypedValue is a value with the name of its type. The gateway never looks inside. A zero-length Value with HasValue is a
// present, empty value (protocol field has_value).
type TypedValue struct {
	TypeName string
	HasValue bool
	Value    []byte // never changed once it is in a TypedValue: it is shared between memory, commits and requests
}

// Message is an argument on its way to an address. Caller is zero when it came from an ingress.
type Message struct {
	Target   Address
	Caller   Address
	Argument TypedValue
	Trace    *Trace // nil: it is in none
}

// messageOverhead is what a message costs in memory beside its variable parts, in bytes.
const messageOverhead = 200

// Size is the memory that the message holds, in bytes; bounds are counted in it.
func (m *Message) Size() int {
	return messageOverhead + len(m.Target.ID) + len(m.Caller.ID) + len(m.Argument.TypeName) + len(m.Argument.Value) + m.Trace.size()
}

// Output is one result for an egress. Sender is the address whose call produced it.
type Output struct {
	Sender Address
	Value  TypedValue
	Trace  *Trace // of the call; nil: it is in none
}

// Size is the memory that the output holds, in bytes.
func (o *Output) Size() int {
	return messageOverhead + len(o.Sender.ID) + len(o.Value.TypeName) + len(o.Value.Value) + o.Trace.size()
}
