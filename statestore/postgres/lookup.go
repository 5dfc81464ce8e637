package postgres

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// wanted is an address of a load.
type wanted struct {
	key []byte
	at  int // its place among the addresses
}

// again is an address that was asked for before, at first.
type again struct{ at, first int }

// lookup is a load on its way. Its answer is not in the order of the addresses: a key says which one a row is of.
type lookup struct {
	wire   *byteas  // the keys, in their order
	wanted []wanted // sorted by key
	near   int      // where the next row's is expected: the server goes by the index, and so in the order of the keys
	again  []again
	out    []statestore.Loaded

	rows  statestore.StateRows
	apart []apart
	large map[string][]byte // by key and name
	begun []begun
}

// apart is a value that is missing in its address's row.
type apart struct {
	key []byte
	in  *statestore.StateValue
}

// begun is a mailbox whose first chunk is finished up to low.
type begun struct {
	at    int
	low   uint64
	sizes []statestore.MailSize
}

func newLookup(addresses []api.Address, out []statestore.Loaded) *lookup {
	room := 0
	for i := range addresses {
		room += 4 + len(addresses[i].Type.Namespace) + len(addresses[i].Type.Name) + len(addresses[i].ID)
	}
	all := make([]byte, 0, room)
	l := &lookup{wanted: make([]wanted, len(addresses)), out: out}
	for i := range addresses {
		from := len(all)
		all = statestore.AppendAddressKey(all, addresses[i])
		l.wanted[i] = wanted{all[from:len(all):len(all)], i}
	}
	slices.SortFunc(l.wanted, func(a, b wanted) int { return bytes.Compare(a.key, b.key) })
	distinct := l.wanted[:0]
	for _, w := range l.wanted {
		if n := len(distinct); n > 0 && bytes.Equal(distinct[n-1].key, w.key) {
			l.again = append(l.again, again{w.at, distinct[n-1].at})
			continue
		}
		distinct = append(distinct, w)
	}
	l.wanted = distinct
	l.wire = newByteas(len(all) + 4*len(addresses))
	for _, w := range l.wanted {
		l.wire.add(func(b []byte) []byte { return append(b, w.key...) })
	}
	l.wire.done()
	return l
}

// nearMax is how many of those that are wanted next are compared before all are searched; addresses without a row are passed over.
const nearMax = 8

// find is the place of a key among those that are wanted.
func (l *lookup) find(key []byte) (int, error) {
	for i := l.near; i < min(l.near+nearMax, len(l.wanted)); i++ {
		if c := bytes.Compare(l.wanted[i].key, key); c == 0 {
			l.near = i + 1
			return i, nil
		} else if c > 0 {
			break
		}
	}
	i, ok := slices.BinarySearchFunc(l.wanted, key, func(w wanted, key []byte) int { return bytes.Compare(w.key, key) })
	if !ok {
		return 0, fmt.Errorf("a row of a load has a key that was not asked for: %x", key)
	}
	l.near = i + 1
	return i, nil
}

// take takes a row of the answer. Nothing of it may be kept: the next row overwrites it.
func (l *lookup) take(r *rawRows) error {
	part, key := r.number(0), r.bytes(1)
	if r.err != nil {
		return r.err
	}
	i, err := l.find(key)
	if err != nil {
		return err
	}
	at := l.wanted[i].at
	switch part {
	case statesPart:
		values, missing, err := l.rows.Decode(r.bytes(2))
		if err != nil {
			return wrap("state", err)
		}
		l.out[at].Values = values
		for _, j := range missing {
			l.apart = append(l.apart, apart{l.wanted[i].key, &values[j]})
		}
	case largePart:
		if l.large == nil {
			l.large = map[string][]byte{}
		}
		l.large[string(key)+string(r.bytes(3))] = bytes.Clone(r.bytes(2))
	case mailboxPart:
		o := &l.out[at]
		o.Spilled, o.SpilledBytes, o.First, o.Last = r.number(4), r.number(5), uint64(r.number(6)), uint64(r.number(7))
	case begunPart:
		sizes, err := statestore.DecodeSizes(r.bytes(2))
		if err != nil {
			return wrap("chunk", err)
		}
		l.begun = append(l.begun, begun{at, uint64(r.number(4)), sizes})
	}
	return r.err
}

// errApart: a load that left the large values out cannot do without.
var errApart = errors.New("its large value is missing")

// finish puts together what stood in several rows.
func (l *lookup) finish() error {
	for _, a := range l.apart {
		v, ok := l.large[string(a.key)+string(statestore.NameKey(a.in.Name))]
		if !ok {
			return fmt.Errorf("state %q of an address: %w", a.in.Name, errApart)
		}
		a.in.Value = v
	}
	for _, b := range l.begun {
		o := &l.out[b.at]
		for _, e := range b.sizes {
			if e.Number >= b.low {
				o.First = e.Number
				break
			}
			o.Spilled--
			o.SpilledBytes -= e.Bytes
		}
	}
	for _, a := range l.again {
		l.out[a.at] = l.out[a.first]
	}
	return nil
}
