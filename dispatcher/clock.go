package dispatcher

import "time"

// clock is the time that the machine is told: that of the wall, but it never runs back and never stands still. When the wall clock
// is set back it goes on at its own pace from where it was: nothing waits longer for that.
type clock struct {
	read readings
	run  time.Duration // at the last look
	told time.Time     // then
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
	c := &clock{read: read}
	c.told, c.run = read()
	return c
}

func (c *clock) now() time.Time {
	wall, run := c.read()
	told := c.told.Add(run - c.run)
	if wall.After(told) {
		told = wall
	}
	c.run, c.told = run, told
	return told
}
