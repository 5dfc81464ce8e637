package egress

// Cursor is what a sink keeps of a lane, in the transactions that carry the lane's outputs: how far they have come.
type Cursor struct {
	Found bool   // false: the sink has none, and says so without any doubt
	Next  uint64 // all outputs below are delivered
	Claim string // token of the claim under which it was moved; "" when an operator has
}

// Standing is what a relay knows of its lane when it reads the cursor back.
type Standing struct {
	Claim   string // token of the claim that the relay belongs to
	Started bool   // the store knows that the lane has written its first cursor
	Resumed bool   // under this claim a cursor was found good, or written as the first one
	Low     uint64 // number of the first output that the store had at the claim
	Claimed uint64 // number behind the last output that was committed at the claim
	Known   uint64 // number behind the highest output that is known to be committed by now
	Next    uint64 // all outputs below are delivered or set aside, as far as the relay knows
}

// Verdict says what a cursor that was read back means.
type Verdict uint8

const (
	// CursorBegins: there is none yet. Write the first one, at Next and without any output; then make durable that the lane is
	// started, and only then deliver.
	CursorBegins Verdict = iota + 1
	// CursorStarts: the first one was written, and its writer came no further. Make durable that the lane is started.
	CursorStarts
	// CursorMeets: it is where the relay stands.
	CursorMeets
	// CursorSkips: it is above. What is below it was delivered by others, or by a transaction whose outcome was in doubt.
	CursorSkips
	// CursorLags: it is below what the relay saw delivered. The sink has lost its newest commits, the outputs among them are with
	// readers already: delivery goes on behind them.
	CursorLags
	// CursorLost: the lane has written one, and it is gone. Nobody knows what was delivered: the lane stands still until an
	// operator decides.
	CursorLost
	// CursorAhead: it is not of this store's past. The store went back: the lane stands still until an operator decides.
	CursorAhead
)

// Committed is the number behind the last output that a cursor may have passed. At first that is what was committed at the claim:
// what has been committed since proves nothing, for the numbers of a store that went back are drawn again.
func (s *Standing) Committed() uint64 {
	if s.Resumed {
		return s.Known
	}
	return s.Claimed
}

// possible reports whether the cursor's number can be of this store's past.
func (s *Standing) possible(c Cursor) bool {
	if c.Next > s.Committed() {
		return false
	}
	return s.Started || c.Next == 1 || c.Next == s.Low
}

// Asks reports whether the verdict needs to know if the store remembers the claim under which the cursor was moved: ask
// Engine.Claimed.
func (s *Standing) Asks(c Cursor) bool {
	return c.Found && s.possible(c) && c.Claim != "" && c.Claim != s.Claim
}

// Judge says what the cursor means. remembered is the answer to what Asks asks for; else it does not count.
func (s *Standing) Judge(c Cursor, remembered bool) Verdict {
	switch {
	case !c.Found && s.Started:
		return CursorLost
	case !c.Found:
		return CursorBegins
	case !s.possible(c):
		return CursorAhead
	case s.Asks(c) && !remembered:
		return CursorAhead
	case !s.Started:
		return CursorStarts
	case c.Next < s.Next:
		return CursorLags
	case c.Next > s.Next:
		return CursorSkips
	}
	return CursorMeets
}
