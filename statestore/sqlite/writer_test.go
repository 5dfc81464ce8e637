package sqlite

import (
	"os"
	"testing"

	"github.com/stategate/stategate/statestore"
)

// TestLogIsEmptiedEachTime: a log that could be emptied has the same bound afterwards, however often; only one that could not be may
// grow before that is tried again.
func TestLogIsEmptiedEachTime(t *testing.T) {
	s := open(t, Config{Path: fresh(t)})
	c := acquire(t, s, newMember())
	<-s.writer.turn
	s.writer.logBound = 1
	s.writer.turn <- struct{}{}
	for n := uint64(1); n <= 5; n++ {
		if err := s.Commit(t.Context(), &statestore.Commit{Fence: c.Fence, Number: n, NextNumber: n, States: []statestore.AddressState{state("a", []byte("v"))}}); err != nil {
			t.Fatal(err)
		}
		<-s.writer.turn
		info, err := os.Stat(s.cfg.Path + "-wal")
		if err != nil || info.Size() != 0 || s.writer.logNext != 0 {
			t.Errorf("after commit %d the log is %+v, %v, and is looked at again from %d bytes on", n, info, err, s.writer.logNext)
		}
		s.writer.turn <- struct{}{}
	}
}
