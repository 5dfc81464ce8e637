package simulation_test

import (
	"math"
	"testing"
	"time"
)

// TestShrink: a checker that is wrong on purpose, in lives of hundreds of steps, leaves a life of a few steps, which tells it again.
func TestShrink(t *testing.T) {
	for name, c := range map[string]struct {
		broken   func(l *life)
		stepsMax int
	}{
		"a commit whose answer is lost": {func(l *life) {
			if l.seen.table.any(faultCommitDone) {
				l.failf("broken", "a commit's answer was lost")
			}
		}, 12},
		"messages behind a failed call": {func(l *life) {
			if l.seen.table.any(faultCallAnswer) && l.commits >= 2 && l.messages >= 5 {
				l.failf("broken", "a call failed, and there were commits and messages")
			}
		}, 60},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shrunken, smallest := 0, math.MaxInt
			for seed := uint64(1); seed < 40 && shrunken < 3; seed++ {
				p := plan{seed: seed, backend: inMemory{}, broken: c.broken}
				_, wrong := play(&p)
				if wrong == nil || wrong.step < 100 {
					continue
				}
				if wrong.checker != "broken" {
					t.Fatalf("seed %d: %v", seed, wrong)
				}
				shrunken++
				part := shrink(&p, wrong, 10*time.Second)
				again, err := parseShrunk(part.String())
				if err != nil {
					t.Fatal(err)
				}
				p.only, p.tell = again, true
				l, small := play(&p)
				if small == nil || small.text != wrong.text {
					t.Fatalf("seed %d: %v; the part %v: %v", seed, wrong, part, small)
				}
				if part.all || len(part.steps) >= wrong.step || l.story.Len() == 0 {
					t.Errorf("seed %d: %d steps are left of %d:\n%v", seed, len(part.steps), wrong.step, l.story)
				}
				smallest = min(smallest, len(part.steps))
				t.Logf("seed %d: of %d steps %d are left: -shrunk='%v'", seed, wrong.step, len(part.steps), part)
			}
			// Not each of them becomes that small: where a takeover is needed time must pass, and it passes by steps.
			if shrunken < 3 || smallest > c.stepsMax {
				t.Errorf("of %d lives the smallest has %d steps, at most %d should be", shrunken, smallest, c.stepsMax)
			}
		})
	}
}
