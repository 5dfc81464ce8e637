package admin

import (
	"context"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// Gateway is what is asked. Methods, here and of what it answers, are called by many goroutines and end when their context does.
type Gateway interface {
	// Turning reports whether the loop turns. It never depends on the store, on Kafka or on functions.
	Turning(ctx context.Context) bool
	// Status is what an operator wants to know first.
	Status(ctx context.Context) report.Status
	// Application is who answers everything else. The error is statestore.ErrUnavailable while there is none yet.
	Application() (Application, error)
}

// Application answers what probes do not ask for. Errors are statestore.ErrUnavailable, a *report.Standby where only the member that
// works knows or can do something, or something that is logged.
type Application interface {
	Stored
	Living
	Mender
}

// Stored is what every member can tell: it is committed.
type Stored interface {
	// About is which gateway this is.
	About() report.About
	// Module is what counts of the module.
	Module() report.Module
	// DeadLetters are those with a number above after, in order, at most limit.
	DeadLetters(ctx context.Context, after uint64, limit int) ([]api.DeadLetter, error)
	// Addresses are those of a function that have states or messages, in the store's order (dispatcher.Dispatcher.Addresses); on a standby
	// those that the store keeps by address (statestore.Reader.Addresses). It is report.ErrStandby of one that ceases to work meanwhile.
	Addresses(ctx context.Context, function api.FunctionType, prefix string, cursor []byte, limit int) ([]api.Address, []byte, error)
	// Mailboxes counts the messages of addresses that are only in the store, one for each (statestore.Reader.Mailboxes).
	Mailboxes(ctx context.Context, addresses []api.Address) ([]statestore.Loaded, error)
	// Timers are those behind after, in the order of firing, at most limit.
	Timers(ctx context.Context, after statestore.TimerKey, limit int) ([]statestore.Timer, error)
	// Acts are what operators have done, with a number below before (0: any), the newest first, at most limit.
	Acts(ctx context.Context, before uint64, limit int) ([]statestore.Act, error)
	// Members are the gateways on this store, the owner first.
	Members(ctx context.Context) ([]statestore.MemberState, error)
}

// Living is what only the member that works can tell, of what is in its memory. On another one Address and Functions tell what is
// stored, and say so; Views tell nothing.
type Living interface {
	// Address looks at one address. Any address is there, if only with nothing in it.
	Address(ctx context.Context, a api.Address) (report.Address, error)
	// Views looks at many; nil on a standby.
	Views(ctx context.Context, addresses []api.Address) ([]machine.View, error)
	// Functions are those that the module declares, and those that are known beside, sorted by name.
	Functions(ctx context.Context) ([]report.Function, error)
	// Stuck is what waits longer than it should, the oldest first, at most limit.
	Stuck(ctx context.Context, limit int) ([]report.Stuck, error)
	// Ingresses and Egresses are sorted by id.
	Ingresses(ctx context.Context) ([]report.Ingress, error)
	Egresses(ctx context.Context) ([]report.Egress, error)
	// DeadTotals counts dead letters by origin.
	DeadTotals(ctx context.Context) ([]statestore.DeadTotal, error)
}
