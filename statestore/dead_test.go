package statestore

import (
	"testing"

	"github.com/stategate/stategate/api"
)

// TestDeadLetterSize: a record with very many headers counts for what it takes, also when nothing is in them.
func TestDeadLetterSize(t *testing.T) {
	d := api.DeadLetter{Kind: api.DeadRecord, Headers: make([]api.Header, 100_000)}
	if row := len(AppendDeadLetter(nil, &d)); d.Size() < row {
		t.Errorf("a row of %d bytes counts for %d", row, d.Size())
	}
}
