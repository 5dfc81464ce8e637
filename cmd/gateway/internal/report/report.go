// Package report holds what operators are told, as values: the application finds them, and the admin side writes them as JSON. It
// asks nobody and decides nothing.
package report

import (
	"errors"
	"fmt"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// ErrStandby: another member works on the store; only that one knows, and only that one can change anything.
var ErrStandby = errors.New("this gateway waits, another one works")

// Standby is ErrStandby with the one to ask.
type Standby struct {
	Owner string // where its admin side listens, HOST:PORT; "" when it is not known
	Host  string // where it runs
}

func (s *Standby) Error() string {
	if s.Owner == "" {
		return ErrStandby.Error()
	}
	return fmt.Sprintf("%v: %s on %s", ErrStandby, s.Owner, s.Host)
}

// Is makes it ErrStandby.
func (s *Standby) Is(target error) bool { return target == ErrStandby }

// Reason is a condition that operators must know of: a stable kind for counting, and a text for people without ids or payloads.
type Reason struct{ Kind, Text string }

// Status is what an operator wants to know first: whether traffic may come, who works, and what is not as it should be.
type Status struct {
	Unready string // why no traffic should come here now: starting, draining, or without the store; "" if it may
	Active  bool   // this member works; otherwise it waits
	Reasons []Reason
}

// About is which gateway is asked.
type About struct {
	Member  statestore.Member
	Store   string // its name, without a password
	StoreID string
	Active  bool // this member works; otherwise it waits
}

// PauseDone is what came of a pause, or of the end of one.
type PauseDone struct {
	Changed bool              // false: it was so already, and nothing has happened
	Unheard bool              // of a function that only a pattern of the module names: no message has come for it since this member works, and nothing is kept for it
	Near    *statestore.Pause // where there was no pause to end: the one that is in force and was probably meant; nil: none
}

// Address is what is known of one address.
type Address struct {
	Active   bool                   // this member works; otherwise only what is stored is known
	Declared bool                   // the module says who serves the function
	NowMS    int64                  // the machine's time, by which states expire; Unix milliseconds
	Stored   statestore.Loaded      // what is committed
	Specs    []statestore.StateSpec // of the function type
	View     machine.View           // what is in memory; zero on a standby
}

// Condition is something that a part has stated and not taken back.
type Condition struct {
	Key   string // stable while it lasts, as in "ingress shop/in orders/3: topic was made anew"
	Text  string
	Since time.Time
}

// Function is one function type, or all of a namespace that one endpoint serves.
type Function struct {
	Name        api.FunctionType
	All         bool // it stands for all of Name.Namespace that nothing else names; Name.Name is ""
	Endpoint    *Endpoint
	States      []statestore.StateSpec
	Ways        []machine.EndpointState // the URLs that calls go to, as far as this member has called them
	Wait        *machine.FunctionWait   // nil on a standby
	Paused      *statestore.Pause
	DeadLetters *int64 // nil on a standby
}

// Endpoint is what the module says of how a function is called.
type Endpoint struct {
	At        string // FILE:LINE
	URL       string // its template, without secrets
	Fault     string // why no call can be made; ""
	OnFailure string
	Messages  int // in one call at most; 0: no bound of its own
	Transport Transport
}

// Transport is how an endpoint is reached. Zero durations are none.
type Transport struct {
	Kind                       string
	Call, Connect, Read, Write time.Duration
	PoolTTL                    time.Duration
	PoolSize                   int
	ReplyBytesMax              int64 // 0: no bound of its own
	HTTP2                      string
	Bulk                       int // calls in one request at most; 1: never several, 0: as many as the function announces
}

// Ingress is where events come from.
type Ingress struct {
	ID       string
	Kind     string // kafka, kinesis, http or playground; "" when the module does not declare it
	Declared bool
	Paused   *statestore.Pause
	Sources  []Source
	State    machine.IngressState
	Troubles []Condition
}

// Source is one partition of an ingress.
type Source struct {
	ID       api.Source
	Position int64  // all below is finished, and committed
	Finished int64  // of what is above it
	Lag      *int64 // records that are not finished; nil while nobody knows
	OldestMS int64  // age of the oldest record at hand that is not finished
	WaitsFor string // why it brings nothing for now; "": it does
}

// Egress is where results go.
type Egress struct {
	ID       string
	Kind     string // kafka, kinesis, log or playground; "" when the module does not declare it
	Semantic string // how often an output is delivered
	Declared bool
	Outputs  int64 // that wait
	Bytes    int64
	OldestMS int64
	Lanes    []Lane
	Troubles []Condition
}

// Lane is one ordered stream of an egress's outputs.
type Lane struct {
	Slot      int
	Next      uint64 // number of the next output
	Delivered uint64 // all below is delivered or set aside
	Stored    uint64 // number of the first that is stored
	Started   bool   // its first cursor is written
	Halted    string // why it stands until an operator decides; ""
}

// Stuck is one thing that waits longer than it should, or several of one cause.
type Stuck struct {
	machine.Stuck
	Remedy string // the command to type
	Look   string // the one that shows more of it; "": the remedy does, or none
}

// Decision is what an operator decides to deliver of a lane that stands still: all that is stored, only what is new, or from an output on.
type Decision struct {
	Stored, New bool
	From        uint64 // number of the first output, when it is neither of them
}
