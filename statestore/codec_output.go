package statestore

import (
	"fmt"

	"github.com/stategate/stategate/api"
)

// AppendOutputs writes outputs, each as what differs from the one before it. Fields: 1 sender, 2 type name, 3 value,
// 4 has_value, 5 trace.
func AppendOutputs(b []byte, outputs []api.Output) []byte {
	b = append(b, formatOne)
	before := &api.Output{}
	for i := range outputs {
		o := &outputs[i]
		b = appendNested(b, 1, func(b []byte) []byte {
			b = appendAddressChange(b, 1, o.Sender, &before.Sender)
			b = appendChange(b, 2, o.Value.TypeName, before.Value.TypeName)
			b = appendBytes(b, 3, o.Value.Value)
			b = appendBool(b, 4, o.Value.HasValue)
			return appendTraceChange(b, 5, o.Trace, before.Trace)
		})
		before = o
	}
	return b
}

// DecodeOutputs reads what AppendOutputs wrote. The values are parts of row.
func DecodeOutputs(row []byte) ([]api.Output, error) {
	r := open(row)
	outputs := make([]api.Output, 0, outputsIn(row))
	var o api.Output
	for r.next() {
		if r.tag != bytes1 {
			continue
		}
		o.Value.Value, o.Value.HasValue = nil, false
		f := reader{rest: r.data}
		for f.next() {
			switch f.tag {
			case bytes1:
				f.keep(decodeAddress(f.data, &o.Sender))
			case bytes2:
				o.Value.TypeName = string(f.data)
			case bytes3:
				o.Value.Value = clip(f.data)
			case varint4:
				o.Value.HasValue = f.n != 0
			case bytes5:
				f.keep(decodeTrace(f.data, &o.Trace))
			}
		}
		if f.err != nil {
			return nil, fmt.Errorf("outputs: %w", f.err)
		}
		outputs = append(outputs, o)
	}
	if r.err != nil {
		return nil, fmt.Errorf("outputs: %w", r.err)
	}
	return outputs, nil
}

// outputsIn is how many there are, up to where the row is broken: thousands that come one by one would take several times their memory.
func outputsIn(row []byte) (n int) {
	for r := open(row); r.next(); {
		if r.tag == bytes1 {
			n++
		}
	}
	return n
}

// clip keeps an append to a part of a row from writing into the next part.
func clip(b []byte) []byte { return b[:len(b):len(b)] }
