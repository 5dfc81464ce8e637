package dispatcher

import (
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/endpoint"
	"github.com/stategate/stategate/dispatcher/machine"
)

// Hooks observe a dispatcher. Nil funcs are not called; they must be quick and safe for concurrent use.
type Hooks struct {
	// Call counts attempts that have ended. result is "ok", "incomplete" (the function asked for states that it was not
	// sent), or the kind of the failure: "unreachable", "overloaded", "timeout", "too_large", "status", "bad_reply", "busy", and of calls
	// that travelled with others "unanswered" (the response ended without an answer) and "no_bulk" (the endpoint does not take them so).
	Call func(function api.FunctionType, result string, took time.Duration)
	// Bulk counts requests by the calls that they carry: 1 where one goes alone.
	Bulk func(calls int)
	// Answered sees each attempt that has ended, with its reply, or with its failure when there is one. It runs on the loop, and may
	// neither keep nor change what it is shown: it is for development.
	Answered func(call *machine.Call, reply *machine.Reply, failure *endpoint.Failure, took time.Duration)
	// Commit counts tries of a commit. result is "ok", "fenced", "doubt", "unavailable" or "refused"; effects is how many
	// changes it holds.
	Commit func(result string, took time.Duration, effects int)
	// Traces are of what is in a trace; see there.
	Traces Traces
	// DeadLetter sees each dead letter when it becomes part of the next commit.
	DeadLetter func(d *api.DeadLetter)
	// Restarted says that what was in memory is dropped, and why.
	Restarted func(reason string)
	// Degraded names a condition that operators must know of, under a stable key; Recovered ends it.
	Degraded  func(key, text string)
	Recovered func(key string)
}
