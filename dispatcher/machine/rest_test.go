package machine_test

import (
	"fmt"
	"strings"
	"testing"
)

// TestAddressesAtRestAreForgotten: the cache holds what was used last, up to its bound in bytes: an address, its id and its states.
// What is not at rest does not count and is never forgotten.
func TestAddressesAtRestAreForgotten(t *testing.T) {
	s := &stage{t: t}
	play := func(lines ...string) {
		t.Helper()
		for _, line := range lines {
			s.command(line)
			s.work()
		}
	}
	const overhead = 400
	held := func() (ids []string) {
		for i := range 10 {
			if id := fmt.Sprint("id", i); s.m.View(address("f/" + id)).InMemory {
				ids = append(ids, id)
			}
		}
		return ids
	}
	want := func(bytes int, ids ...string) {
		t.Helper()
		if got := held(); strings.Join(got, " ") != strings.Join(ids, " ") || s.m.Gauges().CachedBytes != bytes {
			t.Errorf("%v are in memory and %d bytes at rest, want %v and %d", got, s.m.Gauges().CachedBytes, ids, bytes)
		}
	}
	play("new cache=1250 age=1", "function f", "route t f", "start", "begin t 0", "commit")
	use := func(offset int, id, effects string) {
		t.Helper()
		play(fmt.Sprintf("arrive t %d:%s=1", offset, id))
		if s.m.Gauges().Calling != 1 {
			t.Fatalf("%s is not called", id)
		}
		play(strings.TrimSpace("reply f/"+id+" "+effects), "tick 1", "commit")
	}
	want(0)
	use(0, "id0", "")
	want(overhead+3, "id0")
	use(1, "id1", "")
	use(2, "id2", "")
	want(3*(overhead+3), "id0", "id1", "id2")
	use(3, "id0", "") // used last
	use(4, "id3", "")
	want(3*(overhead+3), "id0", "id2", "id3")

	play("arrive t 5:id4=1") // its call is out
	want(3*(overhead+3), "id0", "id2", "id3", "id4")
	play("reply f/id4 missing s:v", "reply f/id4 set s:v="+strings.Repeat("x", 50)) // not committed yet: not at rest
	want(3*(overhead+3), "id0", "id2", "id3", "id4")
	for s.commit != nil {
		play("commit")
	}
	play("tick 1")
	for s.commit != nil {
		play("commit")
	}
	const state = 64 + len("s") + len("v") + 50
	want(2*(overhead+3)+state, "id3", "id4") // with a third they would be more than 1250
}
