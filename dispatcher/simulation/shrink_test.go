package simulation_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// shrunk is a part of a life: some of its steps before the calm, without some kinds of faults, with fewer records.
type shrunk struct {
	steps   []int // sorted; what is played before the calm
	all     bool  // every step
	off     []fault
	records int // of each source; 0: all
}

func (s *shrunk) has(step int) bool {
	if s.all {
		return true
	}
	_, found := slices.BinarySearch(s.steps, step)
	return found
}

// apply makes a life that has not begun smaller.
func (s *shrunk) apply(l *life) {
	for _, f := range s.off {
		l.off[f] = true
	}
	if s.records > 0 {
		l.w.truncate(s.records)
	}
}

// String is what -shrunk takes.
func (s *shrunk) String() string {
	var parts []string
	if s.records > 0 {
		parts = append(parts, fmt.Sprint("records=", s.records))
	}
	if len(s.off) > 0 {
		var names []string
		for _, f := range s.off {
			names = append(names, f.String())
		}
		parts = append(parts, "off="+strings.Join(names, ","))
	}
	if !s.all {
		var runs []string
		for i := 0; i < len(s.steps); {
			j := i
			for j+1 < len(s.steps) && s.steps[j+1] == s.steps[j]+1 {
				j++
			}
			if run := strconv.Itoa(s.steps[i]); i == j {
				runs = append(runs, run)
			} else {
				runs = append(runs, fmt.Sprintf("%s-%d", run, s.steps[j]))
			}
			i = j + 1
		}
		parts = append(parts, "steps="+strings.Join(runs, ","))
	}
	return strings.Join(parts, ";")
}

func parseShrunk(text string) (*shrunk, error) {
	s := &shrunk{all: true}
	for _, part := range strings.Split(text, ";") {
		key, value, _ := strings.Cut(part, "=")
		var err error
		switch key {
		case "records":
			s.records, err = strconv.Atoi(value)
		case "off":
			for _, name := range strings.Split(value, ",") {
				f, ok := faultNamed(name)
				if !ok {
					return nil, fmt.Errorf("-shrunk: no fault is named %q", name)
				}
				s.off = append(s.off, f)
			}
		case "steps":
			s.all = false
			err = s.parseSteps(value)
		default:
			return nil, fmt.Errorf("-shrunk: unknown part %q", part)
		}
		if err != nil {
			return nil, fmt.Errorf("-shrunk: %q: %w", part, err)
		}
	}
	return s, nil
}

func (s *shrunk) parseSteps(value string) error {
	if value == "" {
		return nil
	}
	for _, run := range strings.Split(value, ",") {
		from, to, ranged := strings.Cut(run, "-")
		a, err := strconv.Atoi(from)
		if err != nil {
			return err
		}
		b := a
		if ranged {
			if b, err = strconv.Atoi(to); err != nil {
				return err
			}
		}
		for ; a <= b; a++ {
			s.steps = append(s.steps, a)
		}
	}
	return nil
}

// shrinkMax is how long making a failure smaller may take.
const shrinkMax = 20 * time.Second

// shrinker looks for a smaller life in which the same checker finds something.
type shrinker struct {
	plan    plan
	checker string
	until   time.Time
	best    shrunk
	last    int // step at which that fails
}

// shrink answers the smallest part of a failing life that was found in time.
func shrink(p *plan, wrong *failure, within time.Duration) *shrunk {
	s := &shrinker{plan: *p, checker: wrong.checker, until: time.Now().Add(within), best: shrunk{all: true}, last: wrong.step}
	s.withoutFaults()
	s.withFewerRecords()
	whole := shrunk{off: s.best.off, records: s.best.records}
	for step := 1; step <= s.last; step++ { // steps behind the failure do not matter
		whole.steps = append(whole.steps, step)
	}
	if s.try(whole) {
		s.withFewerSteps()
	}
	s.withoutFaults()
	s.withFewerRecords()
	return &s.best
}

// try plays a part, and keeps it when it fails in the same way.
func (s *shrinker) try(part shrunk) bool {
	if time.Now().After(s.until) {
		return false
	}
	p := s.plan
	p.only = &part
	_, wrong := play(&p)
	if wrong == nil || wrong.checker != s.checker {
		return false
	}
	s.best, s.last = part, wrong.step
	return true
}

func (s *shrinker) withoutFaults() {
	for f := range faultKinds {
		if !slices.Contains(s.best.off, f) {
			part := s.best
			part.off = append(slices.Clone(part.off), f)
			s.try(part)
		}
	}
}

func (s *shrinker) withFewerRecords() {
	for _, n := range []int{1, 2, 3, 5, 8, 13, 21, 34} {
		if s.best.records > 0 && n >= s.best.records {
			return
		}
		part := s.best
		part.records = n
		if s.try(part) {
			return
		}
	}
}

// withFewerSteps takes out runs of steps, shorter and shorter ones, as long as the failure stays (delta debugging).
func (s *shrinker) withFewerSteps() {
	for size := max(len(s.best.steps)/2, 1); ; {
		smaller := false
		for from := 0; from < len(s.best.steps); {
			part := s.best
			part.steps = slices.Delete(slices.Clone(part.steps), from, min(from+size, len(part.steps)))
			if s.try(part) {
				smaller = true
			} else {
				from += size
			}
			if time.Now().After(s.until) {
				return
			}
		}
		if size == 1 && !smaller {
			return
		}
		size = max(size/2, 1)
	}
}
