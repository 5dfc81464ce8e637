package simulation_test

import (
	"flag"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	seedFlag  = flag.Uint64("seed", 0, "play the life of this seed alone, with its story")
	livesFlag = flag.Uint64("lives", 200, "how many lives to play")
	firstFlag = flag.Uint64("first", 1, "seed of the first life")
)

// TestLives plays lives from seeds: the real machine on the real store, with crashes, refused commits, failing calls, late
// answers and bounds of almost nothing, against a model that knows what must come out. A seed that fails is played again, with
// its story, by -seed.
func TestLives(t *testing.T) {
	if *seedFlag != 0 {
		story := &strings.Builder{}
		_, err := playLife(*seedFlag, story)
		t.Log(story.String())
		if err != nil {
			t.Fatalf("seed %d: %v", *seedFlag, err)
		}
		return
	}
	var sum coverage
	for seed := *firstFlag; seed < *firstFlag+*livesFlag; seed++ {
		seen, err := playLife(seed, nil)
		if err != nil {
			t.Fatalf("go test ./dispatcher/simulation -run TestLives -v -seed %d: %v", seed, err)
		}
		sum.add(seen)
	}
	t.Logf("%+v", sum)
	if *livesFlag >= 100 {
		sum.judge(t)
	}
}

func (c *coverage) add(o coverage) {
	c.crashes += o.crashes
	c.doubts += o.doubts
	c.spills += o.spills
	c.skipped += o.skipped
	c.refusals += o.refusals
	c.timers += o.timers
	c.cancels += o.cancels
	c.stale += o.stale
	c.calls += o.calls
	c.kept += o.kept
	c.trimmed += o.trimmed
}

// judge fails when the lives went past what they are for.
func (c *coverage) judge(t *testing.T) {
	for name, n := range map[string]int{
		"crashes": c.crashes, "doubts": c.doubts, "spilled chunks": c.spills, "outputs skipped": c.skipped, "refusals": c.refusals,
		"timers": c.timers, "cancels": c.cancels, "stale answers": c.stale, "calls": c.calls, "kept messages": c.kept, "trims": c.trimmed,
	} {
		if n < 10 {
			t.Errorf("only %d %s in all lives", n, name)
		}
	}
}

// TestLivesRepeat: the same facts always give the same work, or a seed would not tell its story twice.
func TestLivesRepeat(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		first, second := &strings.Builder{}, &strings.Builder{}
		_, err1 := playLife(seed, first)
		_, err2 := playLife(seed, second)
		if err1 != nil || err2 != nil {
			t.Fatalf("seed %d: %v, %v", seed, err1, err2)
		}
		if first.String() != second.String() {
			t.Errorf("seed %d tells two stories:\n%s", seed, cmp.Diff(strings.Split(first.String(), "\n"), strings.Split(second.String(), "\n")))
		}
	}
}
