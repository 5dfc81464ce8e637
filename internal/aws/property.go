package aws

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Settings are what clientConfigProperties say, in words of ours. Zero: nothing is said.
type Settings struct {
	Client Client

	RecordsMax   int           // of one read; an ingress's
	ReadInterval time.Duration // between two reads of a shard while records come
	Discovery    time.Duration // between two looks at the shards

	CallRecordsMax int // of one call; an egress's
	CallBytesMax   int
}

// property is one row of the table: what becomes of a name. Exactly one of the three is set.
type property struct {
	set  func(s *Settings, value string) error
	none string // it has no effect, and why nobody misses it; values that ask for nothing else than what is so are not spoken of
	fail string // it must not be ignored, and cannot be done
	is   string // with none: the value that says what is so anyway

	guards bool // with set: without it something else would be trusted, or asked
}

// Reading translates the properties of an ingress: names are full, "aws.clientconfig.maxConnections" or "flink.shard. ...".
// Warnings name what has no effect; the error is what must not be ignored. Neither shows a value.
func Reading(properties map[string]string) (Settings, []string, error) {
	return translate(properties, reading, readingPrefixes)
}

// Writing translates the properties of an egress: names of the Kinesis Producer Library.
func Writing(properties map[string]string) (Settings, []string, error) {
	return translate(properties, writing, nil)
}

func translate(properties map[string]string, table map[string]property, prefixes []prefix) (s Settings, warnings []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		value := strings.TrimSpace(properties[name])
		p, ok := table[strings.ToLower(name)]
		if right := flat(name); !ok && table[right].matters() {
			return s, nil, fmt.Errorf("property %q is not known, and must not be left out: write %s", name, right)
		}
		if !ok {
			p.none = "it is not known here"
			for _, family := range prefixes {
				if strings.HasPrefix(strings.ToLower(name), family.begins) {
					p.none = family.none
					break
				}
			}
		}
		switch {
		case p.fail != "":
			return s, nil, fmt.Errorf("property %s: %s", name, p.fail)
		case p.set != nil:
			if err := p.set(&s, value); err != nil {
				return s, nil, fmt.Errorf("property %s: %w", name, err)
			}
		case p.is == "" || !strings.EqualFold(p.is, value):
			warnings = append(warnings, fmt.Sprintf("property %s has no effect: %s", shown(name, ok), p.none))
		}
	}
	return s, warnings, nil
}

// matters reports whether a property of this row must not be passed over because of its spelling: whom to trust, which proxy to use, and
// what cannot be done.
func (p property) matters() bool { return p.guards || p.fail != "" }

// flat is a name whatever its case and its blanks, and with no signs between words.
func flat(name string) string {
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || unicode.IsSpace(r) || !unicode.IsGraphic(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}

// shown is a name in a warning. One that nobody knows and that looks like no name is not shown: a value has slipped into it.
func shown(name string, known bool) string {
	if !known && (len(name) > 100 || !nameForm.MatchString(name)) {
		return "(its name is not shown)"
	}
	return name
}

var nameForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*([._-][A-Za-z0-9]+)*$`)

// prefix is what is said of all names that begin so and are in no row.
type prefix struct{ begins, none string }

// Kinds of values.

func count(to func(*Settings) *int, low, high int) property {
	return property{set: func(s *Settings, value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < low || n > high {
			return fmt.Errorf("want an integer from %d to %d", low, high)
		}
		*to(s) = n
		return nil
	}}
}

func millis(to func(*Settings) *time.Duration) property {
	return property{set: func(s *Settings, value string) error {
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt32 {
			return fmt.Errorf("want milliseconds, from 0 to %d", math.MaxInt32)
		}
		*to(s) = time.Duration(n) * time.Millisecond
		return nil
	}}
}

func text(to func(*Settings) *string) property {
	return property{set: func(s *Settings, value string) error { *to(s) = value; return nil }}
}

func guard(p property) property {
	p.guards = true
	return p
}

func without(none string) property    { return property{none: none} }
func unlike(is, none string) property { return property{none: none, is: is} }
func refused(fail string) property    { return property{fail: fail} }
