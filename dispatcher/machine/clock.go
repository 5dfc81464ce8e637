package machine

// Clock is the time that a machine is told: that of the wall, but it never runs back and never stands still. When the wall clock is
// set back it goes on at its own pace from where it was: nothing waits longer for that. It reads no clock itself; the unit is that of
// what it is told.
type Clock struct {
	told int64 // at the last look
	run  int64 // then
}

// NewClock begins at the wall's time.
func NewClock(wall, run int64) *Clock { return &Clock{told: wall, run: run} }

// Tell answers the time. wall is what the wall clock says, run is how long the process has run, which nobody can set.
func (c *Clock) Tell(wall, run int64) int64 {
	c.told = max(c.told+run-c.run, wall)
	c.run = run
	return c.told
}
