package statestore

import (
	"fmt"
	"testing"

	"github.com/stategate/stategate/api"
)

// TestOutputsAreReadIntoOnePiece: room for the outputs of a row is made once, and for as many as there are.
func TestOutputsAreReadIntoOnePiece(t *testing.T) {
	sender := api.Address{Type: api.FunctionType{Namespace: "n", Name: "f"}, ID: "k"}
	var outputs []api.Output
	for i := range 1000 {
		outputs = append(outputs, api.Output{Sender: sender, Value: api.TypedValue{TypeName: "t/x", HasValue: true, Value: fmt.Append(nil, i)}})
	}
	row := AppendOutputs(nil, outputs)
	var got []api.Output
	var err error
	pieces := testing.AllocsPerRun(10, func() { got, err = DecodeOutputs(row) })
	if err != nil || len(got) != len(outputs) || cap(got) != len(outputs) {
		t.Fatalf("got %d outputs with room for %d, %v, want %d", len(got), cap(got), err, len(outputs))
	}
	if pieces > 8 { // the outputs, and the texts of the one sender
		t.Errorf("%v pieces of memory", pieces)
	}
}
