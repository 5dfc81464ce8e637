package simulation_test

import (
	"fmt"
	"strings"
)

// fault is a kind of what may go wrong. One is counted only when it took effect.
type fault int

const (
	faultCrash  fault = iota // a process dies, at any point
	faultSleep               // a member sleeps while another takes over, and goes on
	faultStop                // a member stops in order
	faultCut                 // the time for that is over before it is done
	faultFenced              // an owner that is awake loses the store, and waits for it again

	faultCommitRefused // the store is away
	faultCommitLost    // its answer is lost, and it was never made
	faultCommitDone    // its answer is lost, and it was made
	faultCommitLate    // its answer is lost, and it is still on its way
	faultStoreSlow     // it takes its time with every answer
	faultStoreAway     // a question about commits, claims and ownership is not answered
	faultLoadFails     // a question for what is kept is not answered, and asked again
	faultLoadStale     // an answer that was read before a commit comes after it

	faultCallEndpoint
	faultCallTimeout
	faultCallAnswer
	faultCallTooLarge
	faultCallHangs   // no answer until its time is over
	faultCallTwice   // its answer comes again
	faultCallGarbage // a reply that cannot be used
	faultCallStale   // the answer to a call of an earlier incarnation
	faultDown        // a function that nobody reaches
	faultPoison      // an address that its function always fails on
	faultAside       // a message that its function always fails on, and sets aside

	faultRewind    // a source brings again what it has brought
	faultPartition // a source appears in the middle of a life
	faultForward   // time jumps
	faultBack      // the wall clock is set back

	faultSinkBegin  // the connection is lost before a transaction begins
	faultSinkSend   // after some of its outputs
	faultSinkLost   // at its commit, which does not take place
	faultSinkDone   // at its commit, which takes place
	faultSinkLate   // at its commit, which is still on its way
	faultSinkCursor // the cursor is asked for, and there is no answer
	faultSinkRefuse // an output is refused for good

	faultCommitTwice // it is made, and arrives again
	faultDecide      // where a source is read from is decided anew, in the middle of its records
	faultModule      // a process begins with a module that does not declare a function, until the next one
	faultBulkCut     // a bulk ends, and some of its calls have no answer
	faultBulkRefused // an endpoint takes no bulk
	faultBulkAnew    // another version of it takes other ones, or none
	faultCursor      // a sink has lost a cursor, or has a strange one: the lane stands still until an operator decides

	faultKinds
)

var faultNames = [faultKinds]string{
	"crash", "sleep", "stop", "cut", "fenced",
	"commit-refused", "commit-lost", "commit-done", "commit-late", "store-slow", "store-away", "load-fails", "load-stale",
	"call-endpoint", "call-timeout", "call-answer", "call-too-large", "call-hangs", "call-twice", "call-garbage", "call-stale", "down", "poison", "aside",
	"rewind", "partition", "forward", "back",
	"sink-begin", "sink-send", "sink-lost", "sink-done", "sink-late", "sink-cursor", "sink-refuse",
	"commit-twice", "decide", "module", "bulk-cut", "bulk-refused", "bulk-anew", "cursor",
}

func (f fault) String() string { return faultNames[f] }

func faultNamed(name string) (fault, bool) {
	for f, n := range faultNames {
		if n == name {
			return fault(f), true
		}
	}
	return 0, false
}

// phase is what the member that is struck is about. It may be about several things at once.
type phase int

const (
	phaseOpening    phase = iota // it begins: sources, lanes and functions are not all under way
	phaseIdle                    // it waits for something to happen
	phaseLoading                 // it waits for the store
	phaseCalling                 // it waits for functions
	phaseCommitting              // its commit is out
	phaseDoubt                   // nobody knows whether that was made
	phaseDelivering              // it has outputs to deliver, or a lane that does not know where it stands
	phaseDraining                // it stops in order
	phases
)

var phaseNames = [phases]string{"opening", "idle", "loading", "calling", "committing", "doubt", "delivering", "draining"}

func (p phase) String() string { return phaseNames[p] }

// table counts faults by the phases in which they struck.
type table [faultKinds][phases]int

func (t *table) add(o *table) {
	for f := range t {
		for p := range t[f] {
			t[f][p] += o[f][p]
		}
	}
}

func (t *table) any(f fault) bool { return t[f] != [phases]int{} }

func (t *table) String() string {
	out := &strings.Builder{}
	fmt.Fprintf(out, "%-15s", "")
	for p := range phases {
		fmt.Fprintf(out, "%11v", p)
	}
	for f := range faultKinds {
		fmt.Fprintf(out, "\n%-15v", f)
		for p := range phases {
			switch {
			case t[f][p] > 0:
				fmt.Fprintf(out, "%11d", t[f][p])
			case cannot(f, p) != "":
				fmt.Fprintf(out, "%11s", "-")
			default:
				fmt.Fprintf(out, "%11s", "NONE")
			}
		}
	}
	return out.String()
}

// holes are the cells that can occur and did not, and those that cannot and did.
func (t *table) holes() (holes []string) {
	for f := range faultKinds {
		for p := range phases {
			reason := cannot(f, p)
			switch {
			case t[f][p] == 0 && reason == "":
				holes = append(holes, fmt.Sprintf("no %v while %v", f, p))
			case t[f][p] > 0 && reason != "":
				holes = append(holes, fmt.Sprintf("%d of %v while %v, which cannot be: %s", t[f][p], f, p, reason))
			}
		}
	}
	return holes
}

// cannot says why a fault cannot strike in a phase, "" when it can.
func cannot(f fault, p phase) string {
	switch {
	case p == phaseIdle && f == faultCut:
		return "a member that stops is draining"
	case p == phaseIdle && f >= faultCommitRefused && f <= faultCommitLate:
		return "the commit is out"
	case p == phaseDoubt && f >= faultCommitRefused && f <= faultCommitLate:
		return "a commit in doubt is asked for before it is made again"
	case p == phaseIdle && f == faultLoadFails:
		return "the question is out"
	case p == phaseIdle && f == faultPartition:
		return "it begins to read the partition"
	case p == phaseIdle && (f >= faultSinkBegin && f <= faultSinkRefuse || f == faultCursor):
		return "whoever talks to a sink begins, or delivers"
	case p != phaseOpening && f == faultModule:
		return "a module is read when a process begins"
	case p == phaseIdle && (f == faultBulkCut || f == faultBulkRefused):
		return "the bulk is out"
	case p == phaseDraining && f == faultStop:
		return "it stops already"
	case p == phaseDraining && (f == faultRewind || f == faultPartition || f == faultDecide):
		return "sources are stopped first"
	}
	return ""
}

// rates are how often things go wrong in a life, in one of a thousand.
type rates [faultKinds]int

// newRates draws which kinds of faults there are in a life at all, and how many of them: where everything fails at once, what
// needs calm in between never happens.
func newRates(seed uint64) (r rates) {
	rng := drawer(seed, streamRates)
	per := func(f fault, all ...int) {
		n := all[rng.IntN(len(all))]
		if rng.IntN(2) == 0 {
			r[f] = n
		}
	}
	// Of a thousand steps.
	per(faultCrash, 2, 5, 15)
	per(faultSleep, 2, 5, 15)
	per(faultStop, 2, 5)
	per(faultCut, 20, 100) // while it stops
	per(faultStoreSlow, 2, 5)
	per(faultRewind, 3, 10, 30)
	per(faultForward, 2, 5)
	per(faultBack, 2, 5)
	// Of a thousand tries.
	for _, f := range []fault{faultCommitRefused, faultCommitLost, faultCommitDone, faultCommitLate, faultStoreAway, faultLoadFails} {
		per(f, 20, 60, 200)
	}
	for _, f := range []fault{faultCallEndpoint, faultCallTimeout, faultCallAnswer, faultCallTooLarge, faultCallHangs, faultCallTwice, faultCallGarbage} {
		per(f, 20, 60, 200)
	}
	for _, f := range []fault{faultSinkBegin, faultSinkSend, faultSinkLost, faultSinkDone, faultSinkLate, faultSinkCursor, faultSinkRefuse} {
		per(f, 20, 60, 200)
	}
	per(faultCommitTwice, 20, 60, 200)
	per(faultDecide, 2, 5, 15)
	per(faultModule, 100, 300) // of a thousand processes
	per(faultBulkCut, 60, 200)
	per(faultBulkRefused, 60, 200)
	per(faultBulkAnew, 5, 20)
	per(faultCursor, 2, 5, 15) // of a thousand steps
	// Of a thousand lives, or places in them.
	r[faultDown], r[faultPoison], r[faultPartition], r[faultAside] = 330, 330, 250, 500
	return r
}
