package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// TestMerge: a page ends where a part ends that has more, and no sooner than it must.
func TestMerge(t *testing.T) {
	page := func(ids string, last string) addressPage {
		p := addressPage{all: last == "", last: last}
		for _, id := range strings.Fields(ids) {
			p.found = append(p.found, machine.KeyedAddress{Key: id, Address: api.Address{ID: id}})
		}
		return p
	}
	large := strings.Repeat("l", pageIDBytes)
	for _, c := range []struct {
		name           string
		waiting, store addressPage
		limit          int
		want, next     string
	}{
		{"nothing", page("", ""), page("", ""), 3, "", ""},
		{"an empty store", page("a b", ""), page("", ""), 3, "a b", ""},
		{"an idle machine", page("", ""), page("a b", ""), 3, "a b", ""},
		{"both", page("b d", ""), page("a c e", ""), 9, "a b c d e", ""},
		{"the same", page("a b", ""), page("a b c", ""), 9, "a b c", ""},
		{"exactly the limit", page("a", ""), page("b", ""), 2, "a b", ""},
		{"exactly the limit, one of them twice", page("a b", ""), page("b", ""), 2, "a b", ""},
		{"one beyond the limit", page("a c", ""), page("b", ""), 2, "a b", "b"},
		{"the store's page ends with the last of memory", page("a c", ""), page("b c", "c"), 9, "a b c", "c"},
		{"the store has more", page("a c x", ""), page("b d", "d"), 9, "a b c d", "d"},
		{"the store has more, and its last row has gone", page("a c x", ""), page("b", "d"), 9, "a b c", "d"},
		{"all rows of the store's page have gone", page("a x", ""), page("", "d"), 9, "a", "d"},
		{"memory has more", page("a c", "c"), page("b d", ""), 9, "a b c", "c"},
		{"memory has more, and the limit is reached", page("b c", "c"), page("a c d", ""), 2, "a b", "b"},
		{"both have more, memory ends first", page("a c", "c"), page("b d", "d"), 9, "a b c", "c"},
		{"both have more, the store ends first", page("a d", "d"), page("b c", "c"), 9, "a b c", "c"},
		{"large ids", page(large+"1 "+large+"2", ""), page("", ""), 9, large + "1", large + "1"},
	} {
		found, next := merge(c.waiting, c.store, c.limit)
		var got []string
		for _, a := range found {
			got = append(got, a.ID)
		}
		if strings.Join(got, " ") != c.want || string(next) != c.next || (next == nil) != (c.next == "") {
			t.Errorf("%s: %.40q and then %.40q", c.name, got, next)
		}
	}
}

// TestMergedPages: whatever memory and the store have, and however their own pages end, the pages have all of it, each once and in order.
func TestMergedPages(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var sides [2][]string
		all := map[string]bool{}
		for i := range sides {
			for range rng.IntN(12) {
				id := fmt.Sprint(rng.IntN(30))
				sides[i], all[id] = append(sides[i], id), true
			}
			slices.Sort(sides[i])
			sides[i] = slices.Compact(sides[i])
		}
		part := func(side []string, cursor []byte, limit int) (p addressPage) {
			p.all = true
			for _, id := range side {
				switch {
				case cursor != nil && id <= string(cursor):
				case len(p.found) == limit:
					p.all = false
				default:
					p.found, p.last = append(p.found, machine.KeyedAddress{Key: id, Address: api.Address{ID: id}}), id
				}
			}
			return p
		}
		limit := 1 + rng.IntN(6)
		var got []string
		pages := 0
		for cursor := []byte(nil); pages == 0 || cursor != nil; pages++ {
			var found []api.Address
			found, cursor = merge(part(sides[0], cursor, limit), part(sides[1], cursor, 1+rng.IntN(limit)), limit)
			for _, a := range found {
				got = append(got, a.ID)
			}
			if len(found) > limit || pages > 30 {
				t.Fatalf("page %d has %d of %d", pages, len(found), limit)
			}
		}
		want := make([]string, 0, len(all))
		for id := range all {
			want = append(want, id)
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, got); len(want) > 0 && diff != "" {
			t.Fatalf("pages of %d of %v (-want +got):\n%s", limit, sides, diff)
		}
	}
}

// TestAddresses: those with states and those whose messages only wait are listed together, page by page; who asks and goes is not waited
// for, and what the store cannot answer is said.
func TestAddresses(t *testing.T) {
	store := memory.New(memory.Config{})
	f := serveFunction(t)
	l := begin(t, store, f)
	l.arrive(0, "b", "d")
	l.until("outputs", func() bool { return l.got("b") == "1" && l.got("d") == "1" })
	for _, id := range []string{"a", "c", "d"} { // d has a state, too
		l.pauseIt(statestore.Pause{Kind: statestore.PauseAddress, Address: api.Address{Type: counter, ID: id}, By: "ada"})
		if err := l.Send(t.Context(), eventTo(id)); err != nil {
			t.Fatal(err)
		}
	}
	for _, limit := range []int{1, 2, 3, 100} {
		var ids []string
		for cursor, pages := []byte(nil), 0; pages == 0 || cursor != nil; pages++ {
			found, next, err := l.Addresses(t.Context(), counter, "", cursor, limit)
			if err != nil || len(found) > limit || pages > 4 {
				t.Fatalf("page %d: %v, %v", pages, found, err)
			}
			for _, a := range found {
				ids = append(ids, a.ID)
			}
			cursor = next
		}
		if !slices.Equal(ids, []string{"a", "b", "c", "d"}) {
			t.Errorf("in pages of %d: %q", limit, ids)
		}
	}
	if found, next, err := l.Addresses(t.Context(), counter, "c", nil, 100); err != nil || next != nil || len(found) != 1 || found[0].ID != "c" {
		t.Errorf("with a prefix: %v, %v", found, err)
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	l.listing <- struct{}{} // another one lists
	if _, _, err := l.Addresses(gone, counter, "", nil, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("who has left is answered %v", err)
	}
	<-l.listing
}
