package statestore

import (
	"bytes"
	"reflect"
	"runtime"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stategate/stategate/api"
)

// written reads a row with each decoder and writes what it has read; nil where the row is none of its kind.
var written = map[string]func(row []byte) []byte{
	"address":  rewrite(DecodeAddress, func(a api.Address) []byte { return AppendAddress(nil, a) }),
	"mails":    rewrite(DecodeMails, func(m []Mail) []byte { return AppendMails(nil, m) }),
	"outputs":  rewrite(DecodeOutputs, func(o []api.Output) []byte { return AppendOutputs(nil, o) }),
	"dead":     rewrite(DecodeDeadLetter, func(d api.DeadLetter) []byte { return AppendDeadLetter(nil, &d) }),
	"numbers":  rewrite(DecodeNumbers, func(n []uint64) []byte { return AppendNumbers(nil, n) }),
	"progress": rewrite(DecodeProgress, func(p Progress) []byte { return AppendProgress(nil, &p) }),
	"spec":     rewrite(DecodeSpec, func(s FunctionSpec) []byte { return AppendSpec(nil, &s) }),
	"timer": rewrite(func(row []byte) (t Timer, err error) {
		err = DecodeTimerMessage(row, &t)
		return t, err
	}, func(t Timer) []byte { return AppendTimerMessage(nil, &t) }),
	"act":   rewrite(DecodeAct, func(a Act) []byte { return AppendAct(nil, &a) }),
	"pause": rewrite(DecodePause, func(p Pause) []byte { return AppendPause(nil, &p) }),
	"states": func(row []byte) []byte {
		address, values, apart, err := DecodeStates(row)
		if err != nil {
			return nil
		}
		for _, i := range apart { // as a store fills them in
			values[i].Value = make([]byte, StateApartAbove+1)
		}
		return AppendStates(nil, address, values)
	},
}

func rewrite[T any](decode func([]byte) (T, error), encode func(T) []byte) func([]byte) []byte {
	return func(row []byte) []byte {
		value, err := decode(row)
		if err != nil {
			return nil
		}
		return encode(value)
	}
}

// FuzzRows: a row of any bytes is refused or read, in memory in proportion to it. What was read is written as a row that is read as the
// same, and that is written the same ever after; a row that a later version has added fields to is read as it is without them.
func FuzzRows(f *testing.F) {
	f.Fuzz(func(t *testing.T, row []byte) {
		before := allocated()
		kept := bytes.Clone(row)
		for name, write := range written {
			first := write(row)
			if first == nil {
				continue
			}
			if second := write(first); !bytes.Equal(first, second) {
				t.Errorf("%s: %x\nis written as %x\nand then as    %x", name, row, first, second)
			}
			if name == "numbers" {
				continue // has no fields
			}
			later := protowire.AppendString(protowire.AppendTag(bytes.Clone(row), 99, protowire.BytesType), "later")
			later = protowire.AppendVarint(protowire.AppendTag(later, 98, protowire.VarintType), 7)
			if got := write(later); !bytes.Equal(got, first) {
				t.Errorf("%s: with fields of a later version %x is written as %x, want %x", name, later, got, first)
			}
		}
		if sizes, err := DecodeSizes(row); err == nil && 2*len(sizes) > len(row) {
			t.Errorf("%d sizes in %d bytes", len(sizes), len(row))
		}
		if !bytes.Equal(row, kept) {
			t.Errorf("decoding has changed the row: %x is %x", kept, row)
		}
		if used := allocated() - before; used > 4<<20+4096*uint64(len(row)) {
			t.Errorf("%d bytes of memory for a row of %d bytes", used, len(row))
		}
	})
}

func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// FuzzMails: numbers, addresses and values of any kind come back from a row, whatever they share with their neighbours; sizes too.
func FuzzMails(f *testing.F) {
	f.Fuzz(func(t *testing.T, number, step uint64, namespace, name, id, typeName string, value []byte, has bool) {
		a := api.Address{Type: api.FunctionType{Namespace: namespace, Name: name}, ID: id}
		b := api.Address{Type: api.FunctionType{Namespace: name, Name: namespace}, ID: typeName}
		var want []Mail
		for i, m := range []api.Message{
			{Target: a, Argument: api.TypedValue{TypeName: typeName, HasValue: has, Value: value}},
			{Target: a, Caller: b, Argument: api.TypedValue{TypeName: typeName}},
			{Target: b, Caller: b, Argument: api.TypedValue{TypeName: id, HasValue: !has, Value: []byte{}}},
			{Target: b, Caller: api.Address{}, Argument: api.TypedValue{Value: value}},
		} {
			next := number + uint64(i)*step
			if i > 0 && next <= want[i-1].Number {
				break
			}
			want = append(want, Mail{Number: next, Message: m})
		}
		got, err := DecodeMails(AppendMails(nil, want))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
		sizes, err := DecodeSizes(AppendSizes(nil, want))
		if err != nil || len(sizes) != len(want) {
			t.Fatalf("sizes %v, %v of %+v", sizes, err, want)
		}
		for i, s := range sizes {
			if s.Number != want[i].Number || s.Bytes != int64(want[i].Message.Size()) {
				t.Errorf("size %+v of %+v", s, want[i])
			}
		}
		var outputs []api.Output
		for _, m := range want {
			outputs = append(outputs, api.Output{Sender: m.Message.Target, Value: m.Message.Argument})
		}
		if got, err := DecodeOutputs(AppendOutputs(nil, outputs)); err != nil || !reflect.DeepEqual(got, outputs) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, outputs)
		}
	})
}
