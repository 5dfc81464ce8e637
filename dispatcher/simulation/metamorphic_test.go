package simulation_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// metamorphicLives is how many lives are played on each pair of stores; -lives says otherwise. In haste it is a fifth.
const metamorphicLives = 30

// TestMetamorphic plays the same lives on the model of a store and on real ones: the same application, the same schedule, the same
// faults. All stores must answer every question alike, so that all lives are alike step by step, and come to the same end.
func TestMetamorphic(t *testing.T) {
	for _, name := range []string{"sqlite", "postgres"} {
		t.Run(name, func(t *testing.T) {
			other := backends[name](t)
			if *seedFlag != 0 {
				if d := compareLives(*seedFlag, inMemory{}, other); d != "" {
					t.Fatal(d)
				}
				return
			}
			compareMany(t, other)
		})
	}
}

func compareMany(t *testing.T, other backend) {
	t.Helper()
	lives, first := metamorphicLives, *firstFlag
	if testing.Short() || underRace {
		lives /= 5
	}
	flag.Visit(func(f *flag.Flag) {
		if f.Name == "lives" {
			lives = *livesFlag
		}
	})
	if first == 0 {
		first = rand.Uint64N(1<<40) + 1
	}
	seeds := make(chan uint64, lives)
	for n := range uint64(lives) {
		seeds <- first + n
	}
	close(seeds)
	began := time.Now()
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for seed := range seeds {
				if d := compareLives(seed, inMemory{}, other); d != "" && !t.Failed() {
					t.Error(d)
				}
			}
		})
	}
	wait.Wait()
	took := time.Since(began)
	t.Logf("%d lives on memory and %s, from -first=%d on, in %v: %.1f pairs a second", lives, other.name(), first, took.Round(time.Millisecond), float64(lives)/took.Seconds())
}

// compareLives plays a life on two stores and says how the second differs from the first; "": it does not.
func compareLives(seed uint64, one, two backend) string {
	var stories, ends [2][]string
	names, failed := [2]string{one.name(), two.name()}, false
	for i, b := range []backend{one, two} {
		l, wrong := play(&plan{seed: seed, backend: witnessed{b}, tell: true, opened: follow})
		stories[i] = strings.Split(l.story.String(), "\n")
		if wrong != nil {
			failed = true
			ends[i] = []string{"it fails: " + wrong.Error()}
		} else {
			ends[i] = l.outcome()
		}
	}
	story, end := difference(names, stories, 10), difference(names, ends, 0)
	switch {
	case story == "" && end == "" && failed:
		story = fmt.Sprintf("seed %d fails on both stores: %s", seed, ends[0][0])
	case story == "" && end == "":
		return ""
	default:
		story = fmt.Sprintf("seed %d: %s and %s differ in the story:\n%s\nand in the end:\n%s", seed, names[0], names[1], story, end)
	}
	return fmt.Sprintf("%s\nplay it again: go test ./dispatcher/simulation -run TestMetamorphic/%s -v -seed=%d", story, names[1], seed)
}

// difference shows the first line that differs, with some before it; "": none does.
func difference(names [2]string, texts [2][]string, before int) string {
	a, b := texts[0], texts[1]
	at := 0
	for at < len(a) && at < len(b) && a[at] == b[at] {
		at++
	}
	if at == len(a) && at == len(b) {
		return ""
	}
	out := &strings.Builder{}
	for _, line := range a[max(0, at-before):at] {
		fmt.Fprintf(out, "%8s  %.160s\n", "", line)
	}
	var lines [2]string
	for i, text := range texts {
		if lines[i] = "(it is over)"; at < len(text) {
			lines[i] = text[at]
		}
	}
	from := 0
	for from < len(lines[0]) && from < len(lines[1]) && lines[0][from] == lines[1][from] {
		from++
	}
	for i, line := range lines { // what differs may stand far back in a long answer
		head := line[:min(60, max(0, from-140))]
		if rest := line[max(len(head), from-140):]; head != "" {
			line = fmt.Sprintf("%s ... %.280s", head, rest)
		}
		fmt.Fprintf(out, "%8s: %.400s\n", names[i], line)
	}
	return out.String()
}

// outcome is what a life has come to: all that the store holds, and what readers of the sinks have got, in order for each sender.
func (l *life) outcome() []string {
	lines := slices.Clone(l.deposit.(*witnessDeposit).content)
	for _, e := range slices.Sorted(maps.Keys(l.sinks)) {
		got := map[api.Address][]string{}
		for _, t := range l.sinks[e].taken {
			got[t.sender] = append(got[t.sender], t.name)
		}
		for _, a := range slices.SortedFunc(maps.Keys(got), compareAddresses) {
			lines = append(lines, fmt.Sprintf("outputs of %v to %s: %v", a, e, got[a]))
		}
	}
	return lines
}

// bent is a store that keeps something else than what it is given.
type bent struct {
	backend
	bend func(c *statestore.Commit)
}

func (b bent) name() string { return "bent" }

func (b bent) open() (deposit, error) {
	d, err := b.backend.open()
	return &bentDeposit{d, b.bend}, err
}

type bentDeposit struct {
	deposit
	bend func(c *statestore.Commit)
}

func (d *bentDeposit) handle() (handle, error) {
	h, err := d.deposit.handle()
	return &bentHandle{h, d.bend}, err
}

type bentHandle struct {
	handle
	bend func(c *statestore.Commit)
}

func (h *bentHandle) Commit(ctx context.Context, c *statestore.Commit) error {
	mine := *c
	h.bend(&mine)
	return h.handle.Commit(ctx, &mine)
}

// TestMetamorphicTells: a store that deviates from the model where no checker looks is told at the first answer that shows it.
func TestMetamorphicTells(t *testing.T) {
	for name, c := range map[string]struct {
		bend func(c *statestore.Commit)
		want string // in the text
	}{
		"the time of a state": {func(c *statestore.Commit) {
			c.States = slices.Clone(c.States)
			for i := range c.States {
				c.States[i].Values = slices.Clone(c.States[i].Values)
				for j := range c.States[i].Values {
					c.States[i].Values[j].Touched++
				}
			}
		}, "Touched:"},
		"the reason of a dead letter": {func(c *statestore.Commit) {
			c.DeadLetters = slices.Clone(c.DeadLetters)
			for i := range c.DeadLetters {
				c.DeadLetters[i].Reason = "other"
			}
		}, "Reason:other"},
		"the order of timers": {func(c *statestore.Commit) {
			c.Timers = slices.Clone(c.Timers)
			for i := range c.Timers {
				c.Timers[i].Due++
			}
		}, "timers"},
		"a number that is not used": {func(c *statestore.Commit) { c.NextNumber++ }, "NextNumber:"},
		"the start of a lane":       {func(c *statestore.Commit) { c.LaneStarts = nil }, "Started:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= 10; seed++ {
				text := compareLives(seed, inMemory{}, bent{inMemory{}, c.bend})
				if text == "" {
					continue
				}
				if want := fmt.Sprintf("seed %d: memory and bent differ in the story:", seed); !strings.HasPrefix(text, want) || !strings.Contains(text, c.want) {
					t.Errorf("told is:\n%s\nwant %q and %q", text, want, c.want)
				}
				return
			}
			t.Error("10 lives tell no difference")
		})
	}
}
