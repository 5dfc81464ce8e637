package machine

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// TestActs: acts are numbered on from those that the store has, stand in the commit of their moment once, and are bounded.
func TestActs(t *testing.T) {
	m := New(Config{Function: func(api.FunctionType) (Function, bool) { return Function{}, false }}, &statestore.Claim{NextAct: 7}, 1000)
	m.act("ada", "replay", "function a/b", "letters 1-3")
	m.Act("bob", "decide", "lane a/b 0", strings.Repeat("é", 5000), 9)
	c := m.Work().Commit
	if c == nil || len(c.Acts) != 2 {
		t.Fatalf("commit %+v, want one with two acts", c)
	}
	want := statestore.Act{Number: 7, AtMS: 1000, By: "ada", What: "replay", On: "function a/b", Detail: "letters 1-3"}
	if diff := cmp.Diff(want, c.Acts[0]); diff != "" {
		t.Error(diff)
	}
	if a := c.Acts[1]; a.Number != 8 || len(a.Detail) > 3000 || !strings.HasSuffix(a.Detail, "...") {
		t.Errorf("act %d with a detail of %d bytes", a.Number, len(a.Detail))
	}
	m.Committed(c.Number)
	if done := m.Work().Done; len(done) != 1 || done[0] != 9 {
		t.Errorf("done %v, want the token", done)
	}
	m.act("ada", "skip", "", "")
	if c := m.Work().Commit; c == nil || len(c.Acts) != 1 || c.Acts[0].Number != 9 {
		t.Errorf("commit %+v, want one with act 9 alone", c)
	}
}
