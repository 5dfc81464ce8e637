package egress

import (
	"errors"
	"math"
	"testing"
)

func TestDecision(t *testing.T) {
	s := Standing{Claim: "mine", Started: true, Low: 4, Claimed: 9, Known: 12, Next: 5}
	for _, c := range []struct {
		d    Decision
		want uint64 // 0: refused
	}{
		{Decision{Deliver: DeliverStored}, 5},
		{Decision{Deliver: DeliverStored, From: 100}, 5},
		{Decision{Deliver: DeliverNew}, 12},
		{Decision{Deliver: DeliverFrom, From: 5}, 5},
		{Decision{Deliver: DeliverFrom, From: 8}, 8},
		{Decision{Deliver: DeliverFrom, From: 12}, 12},
		{Decision{Deliver: DeliverFrom, From: 4}, 0},
		{Decision{Deliver: DeliverFrom, From: 13}, 0},
		{Decision{Deliver: DeliverFrom, From: 0}, 0},
		{Decision{Deliver: DeliverFrom, From: math.MaxUint64}, 0},
		{Decision{}, 0},
		{Decision{Deliver: 9, From: 8}, 0},
	} {
		got, err := s.Decide(c.d)
		if got != c.want || (err != nil) != (c.want == 0) {
			t.Errorf("%v: got %d, %v, want %d", c.d, got, err, c.want)
		}
		var none *NoOutput
		if c.want == 0 && errors.As(err, &none) != (c.d.Deliver == DeliverFrom) {
			t.Errorf("%v: got %v", c.d, err)
		}
	}
}

// TestDecidedCursorIsGood: whoever claims the lane after a decision, be it before anything else was delivered, takes it up there.
func TestDecidedCursorIsGood(t *testing.T) {
	s := Standing{Claim: "mine", Started: true, Low: 4, Claimed: 9, Known: 12, Next: 5}
	for next := s.Next; next <= s.Known; next++ {
		c := Cursor{Found: true, Next: next, Claim: "mine"}
		later := Standing{Claim: "next", Started: true, Low: s.Low, Claimed: s.Known, Known: s.Known, Next: s.Low}
		if got := later.Judge(c, true); got != CursorSkips {
			t.Errorf("decided %d: the next owner's verdict is %d", next, got)
		}
		s := s
		s.Resumed = true // as the relay that has carried it out
		if got := s.Judge(c, true); next > s.Next && got != CursorSkips || next == s.Next && got != CursorMeets {
			t.Errorf("decided %d: verdict %d", next, got)
		}
	}
}
