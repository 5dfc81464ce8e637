package statestore

import (
	"bytes"
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
)

// AddressPage puts one page of Reader.Addresses together from keys, which are much smaller than the rows that they lead to and which a
// store finds in an index alone. A key that was cut does not tell its address; the store asks the row.
type AddressPage struct {
	Span  Span // whose keys the page is of
	Limit int  // of keys that the store asks for from each of its tables; one of them says that there are more

	function api.FunctionType
	prefix   string
	head     int // bytes of a key before the id
}

// Bounds of a page, whatever is asked for.
const (
	addressPageMax   = 10_000
	addressPageBytes = 1 << 20 // of ids, but for the last of them
)

// NewAddressPage is the page behind a cursor.
func NewAddressPage(function api.FunctionType, prefix string, cursor []byte, limit int) *AddressPage {
	w := Walk{Functions: []api.FunctionType{function}, IDPrefix: prefix}
	p := &AddressPage{Span: w.Spans()[0], Limit: min(limit, addressPageMax) + 1, function: function, prefix: prefix, head: len(FunctionKey(function))}
	if bytes.Compare(cursor, p.Span.Low) >= 0 {
		p.Span.Low = append(slices.Clone(cursor), 0) // the first key behind it
	}
	return p
}

// Answer is the page. The keys are those of each table, in order, at most Limit of each. row reads the address of one whose key was cut;
// ok is false when the row has gone meanwhile.
func (p *AddressPage) Answer(tables [][][]byte, row func(key []byte) (a api.Address, ok bool, err error)) (addresses []api.Address, next []byte, err error) {
	keys := slices.Concat(tables...)
	slices.SortFunc(keys, bytes.Compare)
	keys = slices.CompactFunc(keys, bytes.Equal)
	sum := 0
	for i, key := range keys {
		if i == p.Limit-1 || sum > addressPageBytes {
			return addresses, keys[i-1], nil
		}
		a, ok := api.Address{Type: p.function}, true
		if len(key) < KeyBytesMax {
			a.ID = string(key[p.head:])
		} else if a, ok, err = row(key); err != nil {
			return nil, nil, err
		}
		if sum += len(a.ID); ok && strings.HasPrefix(a.ID, p.prefix) {
			addresses = append(addresses, a)
		}
	}
	return addresses, nil, nil
}
