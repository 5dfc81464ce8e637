package machine

import (
	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// ID names a load, a call or a commit. Its answer carries it back.
type ID struct {
	Incarnation uint64
	N           uint64
}

// Work is what is to be done now. Everything in it may be done at once and side by side, but for what the fields say.
type Work struct {
	// Loads, MailLoads, TimerLoad, Spills and Expired are questions to the store. Each is answered by the fact of its name.
	Loads     []Load
	MailLoads []MailLoad
	TimerLoad *TimerLoad
	Spills    []SpillLoad
	Expired   *ExpiredLoad

	// Calls are attempts to start. Their answers may come in any order.
	Calls []Call

	// Commit is the one commit to make. There is none while an earlier one has not ended. Nothing of what it holds may
	// leave before Committed; memory has run ahead of it already.
	Commit *statestore.Commit
	// Sealed are the tokens of events from outside, and of edits, that Commit holds, or what came of them. When this memory is dropped, what
	// became of them only the store knows. Others that are not Done, or Edited, have not happened.
	Sealed []uint64
	// Traced are the sampled traces of the calls whose effects Commit holds, up to a bound.
	Traced []*api.Trace

	// Outputs have become durable with the commit that ended last: hand them over in this order.
	Outputs []statestore.OutputPack
	// Done are the tokens of facts that have become durable with that commit, in the order in which they came.
	Done []uint64
	// Answers have become durable with that commit: hand them to whoever waits under their tokens, after Done.
	Answers []Answer
	// Edited are edits that have become durable with that commit, or that were refused.
	Edited []Edited
	// Finished are sources whose committed progress has moved, with the new one.
	Finished []statestore.Progress

	// Full are sources that must bring nothing more; Room are those that may again.
	Full, Room []api.Source

	// Tick is when Tick wants to be called at the latest (Unix milliseconds); 0: not needed.
	Tick int64
}

// Load asks for the states of addresses (statestore.Reader.States).
type Load struct {
	ID        ID
	Addresses []api.Address
}

// MailLoad asks for spilled messages of one address (statestore.Reader.Mail).
type MailLoad struct {
	ID       ID
	Address  api.Address
	From     uint64
	BytesMax int
}

// TimerLoad asks for timers (statestore.Reader.Timers).
type TimerLoad struct {
	ID    ID
	After statestore.TimerKey
	Due   int64
	Limit int
}

// SpillLoad asks which addresses of a function have spilled messages (statestore.Reader.SpilledAddresses).
type SpillLoad struct {
	ID       ID
	Function api.FunctionType
	Cursor   []byte
	Limit    int
}

// ExpiredLoad asks which addresses have expired states (statestore.Reader.ExpiredAddresses).
type ExpiredLoad struct {
	ID     ID
	Before int64
	Limit  int
}

// Call is one attempt: a batch of messages of one address with its states.
type Call struct {
	ID       ID
	Function api.FunctionType
	Target   api.Address
	States   []CallState
	Messages []api.Message // all to Target, in order
	Attempt  int           // 1 for the first
	Timeout  int64         // milliseconds
	// Bulk marks calls that travel in one request: those with the same number, which stand one behind the other in Work.Calls, two at
	// least, all of one endpoint. 0: this one goes alone, as an ordinary request.
	Bulk uint64
	// Arrived says when messages of sampled traces came. nil where there is none: nearly always, so it is a pointer.
	Arrived *Arrivals
}

// Arrivals are the times at which the messages of a call came, in Unix milliseconds. 0: an earlier call has told it, or the message is in no
// sampled trace.
type Arrivals []int64

// CallState is one state as the function is shown it.
type CallState struct {
	Name  string
	Set   bool
	Value api.TypedValue
}

// Reply is what a function answered.
type Reply struct {
	// Incomplete: the function wants these states before it runs; everything else is empty.
	Incomplete bool
	// BulkCalls is how many calls of a bulk the endpoint runs at once, as it has said with this reply; below 2: it takes no bulk calls.
	BulkCalls int32
	Missing   []statestore.StateSpec
	// Trace is what it has caused goes on in: that of the call's messages, with the call's own span. nil: none.
	Trace *api.Trace

	Sends     []Send
	Delayed   []Delayed
	Outputs   []Output
	Mutations []Mutation
}

// Send is a message to another function.
type Send struct {
	Target   api.Address
	Argument api.TypedValue
}

// Delayed is a message after a delay, or the cancellation of one.
type Delayed struct {
	Send
	Delay  int64 // milliseconds, not negative
	Token  string
	Cancel bool // only Token counts; it is not empty
}

// Output is a record for an egress, by the id "namespace/name".
type Output struct {
	Egress string
	Value  api.TypedValue
}

// Mutation changes one state.
type Mutation struct {
	Name   string
	Delete bool
	Value  api.TypedValue
}

// Failure says why an attempt failed.
type Failure struct {
	Kind       FailureKind
	RetryAfter int64 // milliseconds that the endpoint asked for; 0: none
	Text       string
}

// FailureKind says whose fault a failure is.
type FailureKind uint8

const (
	FailEndpoint FailureKind = iota + 1 // refused, reset, name or TLS trouble, 429, 502, 503, 504
	FailTimeout                         // no answer within the attempt's time
	FailTooLarge                        // 413: a smaller batch may pass
	FailAnswer                          // any other status, or a reply that cannot be used
	FailBusy                            // the gateway has no room for the reply, or for what it asks for: nobody's fault
)

func (k FailureKind) String() string {
	switch k {
	case FailEndpoint:
		return "endpoint"
	case FailTimeout:
		return "timeout"
	case FailTooLarge:
		return "too large"
	case FailAnswer:
		return "answer"
	case FailBusy:
		return "busy"
	}
	return "unknown"
}
