package statestore

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestStateRows: rows are read one after the other into the same place, as a driver does, and what was read stays.
func TestStateRows(t *testing.T) {
	rows := [][]StateValue{
		{{Name: "count", TypeName: "t", Value: []byte("1"), Touched: 5}, {Name: "name", TypeName: "u", Value: []byte("Ada")}},
		{{Name: "count", TypeName: "t", Value: []byte("2")}, {Name: "name", TypeName: "t", Value: []byte{}}},
		nil,
		{{Name: "large", TypeName: "t", Value: make([]byte, StateApartAbove+1)}, {Name: "name"}},
		{{Name: "count", TypeName: "t", Value: []byte("33")}},
	}
	var read StateRows
	var place []byte
	var got, want [][]StateValue
	for _, values := range rows {
		row := AppendStates(nil, cartB, values)
		_, wanted, wantApart, err := DecodeStates(bytes.Clone(row))
		if err != nil {
			t.Fatal(err)
		}
		clear(place)
		place = append(place[:0], row...)
		values, apart, err := read.Decode(place)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(wantApart, apart); diff != "" {
			t.Errorf("apart (-want +got):\n%s", diff)
		}
		got, want = append(got, values), append(want, wanted)
	}
	clear(place)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("values (-want +got):\n%s", diff)
	}
	row := AppendStates(nil, cartB, rows[0])
	_, _, _ = read.Decode(row)
	if n := testing.AllocsPerRun(100, func() { _, _, _ = read.Decode(row) }); n > 2 {
		t.Errorf("%v allocations for a row", n)
	}
}

// FuzzStateRows: what DecodeStates reads is read as the same, whatever was read before; nothing makes it panic.
func FuzzStateRows(f *testing.F) {
	row := AppendStates(nil, cartB, []StateValue{{Name: "count", TypeName: "t", Value: []byte("1")}, {Name: "large", Value: make([]byte, StateApartAbove+1)}})
	f.Add(row, row[:len(row)-1])
	f.Add(AppendStates(nil, cartB, nil), row)
	f.Fuzz(func(t *testing.T, before, row []byte) {
		var read StateRows
		_, _, _ = read.Decode(before)
		got, gotApart, err := read.Decode(row)
		_, want, wantApart, wantErr := DecodeStates(row)
		if wantErr != nil {
			return // of the address, perhaps, which is not looked at
		}
		if err != nil {
			t.Fatalf("%v, where DecodeStates reads it", err)
		}
		if diff := cmp.Diff(want, got) + cmp.Diff(wantApart, gotApart); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
