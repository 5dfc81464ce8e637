package app

import (
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/statestore"
)

// Who waits for a store whose owner is frozen says who that is; nobody is named who works, waits, has just gone, or asks himself.
func TestSilentOwner(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	member := func(id string, epoch uint64, active bool, until time.Time) statestore.MemberState {
		return statestore.MemberState{Member: statestore.Member{ID: id, Host: "far", PID: 17}, Epoch: epoch, Active: active, Until: until}
	}
	over := now.Add(-90 * time.Second)
	for name, c := range map[string]struct {
		of   statestore.MemberState
		want bool
	}{
		"frozen": {member("a", 3, false, over), true}, "works": {member("a", 3, true, now.Add(time.Second)), false}, "waits": {member("a", 0, false, time.Time{}), false},
		"has just gone": {member("a", 3, false, now.Add(-silentAfter/2)), false}, "is itself": {member("self", 3, false, over), false},
	} {
		got := silentOwner([]statestore.MemberState{member("b", 0, false, time.Time{}), c.of}, "self", now)
		if (got != "") != c.want || c.want && !strings.Contains(got, "process 17 on far owned the store and has said nothing for 1m30s: if it is still there, it is frozen, and is to be ended (kill -9 17)") {
			t.Errorf("one that %s: %q", name, got)
		}
	}
	if got := silentOwner(nil, "self", now); got != "" {
		t.Errorf("of nobody: %q", got)
	}
}
