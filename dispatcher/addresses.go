package dispatcher

import (
	"context"
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// Addresses lists addresses of one function type that have something: states, messages that wait wherever they are, or a call. It is
// statestore.Reader.Addresses with those beside that are in memory alone, in the same order and with the same cursors: pages that are asked
// for one behind the other have each address once that has something all the while.
//
// Memory is looked at before the store: what leaves memory meanwhile is stored by then.
func (d *Dispatcher) Addresses(ctx context.Context, function api.FunctionType, prefix string, cursor []byte, limit int) ([]api.Address, []byte, error) {
	waiting, err := d.waiting(ctx, function, prefix, cursor, limit)
	if err != nil {
		return nil, nil, err
	}
	found, next, err := d.cfg.Store.Addresses(ctx, function, prefix, cursor, limit)
	if err != nil {
		return nil, nil, err
	}
	addresses, next := merge(waiting, keyed(found, next), limit)
	return addresses, next, nil
}

// waiting is the page of those that memory knows of. One is looked for at a time, so that other looks wait for one at most.
func (d *Dispatcher) waiting(ctx context.Context, function api.FunctionType, prefix string, cursor []byte, limit int) (addressPage, error) {
	select {
	case d.listing <- struct{}{}:
		defer func() { <-d.listing }()
	case <-ctx.Done():
		return addressPage{}, ctx.Err()
	case <-d.ctx.Done():
		return addressPage{}, context.Cause(d.ctx)
	}
	begin := func(m *machine.Machine) *machine.AddressLook {
		return m.LookForAddresses(function, prefix, cursor, limit)
	}
	end := func(m *machine.Machine, l *machine.AddressLook) addressPage {
		found, more := m.Gathered(l)
		p := addressPage{found: found, all: !more}
		if more {
			p.last = found[len(found)-1].Key
		}
		return p
	}
	p, _, err := inParts(ctx, d, begin, (*machine.Machine).GoOnAddresses, end)
	return p, err
}

// addressPage is one part of a page: of memory, or of the store.
type addressPage struct {
	found []machine.KeyedAddress // in order
	all   bool                   // there are no more
	last  string                 // else: it has all up to this key
}

// keyed is a page of the store.
func keyed(addresses []api.Address, next []byte) addressPage {
	p := addressPage{found: make([]machine.KeyedAddress, 0, len(addresses)), all: next == nil, last: string(next)}
	for _, a := range addresses {
		p.found = append(p.found, machine.KeyedAddress{Key: string(statestore.AddressKey(a)), Address: a})
	}
	return p
}

// pageIDBytes bounds the ids of a page, but for the last of them.
const pageIDBytes = 1 << 20

// merge puts both parts of a page together. It ends where one of them ends that has more, for what the other has behind that is not all:
// it comes with the next page.
func merge(a, b addressPage, limit int) (addresses []api.Address, next []byte) {
	both := slices.Concat(a.found, b.found)
	slices.SortFunc(both, func(a, b machine.KeyedAddress) int { return strings.Compare(a.Key, b.Key) })
	both = slices.CompactFunc(both, func(a, b machine.KeyedAddress) bool { return a.Key == b.Key })
	bytes := 0
	for i, one := range both {
		switch {
		case !a.all && one.Key > a.last || !b.all && one.Key > b.last:
			return addresses, endOf(a, b)
		case len(addresses) == limit || bytes > pageIDBytes:
			return addresses, []byte(both[i-1].Key)
		}
		addresses = append(addresses, one.Address)
		bytes += len(one.Address.ID)
	}
	return addresses, endOf(a, b)
}

// endOf is up to where both parts have all; nil: to the end.
func endOf(a, b addressPage) []byte {
	switch {
	case a.all && b.all:
		return nil
	case a.all || !b.all && b.last < a.last:
		return []byte(b.last)
	}
	return []byte(a.last)
}
