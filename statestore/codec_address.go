package statestore

import (
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stategate/stategate/api"
)

// AppendAddress writes an address as a row's content of its own.
func AppendAddress(b []byte, a api.Address) []byte {
	return appendAddress(append(b, formatOne), a, &api.Address{})
}

// DecodeAddress reads what AppendAddress wrote.
func DecodeAddress(row []byte) (api.Address, error) {
	r := open(row)
	if r.err != nil {
		return api.Address{}, r.err
	}
	var a api.Address
	err := decodeAddress(r.rest, &a)
	return a, err
}

// appendAddress writes what differs from the address before it: in a row most addresses share the function type.
func appendAddress(b []byte, a api.Address, before *api.Address) []byte {
	b = appendChange(b, 1, a.Type.Namespace, before.Type.Namespace)
	b = appendChange(b, 2, a.Type.Name, before.Type.Name)
	return appendChange(b, 3, a.ID, before.ID)
}

// decodeAddress changes the address before it into the one that data describes.
func decodeAddress(data []byte, a *api.Address) error {
	r := reader{rest: data}
	for r.next() {
		switch r.tag {
		case bytes1:
			a.Type.Namespace = string(r.data)
		case bytes2:
			a.Type.Name = string(r.data)
		case bytes3:
			a.ID = string(r.data)
		}
	}
	return r.err
}

// appendChange writes a text that differs from the one before it, the empty text included.
func appendChange(b []byte, n protowire.Number, s, before string) []byte {
	if s == before {
		return b
	}
	return protowire.AppendString(protowire.AppendVarint(b, uint64(bytesTag(n))), s)
}

// appendAddressChange writes an address as a field unless it is the one before it.
func appendAddressChange(b []byte, n protowire.Number, a api.Address, before *api.Address) []byte {
	if a == *before {
		return b
	}
	return appendNested(b, n, func(b []byte) []byte { return appendAddress(b, a, before) })
}
