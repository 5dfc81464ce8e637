package machine_test

import (
	"testing"

	"github.com/stategate/stategate/dispatcher/machine"
)

func TestAfterDoubt(t *testing.T) {
	for _, c := range []struct {
		number, last uint64
		want         machine.Verdict
	}{
		{7, 7, machine.CommitDone},
		{7, 6, machine.CommitMissed},
		{1, 0, machine.CommitMissed},
		{7, 5, machine.CommitLost},
		{7, 0, machine.CommitLost},
		{7, 8, machine.CommitUnknown},
	} {
		if got := machine.AfterDoubt(c.number, c.last); got != c.want {
			t.Errorf("commit %d, the last one is %d: verdict %d, want %d", c.number, c.last, got, c.want)
		}
	}
}
