package machine

import (
	"container/heap"
	"reflect"
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// KeyedAddress is an address and its place among others: its statestore.AddressKey.
type KeyedAddress struct {
	Key     string
	Address api.Address
}

// AddressLook gathers one page of the addresses of a function that memory knows to have something: messages that wait or are in a call,
// or states that are not committed. Of what the store keeps by address and memory does not hold it knows nothing.
//
// It goes through all addresses over many turns. Unlike a look it does so by the map that they stand in, and not by the lists that they
// move between: one that is there all the while is seen, however often it is called, fails and waits meanwhile.
type AddressLook struct {
	prefix    string
	low, high string // low <= key < high
	limit     int
	cells     *reflect.MapIter // of Machine.cells
	fn        *function
	strangers *reflect.MapIter // of its strangers
	found     keyedHeap        // the smallest keys so far, at most limit
	more      bool             // there are some that have found no place
	room      []byte           // for a key
}

// LookForAddresses begins a page of at most limit addresses whose ids begin with prefix, behind the cursor of the page before (nil: from
// the start); GoOnAddresses goes on with it until that was all, and Gathered is the page. Its order and its cursors are those of
// statestore.Reader.Addresses.
func (m *Machine) LookForAddresses(t api.FunctionType, prefix string, cursor []byte, limit int) *AddressLook {
	span := statestore.NewAddressPage(t, prefix, cursor, limit).Span
	l := &AddressLook{prefix: prefix, low: string(span.Low), high: string(span.High), limit: limit, fn: m.functions[t]}
	if l.fn != nil && limit > 0 { // of one that comes to be known only now no address was there all the while
		l.cells, l.strangers = reflect.ValueOf(m.cells).MapRange(), reflect.ValueOf(l.fn.strangers).MapRange()
	}
	return l
}

// Bounds of a turn: how many addresses are looked at, which lie scattered in memory, and how many bytes of an id that has to be digested
// take as long as a look at another one.
const (
	addressesPerTurn = 1_000
	digestPerLook    = 256
)

// GoOnAddresses looks at some more, and reports whether that was all.
func (m *Machine) GoOnAddresses(l *AddressLook) (done bool) {
	left := addressesPerTurn
	for ; left > 0 && l.cells != nil; left-- {
		if !l.cells.Next() {
			l.cells = nil
			break
		}
		if c := l.cells.Value().Interface().(*cell); c.fn == l.fn && m.holds(c) {
			left -= l.see(c.address)
		}
	}
	for ; left > 0 && l.strangers != nil; left-- {
		if !l.strangers.Next() {
			l.strangers = nil
			break
		}
		a := api.Address{Type: l.fn.name, ID: l.strangers.Key().String()}
		if c := m.cells[a]; c == nil || !m.holds(c) {
			left -= l.see(a)
		}
	}
	return l.cells == nil && l.strangers == nil
}

// holds reports whether there is something of an address that the store may not tell.
func (m *Machine) holds(c *cell) bool { return c.mailLen() > 0 || len(c.values) > 0 && m.ahead(c) }

// ahead reports whether the states of a cell are not, or not known to be, committed.
func (m *Machine) ahead(c *cell) bool { return c.dirty || c.cutAs > m.confirmedGen }

// see notes an address where it belongs to the page, and answers what that has cost beside a look at it.
func (l *AddressLook) see(a api.Address) (cost int) {
	if !strings.HasPrefix(a.ID, l.prefix) {
		return 0
	}
	l.room = statestore.AppendAddressKey(l.room[:0], a)
	if len(l.room) == statestore.KeyBytesMax {
		cost = len(a.ID) / digestPerLook
	}
	if string(l.room) < l.low || string(l.room) >= l.high {
		return cost
	}
	switch {
	case len(l.found) < l.limit:
		heap.Push(&l.found, KeyedAddress{string(l.room), a})
	case string(l.room) < l.found[0].Key:
		l.more = true
		l.found[0] = KeyedAddress{string(l.room), a}
		heap.Fix(&l.found, 0)
	default:
		l.more = true
	}
	return cost
}

// Gathered is what a look has found, in order; more says that there are others behind the last of them.
func (m *Machine) Gathered(l *AddressLook) (found []KeyedAddress, more bool) {
	slices.SortFunc(l.found, func(a, b KeyedAddress) int { return strings.Compare(a.Key, b.Key) })
	return l.found, l.more
}

// keyedHeap has the largest key at the front.
type keyedHeap []KeyedAddress

func (h keyedHeap) Len() int           { return len(h) }
func (h keyedHeap) Less(i, j int) bool { return h[i].Key > h[j].Key }
func (h keyedHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *keyedHeap) Push(x any)        { *h = append(*h, x.(KeyedAddress)) }
func (h *keyedHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
