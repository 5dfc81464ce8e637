package machine

// Verdict says what became of a commit whose outcome was unknown.
type Verdict uint8

const (
	// CommitMissed: it never took place, and never will: make it again.
	CommitMissed Verdict = iota + 1
	// CommitDone: it is durable.
	CommitDone
	// CommitLost: an earlier one, which was confirmed, is not there. The store went back: stop.
	CommitLost
	// CommitUnknown: the store has a commit that was never made. Stop.
	CommitUnknown
)

// AfterDoubt judges a commit by the number of the member's last one, which was read with a lock that waits for whatever is still on
// its way (statestore.Committer.LastCommit): a plain read could overtake it.
func AfterDoubt(number, last uint64) Verdict {
	switch {
	case last == number:
		return CommitDone
	case last+1 == number:
		return CommitMissed
	case last < number:
		return CommitLost
	}
	return CommitUnknown
}
