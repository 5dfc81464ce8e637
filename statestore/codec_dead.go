package statestore

import (
	"fmt"

	"github.com/stategate/stategate/api"
)

// AppendDeadLetter writes a dead letter, its number included. Fields: 1 number, 2 kind, 3 time, 4 offset, 5 source, 7 from,
// 8 reason, 10 detail, 11 address, 12 caller, 13 type name, 14 key, 15 value, 16 header (1 key, 2 value), 17 origin, 18 no value.
func AppendDeadLetter(b []byte, d *api.DeadLetter) []byte {
	b = append(b, formatOne)
	b = appendNumber(b, 1, d.Number)
	b = appendNumber(b, 2, uint64(d.Kind))
	b = appendZigzag(b, 3, d.AtMS)
	b = appendZigzag(b, 4, d.Offset)
	if d.Source != (api.Source{}) {
		b = appendNested(b, 5, func(b []byte) []byte { return appendSource(b, d.Source) })
	}
	b = appendText(b, 7, d.From)
	b = appendText(b, 8, d.Reason)
	b = appendText(b, 10, d.Detail)
	b = appendAddressChange(b, 11, d.Address, &api.Address{})
	b = appendAddressChange(b, 12, d.Caller, &api.Address{})
	b = appendText(b, 13, d.TypeName)
	b = appendBytes(b, 14, d.Key)
	b = appendBytes(b, 15, d.Value)
	for i := range d.Headers {
		h := &d.Headers[i]
		b = appendNested(b, 16, func(b []byte) []byte { return appendBytes(appendText(b, 1, h.Key), 2, h.Value) })
	}
	return appendBool(appendText(b, 17, d.Origin), 18, d.NoValue)
}

// DecodeDeadLetter reads what AppendDeadLetter wrote. Key, Value and the headers' values are parts of row.
func DecodeDeadLetter(row []byte) (api.DeadLetter, error) {
	r := open(row)
	var d api.DeadLetter
	for r.next() {
		r.keep(decodeDeadField(&r, &d))
	}
	if r.err != nil {
		return api.DeadLetter{}, fmt.Errorf("dead letter: %w", r.err)
	}
	return d, nil
}

func decodeDeadField(r *reader, d *api.DeadLetter) (err error) {
	switch r.tag {
	case varint1:
		d.Number = r.n
	case varint2:
		d.Kind = api.DeadLetterKind(r.n)
	case varint3:
		d.AtMS = r.zigzag()
	case varint4:
		d.Offset = r.zigzag()
	case bytes5:
		d.Source, err = decodeSource(r.data)
	case bytes7:
		d.From = string(r.data)
	case bytes8:
		d.Reason = string(r.data)
	case bytes10:
		d.Detail = string(r.data)
	case bytes11:
		err = decodeAddress(r.data, &d.Address)
	case bytes12:
		err = decodeAddress(r.data, &d.Caller)
	case bytes13:
		d.TypeName = string(r.data)
	case bytes14:
		d.Key = clip(r.data)
	case bytes15:
		d.Value = clip(r.data)
	case bytes16:
		h, err := decodeHeader(r.data)
		if err != nil {
			return err
		}
		d.Headers = append(d.Headers, h)
	case bytes17:
		d.Origin = string(r.data)
	case varint18:
		d.NoValue = r.n != 0
	}
	return err
}

func decodeHeader(data []byte) (h api.Header, err error) {
	r := reader{rest: data}
	for r.next() {
		switch r.tag {
		case bytes1:
			h.Key = string(r.data)
		case bytes2:
			h.Value = clip(r.data)
		}
	}
	return h, r.err
}

func appendSource(b []byte, s api.Source) []byte {
	b = appendText(b, 1, s.Ingress)
	b = appendText(b, 2, s.Topic)
	return appendZigzag(b, 3, int64(s.Partition))
}

func decodeSource(data []byte) (s api.Source, err error) {
	r := reader{rest: data}
	for r.next() {
		switch r.tag {
		case bytes1:
			s.Ingress = string(r.data)
		case bytes2:
			s.Topic = string(r.data)
		case varint3:
			s.Partition = int32(r.zigzag())
		}
	}
	return s, r.err
}
