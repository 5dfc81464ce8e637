package machine_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// gather is one page.
func gather(m *machine.Machine, function, prefix string, cursor []byte, limit int) (ids []string, next []byte) {
	l := m.LookForAddresses(functionType(function), prefix, cursor, limit)
	for !m.GoOnAddresses(l) {
	}
	found, more := m.Gathered(l)
	for _, f := range found {
		ids = append(ids, f.Address.ID)
	}
	if more {
		next = []byte(found[len(found)-1].Key)
	}
	return ids, next
}

// TestAddressesInPages: pages of any size have, one behind the other, each address that waits once, in the order of keys: those of one
// function, and with a prefix, also where keys were cut.
func TestAddressesInPages(t *testing.T) {
	s := &stage{t: t}
	s.play("new slots=2", "function f", "function g", "start", "commit")
	ids := []string{"", "a", "a\x00", "ab", "ab", "ab/c", "b", "ä", "\u07ff", strings.Repeat("x", 1700) + "1", strings.Repeat("y", 3000) + "1", strings.Repeat("y", 3000) + "2", strings.Repeat("y", 65_000)}
	for i := range 60 {
		ids = append(ids, fmt.Sprintf("user-%d", i*7919%1000))
	}
	for i, id := range ids {
		for _, f := range []string{"f", "g"}[:1+i%2] {
			if r := s.m.Event(api.Message{Target: api.Address{Type: functionType(f), ID: id}, Argument: typed("v", "1")}, 0); r != nil {
				t.Fatal(r)
			}
		}
		s.work()
	}
	want := func(function, prefix string) (want []string) {
		for i, id := range ids {
			if strings.HasPrefix(id, prefix) && (function == "f" || i%2 == 1) {
				want = append(want, id)
			}
		}
		key := func(id string) string {
			return string(statestore.AddressKey(api.Address{Type: functionType(function), ID: id}))
		}
		slices.SortFunc(want, func(a, b string) int { return strings.Compare(key(a), key(b)) })
		return slices.Compact(want)
	}
	for _, function := range []string{"f", "g"} {
		for _, prefix := range []string{"", "a", "ab/", "user-1", strings.Repeat("y", 2999), strings.Repeat("y", 3000) + "2", "none"} {
			for _, limit := range []int{1, 2, 3, 7, 1000} {
				var got []string
				pages := 0
				for cursor := []byte(nil); pages == 0 || cursor != nil; pages++ {
					var page []string
					page, cursor = gather(s.m, function, prefix, cursor, limit)
					if got = append(got, page...); len(page) > limit || cursor != nil && len(page) != limit || pages > len(ids) {
						t.Fatalf("%s, %.8q: page %d has %d of %d", function, prefix, pages, len(page), limit)
					}
				}
				if diff := cmp.Diff(want(function, prefix), got); diff != "" {
					t.Errorf("%s, prefix %.8q, pages of %d (-want +got):\n%s", function, prefix, limit, diff)
				}
			}
		}
	}
	for cursor, want := range map[string][]string{
		"\x00": {"a", "a\x00", "ab", "ab/c"}, "\xff": nil, strings.Repeat("\xff", 4096): nil,
		string(statestore.AddressKey(api.Address{Type: functionType("f"), ID: "aa"})): {"ab", "ab/c"},
		string(statestore.AddressKey(api.Address{Type: functionType("g"), ID: "a"})):  nil,
	} {
		if got, next := gather(s.m, "f", "a", []byte(cursor), 100); next != nil || !slices.Equal(got, want) {
			t.Errorf("behind %.8q: %q, want %q", cursor, got, want)
		}
	}
	if got, next := gather(s.m, "f", "", nil, 0); got != nil || next != nil {
		t.Errorf("nothing was asked for: %q", got)
	}
	if got, next := gather(s.m, "unknown", "", nil, 10); got != nil || next != nil {
		t.Errorf("of a function that nothing has come for: %q", got)
	}
}

// TestAddressesThatMove: a page that is looked for while everything happens has each address that has something all the while, and none
// twice.
func TestAddressesThatMove(t *testing.T) {
	const addresses = 25_000
	m := downWith(addresses)
	l := m.LookForAddresses(functionType("f"), "user-", nil, 2*addresses)
	turns := 1
	for now := int64(3_000); !m.GoOnAddresses(l); now += 700 { // some are tried meanwhile, and fail again; others come
		turns++
		if r := m.Event(api.Message{Target: api.Address{Type: functionType("f"), ID: fmt.Sprintf("user-new-%d", turns)}}, 0); r != nil {
			t.Fatal(r)
		}
		m.Tick(now)
		settle(m)
	}
	found, more := m.Gathered(l)
	seen := map[string]bool{}
	old := 0
	for _, f := range found {
		if seen[f.Key] {
			t.Errorf("%q is told twice", f.Address.ID)
		}
		seen[f.Key] = true
		if !strings.HasPrefix(f.Address.ID, "user-new-") {
			old++
		}
	}
	if turns < 10 || more || old != addresses {
		t.Errorf("after %d turns: %d of %d, and %d beside", turns, old, addresses, len(found)-old)
	}
}

// TestAddressesAheadOfTheStore: a state that is not committed yet makes an address one that has something; when the store has it, memory
// need not tell.
func TestAddressesAheadOfTheStore(t *testing.T) {
	s := &stage{t: t}
	want := func(what string, want ...string) {
		t.Helper()
		if got, _ := gather(s.m, "f", "", nil, 10); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	s.play("new", "function f", "route t f", "start", "begin t 0", "commit")
	want("nothing has come")
	s.play("arrive t 0:a=1")
	want("a call is out", "a")
	s.play("reply f/a missing n:v", "reply f/a set n:v=1")
	want("its commit is out", "a")
	s.play("commit", "commit")
	want("it is committed")
}

// TestAddressesOfNobody: what waits for a function that the module does not declare any more is told, address by address.
func TestAddressesOfNobody(t *testing.T) {
	s := &stage{t: t}
	s.play("new", "function f", "function g", "start", "commit", "event g/b=1234 1", "commit", "event g/a=1 2", "commit", "event g/b=1 3", "commit", "undeclare g", "restart", "tick 70")
	if got, next := gather(s.m, "g", "", nil, 10); !slices.Equal(got, []string{"a", "b"}) || next != nil {
		t.Errorf("got %q", got)
	}
	if got, next := gather(s.m, "g", "", nil, 1); !slices.Equal(got, []string{"a"}) || next == nil {
		t.Errorf("a page of one: %q", got)
	}
	b := s.m.View(address("g/b"))
	want := machine.View{Strange: 2, Front: machine.Front{Number: 1, TypeName: "v", Bytes: 4, ArrivedMS: 1000}}
	if diff := cmp.Diff(want, b); diff != "" {
		t.Errorf("b (-want +got):\n%s", diff)
	}
	w := s.m.Overview().Functions[functionType("g")]
	if w.KeptMessages != 3 || w.KeptBytes <= 6 || w.OldestMS != 70 {
		t.Errorf("of all of them: %+v", w)
	}
	s.play("function g", "restart")
	if v := s.m.View(address("g/b")); v.Strange != 0 || v.Mailbox != 2 || v.Front.Number != 1 {
		t.Errorf("it is declared again: %+v", v)
	}
	if got, _ := gather(s.m, "g", "", nil, 10); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("got %q", got)
	}
}
