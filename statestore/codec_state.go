package statestore

import (
	"fmt"

	"github.com/stategate/stategate/api"
)

// StateApartAbove is the size, in bytes, above which a state's value stands in a row of its own, so that an address's small
// states can be written without its large ones. It is part of the stored format: an unchanged value is looked for where this
// constant says. Where the value does not change beside states that do, apart is some times cheaper; where it changes itself, a
// row of its own costs up to as much again.
const StateApartAbove = 4 << 10

// Apart reports whether the value is stored in a row of its own.
func (v *StateValue) Apart() bool { return len(v.Value) > StateApartAbove }

// AppendStates writes an address with its states, without the values that are stored apart. Fields: 1 address, 2 state (1 name,
// 2 type name, 3 value, 4 touched, 5 stored apart).
func AppendStates(b []byte, address api.Address, values []StateValue) []byte {
	b = append(b, formatOne)
	b = appendNested(b, 1, func(b []byte) []byte { return appendAddress(b, address, &api.Address{}) })
	for i := range values {
		v := &values[i]
		b = appendNested(b, 2, func(b []byte) []byte {
			b = appendText(b, 1, v.Name)
			b = appendText(b, 2, v.TypeName)
			if !v.Apart() {
				b = appendBytes(b, 3, v.Value)
			}
			b = appendZigzag(b, 4, v.Touched)
			return appendBool(b, 5, v.Apart())
		})
	}
	return b
}

// DecodeStates reads what AppendStates wrote; apart are the indexes of the values that the caller must read from their own
// rows. The values are parts of row.
func DecodeStates(row []byte) (address api.Address, values []StateValue, apart []int, err error) {
	r := open(row)
	for r.next() {
		switch r.tag {
		case bytes1:
			r.keep(decodeAddress(r.data, &address))
		case bytes2:
			v, isApart, err := decodeState(r.data, "", "")
			r.keep(err)
			if isApart {
				apart = append(apart, len(values))
			}
			values = append(values, v)
		}
	}
	if r.err != nil {
		return api.Address{}, nil, nil, fmt.Errorf("states: %w", r.err)
	}
	return address, values, apart, nil
}

// StateRows decodes rows of states one after the other, for those who load many and know the addresses. What it answers is no part of
// the rows: they may be overwritten, and keep no memory alive. The zero value is ready.
type StateRows struct {
	before []StateValue // of the last row: most rows have the same names, which need be there once
}

// Decode reads what AppendStates wrote, like DecodeStates.
func (s *StateRows) Decode(row []byte) (values []StateValue, apart []int, err error) {
	n := 0
	for r := open(row); r.next(); {
		if r.tag == bytes2 {
			n++
		}
	}
	if n > 0 {
		values = make([]StateValue, 0, n)
	}
	size := 0
	r := open(row)
	for r.next() {
		if r.tag != bytes2 {
			continue
		}
		var name, typeName string
		if i := len(values); i < len(s.before) {
			name, typeName = s.before[i].Name, s.before[i].TypeName
		}
		v, isApart, err := decodeState(r.data, name, typeName)
		r.keep(err)
		if isApart {
			apart = append(apart, len(values))
		}
		values, size = append(values, v), size+len(v.Value)
	}
	if r.err != nil {
		return nil, nil, fmt.Errorf("states: %w", r.err)
	}
	own := make([]byte, 0, size)
	for i := range values {
		if v := &values[i]; v.Value != nil {
			from := len(own)
			own = append(own, v.Value...)
			v.Value = clip(own[from:])
		}
	}
	s.before = values
	return values, apart, nil
}

// decodeState reads one state; likelyName and likelyType are used where they are what stands there.
func decodeState(data []byte, likelyName, likelyType string) (v StateValue, apart bool, err error) {
	r := reader{rest: data}
	for r.next() {
		switch r.tag {
		case bytes1:
			v.Name = text(r.data, likelyName)
		case bytes2:
			v.TypeName = text(r.data, likelyType)
		case bytes3:
			v.Value = clip(r.data)
		case varint4:
			v.Touched = r.zigzag()
		case varint5:
			apart = r.n != 0
		}
	}
	return v, apart, r.err
}

// text is likely where that is what stands there, and a new string otherwise.
func text(data []byte, likely string) string {
	if string(data) == likely {
		return likely
	}
	return string(data)
}

// AppendSpec writes what is known of a function type's states. Fields: 1 function type, 2 state (1 name, 2 type name,
// 3 expiration, 4 time to live).
func AppendSpec(b []byte, s *FunctionSpec) []byte {
	b = append(b, formatOne)
	b = appendNested(b, 1, func(b []byte) []byte { return appendAddress(b, api.Address{Type: s.Function}, &api.Address{}) })
	for i := range s.States {
		v := &s.States[i]
		b = appendNested(b, 2, func(b []byte) []byte {
			b = appendText(b, 1, v.Name)
			b = appendText(b, 2, v.TypeName)
			b = appendNumber(b, 3, uint64(v.Expiration))
			return appendZigzag(b, 4, v.TTL)
		})
	}
	return b
}

// DecodeSpec reads what AppendSpec wrote.
func DecodeSpec(row []byte) (FunctionSpec, error) {
	r := open(row)
	var spec FunctionSpec
	for r.next() {
		switch r.tag {
		case bytes1:
			var a api.Address
			r.keep(decodeAddress(r.data, &a))
			spec.Function = a.Type
		case bytes2:
			s, err := decodeStateSpec(r.data)
			r.keep(err)
			spec.States = append(spec.States, s)
		}
	}
	if r.err != nil {
		return FunctionSpec{}, fmt.Errorf("function spec: %w", r.err)
	}
	return spec, nil
}

func decodeStateSpec(data []byte) (s StateSpec, err error) {
	r := reader{rest: data}
	for r.next() {
		switch r.tag {
		case bytes1:
			s.Name = string(r.data)
		case bytes2:
			s.TypeName = string(r.data)
		case varint3:
			if r.n > uint64(ExpireAfterInvoke) {
				return s, fmt.Errorf("expiration %d of state %q is not known: %w", r.n, s.Name, ErrNewer)
			}
			s.Expiration = Expiration(r.n)
		case varint4:
			s.TTL = r.zigzag()
		}
	}
	return s, r.err
}
