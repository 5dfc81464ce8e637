package api

import "fmt"

// Source is one partition of an ingress: the unit of order and of progress of what comes in.
type Source struct {
	Ingress   string // id of the ingress in module.yaml, "namespace/name"
	Topic     string
	Partition int32
}

func (s Source) String() string { return fmt.Sprintf("%s %s/%d", s.Ingress, s.Topic, s.Partition) }

// Route is one target of a topic. Key tells it from the topic's other targets in stored progress: the function type's
// text, with "#n" behind it when the module names the same target several times.
type Route struct {
	Key    string
	Target FunctionType
}

// Record is one event of a source. Offsets of one source arrive in rising order; those that are left out between two
// records (transaction markers, aborted and compacted records) count as finished.
type Record struct {
	Offset int64
	ID     string // of each target address
	Value  TypedValue
	Routes []Route     // shared by all records of a topic; empty: the record is finished on arrival
	Dead   *DeadLetter // set instead of Routes when the record cannot be used: it is set aside and the source goes on
	Trace  *Trace      // nil: it is in none
}

// Size is the memory that the record holds, in bytes.
func (r *Record) Size() int { return messageOverhead + len(r.ID) + len(r.Value.Value) + r.Trace.size() }

// DeadLetter is what is set aside because it could not be used, with where it came from and why.
type DeadLetter struct {
	Number uint64 // drawn by the engine; unique in the store, rising
	Kind   DeadLetterKind
	From   string // ingress id, function type or egress id
	Reason string // short and stable, for counting: "null key", "unknown function" ...
	Detail string // for people
	AtMS   int64  // Unix time in milliseconds
	Origin string // whose bound it counts in, set by the engine; see OriginIngress and the others

	Source   Source   // ingress: where the record stands
	Offset   int64    // ingress: where the record stands; egress: number in the lane
	Address  Address  // function: whose message; egress: the sender
	Caller   Address  // function: who sent the message
	TypeName string   // of Value, where it has one
	Key      []byte   // ingress: the raw key; nil when null
	Value    []byte   // the raw value; nil when null
	Headers  []Header // ingress: as they came
	NoValue  bool     // of a message or an output: it has none, not even an empty one (protocol field has_value)
}

// Size is the memory that the dead letter holds, in bytes.
func (d *DeadLetter) Size() int {
	n := 2*messageOverhead + len(d.From) + len(d.Detail) + len(d.Address.ID) + len(d.Caller.ID) + len(d.TypeName) + len(d.Key) + len(d.Value) +
		len(d.Address.Type.Namespace) + len(d.Address.Type.Name)
	for i := range d.Headers {
		n += headerOverhead + len(d.Headers[i].Key) + len(d.Headers[i].Value)
	}
	return n
}

// headerOverhead is what a header costs in memory beside its parts, in bytes: a record may have hundreds of thousands of empty ones.
const headerOverhead = 40

// OriginIngress, OriginFunction and OriginEgress name whose bound dead letters count in: the ingress of what came from a source, the
// function of what it failed on or sent to nobody, the egress of what its sink refused. All of them are named by a module, so there
// are few, whatever names replies hold.
func OriginIngress(id string) string       { return "ingress " + id }
func OriginFunction(f FunctionType) string { return "function " + f.String() }
func OriginEgress(id string) string        { return "egress " + id }

// Header is one header of an ingress record.
type Header struct {
	Key   string
	Value []byte
}

// DeadLetterKind says at which door a dead letter was set aside.
type DeadLetterKind uint8

const (
	DeadRecord  DeadLetterKind = iota + 1 // a record that an ingress could not use
	DeadMessage                           // a message that cannot be delivered to a function
	DeadOutput                            // an output that the egress, or its sink, refuses for good
)

func (k DeadLetterKind) String() string {
	switch k {
	case DeadRecord:
		return "record"
	case DeadMessage:
		return "message"
	case DeadOutput:
		return "output"
	}
	return fmt.Sprintf("kind(%d)", uint8(k))
}
