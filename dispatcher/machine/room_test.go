package machine

import "testing"

// TestCallsRoomStays: a Work without calls takes no room away from those that have some, and a large one's is given back.
func TestCallsRoomStays(t *testing.T) {
	m := &Machine{}
	used := make([]Call, 3, 8)
	used[2].Attempt = 7
	m.Carried(used)
	m.Carried(nil)
	if cap(m.calls) != 8 || len(m.calls) != 0 {
		t.Errorf("behind a Work without calls there is room for %d, with %d in it: want 8 and none", cap(m.calls), len(m.calls))
	}
	if used[2].Attempt != 0 {
		t.Error("what was called lives on in the room")
	}
	m.Carried(make([]Call, 0, callsRoomMax+1))
	if cap(m.calls) != 8 {
		t.Errorf("there is room for %d, want 8: more than %d is given back", cap(m.calls), callsRoomMax)
	}
}
