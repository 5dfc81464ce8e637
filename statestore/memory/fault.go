package memory

import (
	"errors"
	"fmt"

	"github.com/stategate/stategate/statestore"
)

// Faults make a handle fail on purpose. A nil func: never.
type Faults struct {
	Commit func(c *statestore.Commit) Fault // asked once for each commit, before anything is written
	Call   func(name string) error          // asked for each other call; what it answers is the call's error
}

// Fault says what becomes of a commit.
type Fault uint8

const (
	FaultNone        Fault = iota
	FaultUnavailable       // ErrUnavailable; nothing is written
	FaultLost              // ErrDoubt; nothing is written
	FaultDone              // ErrDoubt; it is written
	FaultLate              // ErrDoubt; it is written by Land or LastCommit, unless a claim fences it before
)

var errFault = errors.New("fault on purpose")

func unavailable(action string, err error) error {
	return fmt.Errorf("%s: %w: %w", action, statestore.ErrUnavailable, err)
}

func doubt(err error) error { return fmt.Errorf("commit: %w: %w", statestore.ErrDoubt, err) }

// Land lets the commits arrive that were on their way (FaultLate). Those that are fenced by now are refused, as they would be
// by any store.
func (s *Store) Land() {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	for _, c := range s.shared.late {
		_ = s.shared.commit(c) // nobody waits for the answer any more
	}
	s.shared.late = nil
}
