package egress

import "testing"

func TestCursorIsJudged(t *testing.T) {
	at := func(next uint64) Cursor { return Cursor{Found: true, Next: next, Claim: "mine"} }
	by := func(next uint64, claim string) Cursor { return Cursor{Found: true, Next: next, Claim: claim} }
	fresh := Standing{Claim: "mine", Low: 1, Claimed: 1, Known: 1, Next: 1}
	weaker := Standing{Claim: "mine", Low: 4, Claimed: 9, Known: 9, Next: 4} // it delivered by another semantic before
	started := Standing{Claim: "mine", Started: true, Low: 4, Claimed: 9, Known: 12, Next: 4}
	resumed := Standing{Claim: "mine", Started: true, Resumed: true, Low: 4, Claimed: 9, Known: 12, Next: 7}
	for _, c := range []struct {
		name       string
		standing   Standing
		cursor     Cursor
		remembered bool
		asks       bool
		want       Verdict
	}{
		{"none of a new lane", fresh, Cursor{}, false, false, CursorBegins},
		{"none of a lane that was at-least-once", weaker, Cursor{}, false, false, CursorBegins},
		{"none of a started lane", started, Cursor{}, true, false, CursorLost},
		{"none of a resumed lane", resumed, Cursor{}, true, false, CursorLost},

		{"first one, written by a former owner", fresh, by(1, "former"), true, true, CursorStarts},
		{"first one, by this claim", fresh, at(1), false, false, CursorStarts},
		{"first one at the first stored output", weaker, at(4), false, false, CursorStarts},
		{"first one of an operator", weaker, by(4, ""), false, false, CursorStarts},
		{"a number that no first cursor has", weaker, at(6), true, false, CursorAhead},
		{"first one, by a claim that the store has forgotten", fresh, by(1, "lost"), false, true, CursorAhead},

		{"where the lane stands", started, at(4), false, false, CursorMeets},
		{"above", started, by(6, "former"), true, true, CursorSkips},
		{"at the end of what was committed at the claim", started, by(9, "former"), true, true, CursorSkips},
		{"committed since the claim, which proves nothing yet", started, by(10, "former"), true, false, CursorAhead},
		{"committed since, with a good cursor before", resumed, at(10), false, false, CursorSkips},
		{"above all that is committed", resumed, at(13), true, false, CursorAhead},
		{"moved by a claim that the store does not know", started, by(6, "lost"), false, true, CursorAhead},
		{"the same in the middle of a session", resumed, by(7, "lost"), false, true, CursorAhead},
		{"moved by an operator", started, by(6, ""), false, false, CursorSkips},
		{"below", resumed, at(5), false, false, CursorLags},
		{"below, by an operator", started, by(2, ""), false, false, CursorLags},
	} {
		if got := c.standing.Asks(c.cursor); got != c.asks {
			t.Errorf("%s: asks %v, want %v", c.name, got, c.asks)
		}
		if got := c.standing.Judge(c.cursor, c.remembered); got != c.want {
			t.Errorf("%s: verdict %d, want %d", c.name, got, c.want)
		}
	}
}
