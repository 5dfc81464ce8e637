package module

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// errDuration is the whole grammar: fractions, signs and compounds such as 1m30s are not in it.
var errDuration = errors.New("want an integer with an optional unit (d, h, min, s, ms, µs, ns; none is ms), as in 90s")

// parseDuration reads StateFun's durations: a non-negative integer, optional spaces, an optional unit in any case.
// What is longer than Go can say (292 years) is cut to that.
func parseDuration(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	digits := 0
	for digits < len(s) && s[digits] >= '0' && s[digits] <= '9' {
		digits++
	}
	n, err := strconv.ParseInt(s[:digits], 10, 64)
	if err != nil {
		return 0, errDuration
	}
	unit, ok := durationUnit(strings.ToLower(strings.TrimSpace(s[digits:])))
	if !ok {
		return 0, errDuration
	}
	if n > math.MaxInt64/int64(unit) {
		return math.MaxInt64, nil
	}
	return time.Duration(n) * unit, nil
}

func durationUnit(s string) (time.Duration, bool) {
	switch s {
	case "d", "day", "days":
		return 24 * time.Hour, true
	case "h", "hour", "hours":
		return time.Hour, true
	case "m", "min", "minute", "minutes":
		return time.Minute, true
	case "s", "sec", "secs", "second", "seconds":
		return time.Second, true
	case "", "ms", "milli", "millis", "millisecond", "milliseconds":
		return time.Millisecond, true
	case "µs", "μs", "micro", "micros", "microsecond", "microseconds":
		return time.Microsecond, true
	case "ns", "nano", "nanos", "nanosecond", "nanoseconds":
		return time.Nanosecond, true
	}
	return 0, false
}
