package egress

import "testing"

// FuzzCursor: whatever a sink says that it keeps of a lane, delivery goes on only behind what this store has committed and under a claim
// that it remembers, and never before what was delivered. The rules stand here as questions of their own, one for each verdict.
func FuzzCursor(f *testing.F) {
	f.Fuzz(func(t *testing.T, found bool, number uint64, moved, claim string, started, resumed, remembered bool, low, claimed, known, next uint64) {
		c := Cursor{Found: found, Next: number, Claim: moved}
		if !found {
			c = Cursor{}
		}
		s := Standing{Claim: claim, Started: started, Resumed: resumed, Low: low, Claimed: claimed, Known: known, Next: next}
		if s.Resumed && s.Known < s.Claimed || s.Low > s.Claimed || s.Next < s.Low {
			return // no relay stands so
		}
		committed := claimed
		if resumed {
			committed = known
		}
		strange := moved != "" && moved != claim && !remembered
		got := s.Judge(c, remembered)
		goesOn := got == CursorMeets || got == CursorSkips || got == CursorLags || got == CursorStarts
		switch {
		case found && goesOn && number > committed:
			t.Fatalf("goes on (%d) behind %d, which was never committed: %+v", got, number, s)
		case found && goesOn && strange:
			t.Fatalf("goes on (%d) under a claim that nobody remembers: %+v %+v", got, c, s)
		case found && started && number <= committed && !strange && !goesOn:
			t.Fatalf("stands still (%d) at a cursor of its own past: %+v %+v", got, c, s)
		case got == CursorSkips && number <= next, got == CursorLags && number >= next, got == CursorMeets && number != next:
			t.Fatalf("verdict %d of %d at %d", got, number, next)
		case !found && (got == CursorLost) != started, !found && (got == CursorBegins) == started, found && (got == CursorLost || got == CursorBegins):
			t.Fatalf("verdict %d of a cursor that is there: %v, started: %v", got, found, started)
		case got == CursorStarts && (started || number != 1 && number != low):
			t.Fatalf("a first cursor at %d of a lane from %d on, started: %v", number, low, started)
		case got == 0 || got > CursorAhead:
			t.Fatalf("verdict %d", got)
		}
		if !s.Asks(c) && got != s.Judge(c, !remembered) {
			t.Fatalf("the verdict on %+v depends on what nobody asks for: %+v", c, s)
		}
	})
}
