package dispatcher

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stategate/stategate/dispatcher/machine"
)

// TestClockSetBack: the wall clock is set back by a minute while an endpoint is down. Calls go on when it is back, not a minute later.
func TestClockSetBack(t *testing.T) {
	var shift atomic.Int64
	start := time.Now()
	f := serveFunction(t)
	l := begin(t, newStore(nil), f, func(c *Config) {
		c.time = func() (time.Time, time.Duration) {
			now := time.Now()
			return now.Round(0).Add(time.Duration(shift.Load())), now.Sub(start)
		}
	})
	l.arrive(0, "a")
	l.until("the output", func() bool { return l.got("a") == "1" })
	f.SetDown("count", true)
	l.arrive(1, "a", "b")
	l.until("failures", func() bool { return l.failed >= 5 })
	shift.Store(int64(-time.Minute))
	f.SetDown("count", false)
	l.arrive(3, "c") // has never failed
	l.until("the outputs", func() bool { return l.got("a") == "1 2" && l.got("b") == "1" && l.got("c") == "1" })
}

// TestFactsAreNotOlderThanTheClock: what happens after the clock was read is told with the next reading. Else a delayed message would
// count from before its reply came, and run early.
func TestFactsAreNotOlderThanTheClock(t *testing.T) {
	const facts = 100
	var readings, told, early atomic.Int64
	var post atomic.Pointer[func(fact)]
	l := begin(t, newStore(nil), serveFunction(t), func(c *Config) {
		start := time.Now()
		c.time = func() (time.Time, time.Duration) {
			now, number := time.Now(), readings.Add(1)
			if post := post.Load(); post != nil && told.Load() < facts {
				(*post)(func(*machine.Machine) {
					if readings.Load() == number {
						early.Add(1)
					}
					told.Add(1)
				})
			}
			return now.Round(0), now.Sub(start)
		}
	})
	f := l.inbox.post
	post.Store(&f)
	l.arrive(0, "a") // the loop turns, and then each fact brings the next
	l.until("the output", func() bool { return l.got("a") == "1" })
	for told.Load() < facts {
		l.inbox.post(func(*machine.Machine) {})
		runtime.Gosched()
	}
	if n := early.Load(); n > 0 {
		t.Errorf("%d of %d facts were told with a time before they happened", n, told.Load())
	}
}

func TestClockNeverRunsBack(t *testing.T) {
	wall, run := time.UnixMilli(1000), time.Duration(0)
	c := newClock(func() (time.Time, time.Duration) { return wall, run })
	for i, step := range []struct {
		wall, run time.Duration
		want      int64 // Unix milliseconds
	}{
		{0, 0, 1000}, {5 * time.Millisecond, 5 * time.Millisecond, 1005},
		{-time.Hour, 2 * time.Millisecond, 1007}, {time.Millisecond, 3 * time.Millisecond, 1010}, // set back
		{2 * time.Hour, time.Millisecond, 1000 + time.Hour.Milliseconds() + 6}, // and forward
	} {
		wall, run = wall.Add(step.wall), run+step.run
		if got := c.now().UnixMilli(); got != step.want {
			t.Errorf("step %d: got %d, want %d", i, got, step.want)
		}
	}
}
