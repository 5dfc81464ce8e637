package kafkaproperty

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The readers of values. Their errors say what is wanted and never what is there: it may have come from the environment.

func number(value string, least, most int64) (int64, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < least || n > most {
		return 0, fmt.Errorf("want a number from %d to %d", least, most)
	}
	return n, nil
}

// count takes a number of bytes or things; below least counts as least.
func count(least int32, set func(*Settings, int32)) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		n, err := number(value, 0, math.MaxInt32)
		if err != nil {
			return err
		}
		set(s, max(least, int32(n)))
		return nil
	}
}

func milliseconds(value string, least int64) (time.Duration, error) {
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil || n < least || n > math.MaxInt32 {
		return 0, fmt.Errorf("want milliseconds from %d to %d", least, math.MaxInt32)
	}
	return time.Duration(n) * time.Millisecond, nil
}

// millis takes milliseconds; 0 counts as 1.
func millis(set func(*Settings, time.Duration)) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		d, err := milliseconds(value, 0)
		if err != nil {
			return err
		}
		set(s, max(d, time.Millisecond))
		return nil
	}
}

// atLeast1 takes milliseconds of a wait without which nothing would ever come through.
func atLeast1(set func(*Settings, time.Duration)) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		d, err := milliseconds(value, 1)
		if err == nil {
			set(s, d)
		}
		return err
	}
}

// buffer takes the size of a connection's buffer; -1 is the system's.
func buffer(set func(*Settings, int)) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		n, err := number(value, -1, math.MaxInt32)
		if err != nil {
			return err
		}
		set(s, int(max(n, 0)))
		return nil
	}
}

// oneOf takes one of the words.
func oneOf[T any](words map[string]T, want string, set func(*Settings, T)) func(*Settings, string) error {
	return func(s *Settings, value string) error {
		v, ok := words[value]
		if !ok {
			return fmt.Errorf("want %s", want)
		}
		set(s, v)
		return nil
	}
}

// list splits a list as Java does.
func list(value string) []string {
	var items []string
	for item := range strings.SplitSeq(value, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
