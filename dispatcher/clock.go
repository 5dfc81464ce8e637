package dispatcher

import (
	"time"

	"github.com/stategate/stategate/dispatcher/machine"
)

// clock reads the time that the machine is told (machine.Clock).
type clock struct {
	read  readings
	clock *machine.Clock
}

// readings are what the wall clock says and how long the process has run, which nobody can set.
type readings func() (wall time.Time, run time.Duration)

func newClock(read readings) *clock {
	if read == nil {
		start := time.Now()
		read = func() (time.Time, time.Duration) {
			t := time.Now()
			return t.Round(0), t.Sub(start) // by its monotonic reading
		}
	}
	wall, run := read()
	return &clock{read: read, clock: machine.NewClock(wall.UnixNano(), int64(run))}
}

func (c *clock) now() time.Time {
	wall, run := c.read()
	return time.Unix(0, c.clock.Tell(wall.UnixNano(), int64(run)))
}
