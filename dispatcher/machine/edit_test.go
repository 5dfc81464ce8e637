package machine

import (
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// TestEditsThatWait: edits that wait for their turn are bounded in number and in bytes, one may always wait, and room comes back when they
// have had their turn or are taken back.
func TestEditsThatWait(t *testing.T) {
	f := api.FunctionType{Namespace: "x", Name: "f"}
	claim := &statestore.Claim{Functions: []statestore.FunctionSpec{{Function: f, States: []statestore.StateSpec{{Name: "s"}}}}}
	m := New(Config{Function: func(api.FunctionType) (Function, bool) { return Function{Endpoint: "http://f"}, true }}, claim, 1000)
	a, token := api.Address{Type: f, ID: "a"}, uint64(0)
	edit := func(bytes int) (crowded bool) {
		t.Helper()
		token++
		m.EditState(a, Edit{State: "s", Value: api.TypedValue{Value: make([]byte, bytes)}}, "op", token)
		edited := m.work.Edited
		m.work.Edited = nil
		return len(edited) == 1 && edited[0].Token == token && edited[0].Outcome == EditCrowded
	}
	if edit(editBytesMax) || !edit(1) {
		t.Error("the largest edit is to wait, and another one finds no room")
	}
	if !m.WithdrawEdit(a, 1) || m.WithdrawEdit(a, 1) || m.WithdrawEdit(api.Address{Type: f, ID: "b"}, 2) {
		t.Error("an edit that waits is taken back once")
	}
	for i := range editsMax {
		if edit(1) {
			t.Fatalf("edit %d finds no room", i)
		}
	}
	if !edit(1) {
		t.Errorf("%d edits wait", m.edits)
	}
	w := m.Work()
	if len(w.Loads) != 1 {
		t.Fatalf("loads %+v", w.Loads)
	}
	m.Loaded(w.Loads[0].ID, make([]statestore.Loaded, 1))
	w = m.Work()
	if err := m.Invariants(); err != nil {
		t.Error(err)
	}
	if m.edits != 0 || m.editBytes != 0 || w.Commit == nil || len(w.Commit.Acts) != editsMax || len(w.Commit.States) != 1 {
		t.Errorf("%d edits of %d bytes wait; commit %+v", m.edits, m.editBytes, w.Commit)
	}
	m.Committed(w.Commit.Number)
	if w = m.Work(); len(w.Edited) != editsMax {
		t.Errorf("%d edits are told, want %d", len(w.Edited), editsMax)
	}
}
