package simulation_test

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	seedFlag      = flag.Uint64("seed", 0, "play the life of this seed alone: when it fails, make it smaller and tell its story")
	shrunkFlag    = flag.String("shrunk", "", "with -seed: only this part of the life, as a run that failed has printed it")
	detailsFlag   = flag.Bool("details", false, "with -seed: tell everything")
	livesFlag     = flag.Int("lives", livesDefault, "how many lives to play; only those count in which enough happens")
	firstFlag     = flag.Uint64("first", 0, "seed of the first life; 0: a fresh one")
	insideFlag    = flag.Bool("inside", true, "let the machine count its own books after each step; without it only what is seen from outside is judged")
	clientsFlag   = flag.Bool("clients", true, "let clients send events; without them a seed is the life that it was before there were any")
	operatorsFlag = flag.Bool("operators", true, "let operators pause, resume, retry, skip, replay and edit")
	storeFlag     = flag.String("store", "memory", "what the lives are played on: "+strings.Join(backendNames(), ", "))
)

// tableFrom is how many lives must have left no hole in the table of faults.
const tableFrom = 5000

// TestLives plays lives from seeds: members of the real machine on a real store, with faults of every kind in every phase, against a
// model that knows what must come out. A seed that fails is printed; -seed plays it again, makes it smaller and tells its story.
func TestLives(t *testing.T) {
	open, ok := backends[*storeFlag]
	if !ok {
		t.Fatalf("-store %s: there are %s", *storeFlag, strings.Join(backendNames(), ", "))
	}
	b := open(t)
	if *seedFlag != 0 {
		playAgain(t, b)
		return
	}
	playMany(t, b, *livesFlag, *firstFlag)
}

// sqliteLives are played on SQLite by every run of the tests.
const sqliteLives = 50

// TestLivesOnSQLite plays some on the store that users have.
func TestLivesOnSQLite(t *testing.T) {
	lives := sqliteLives
	if testing.Short() || underRace {
		lives /= 5
	}
	playMany(t, newOnSQLite(t), lives, 0)
}

// playMany plays until so many lives have counted.
func playMany(t *testing.T, b backend, lives int, first uint64) {
	t.Helper()
	if first == 0 {
		first = rand.Uint64N(1<<40) + 1
	}
	t.Logf("lives on %s from -first=%d on", b.name(), first)
	r := &run{next: first, lives: lives}
	began := time.Now()
	var wait sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wait.Add(1)
		go func() { defer wait.Done(); r.play(b) }()
	}
	stop := r.report(t)
	wait.Wait()
	stop()
	took := time.Since(began)
	if r.wrong != nil {
		what := "failed"
		if r.wrong.checker == "panic" {
			what = "panicked"
		}
		t.Fatalf("life %s: seed=%d after=%d checker=%s: %s, at step %d\nplay it again, smaller, with its story: %s",
			what, r.seed, r.wrongAt, strings.ReplaceAll(r.wrong.checker, " ", "-"), r.wrong.text, r.wrong.step, again(b, r.seed))
	}
	t.Logf("%d lives count of %d that were played, %d messages, %d faults that took effect, %d takeovers, in %v: %.0f a second\n%v",
		r.counted, r.played, r.messages, r.hits, r.sum.takeovers, took.Round(time.Millisecond), float64(r.played)/took.Seconds(), &r.sum.table)
	if r.played > 2*r.counted+20 {
		t.Errorf("only %d of %d lives count: worlds or faults are too small", r.counted, r.played)
	}
	r.judge(t, b)
}

func again(b backend, seed uint64) string {
	text := fmt.Sprintf("go test ./dispatcher/simulation -run 'TestLives$' -v -seed=%d", seed)
	if b.name() != "memory" {
		text += " -store=" + b.name()
	}
	return text
}

// run is many lives, on all cores.
type run struct {
	mu              sync.Mutex // guards all
	next            uint64
	lives           int
	played, counted int
	messages, hits  int
	sum             coverage
	wrong           *failure
	wrongAt         int
	seed            uint64
}

// progressEvery is how often a long run says how far it is, with -v.
const progressEvery = 10 * time.Second

// report tells how far the run is. The answer ends it.
func (r *run) report(t *testing.T) (stop func()) {
	done, quit := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				r.mu.Lock()
				counted, messages := r.counted, r.messages
				r.mu.Unlock()
				t.Logf("%d of %d lives, %d messages", counted, r.lives, messages)
			}
		}
	}()
	return func() { close(quit); <-done }
}

// draw is the seed of the next life; ok is false when there are enough.
func (r *run) draw() (seed uint64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.counted >= r.lives || r.wrong != nil {
		return 0, false
	}
	r.next++
	return r.next - 1, true
}

// lifeMax is how long a life may take; most take some hundredths of a second.
const lifeMax = 5 * time.Minute

func (r *run) play(b backend) {
	for seed, ok := r.draw(); ok; seed, ok = r.draw() {
		watch := time.AfterFunc(lifeMax, func() { panic(fmt.Sprintf("the life of seed %d does not end", seed)) })
		l, wrong := play(&plan{seed: seed, backend: b})
		watch.Stop()
		r.note(seed, l, wrong)
	}
}

func (r *run) note(seed uint64, l *life, wrong *failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.played++
	if wrong != nil {
		if r.wrong == nil {
			r.wrong, r.wrongAt, r.seed = wrong, r.played, seed
		}
		return
	}
	r.messages += l.messages
	r.hits += l.hits
	r.sum.add(&l.seen)
	if l.counts() {
		r.counted++
	}
}

// judge fails when the lives went past what they are for.
func (r *run) judge(t *testing.T, b backend) {
	t.Helper()
	if r.lives >= tableFrom {
		for _, hole := range r.sum.table.holes() {
			t.Errorf("in %d lives there was %s", r.counted, hole)
		}
	}
	if r.lives < 200 {
		return
	}
	for name, n := range map[string]int{
		"takeovers": r.sum.takeovers, "spilled chunks": r.sum.spills, "outputs skipped by the cursor": r.sum.skipped, "timers": r.sum.timers,
		"cancellations": r.sum.cancels, "kept messages": r.sum.kept, "trims": r.sum.trimmed, "dead letters": r.sum.dead, "fenced commits without outputs": r.sum.bare,
		"acknowledged events": r.sum.acknowledged, "events taken back": r.sum.withdrawn, "events of which nobody knows": r.sum.unknown, "events sent again": r.sum.resent, "replies": r.sum.replies, "clients of what is set aside": r.sum.unheard,
		"pauses": r.sum.paused, "ends of pauses": r.sum.resumed, "addresses tried at once": r.sum.retried, "skipped messages": r.sum.skips, "decisions about lanes": r.sum.decided,
		"replayed letters": r.sum.replays, "edited states": r.sum.edits, "edits that waited": r.sum.editsWaited, "edits behind a commit": r.sum.editsBehind, "forgotten ingresses": r.sum.forgotten,
	} {
		if n < 10 {
			t.Errorf("only %d %s in all lives", n, name)
		}
	}
	for f := range faultKinds {
		if !r.sum.table.any(f) {
			t.Errorf("no %v in all lives", f)
		}
	}
}

// playAgain plays one life, and tells what it was.
func playAgain(t *testing.T, b backend) {
	p := &plan{seed: *seedFlag, backend: b}
	if *shrunkFlag != "" {
		only, err := parseShrunk(*shrunkFlag)
		if err != nil {
			t.Fatal(err)
		}
		p.only = only
	}
	_, wrong := play(p)
	if wrong != nil && p.only == nil {
		p.only = shrink(p, wrong, shrinkMax)
	}
	p.tell, p.details = true, *detailsFlag
	l, told := play(p)
	smaller := ""
	if p.only != nil {
		smaller = fmt.Sprintf(", of a smaller part of it: its last failure may be told in other words (%v)", p.only)
	}
	t.Logf("the story of seed %d%s\n%s", p.seed, smaller, l.story)
	switch {
	case wrong == nil:
		t.Logf("nothing was wrong: %d steps, %d messages, %d faults that took effect", l.at, l.messages, l.hits)
	case told == nil:
		t.Fatalf("seed %d: %v; made smaller to %v it does not fail again: a life that depends on more than its seed", p.seed, wrong, p.only)
	default:
		t.Fatalf("seed %d: %v\nthe same, smaller: %s -shrunk='%v'", p.seed, told, again(b, p.seed), p.only)
	}
}

// TestSeeds plays the lives that once showed something.
func TestSeeds(t *testing.T) {
	file, err := os.Open("testdata/seeds.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	lines, n := bufio.NewScanner(file), 0
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "#")
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		text, whole := strings.CutPrefix(text, "whole ")
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("testdata/seeds.txt: %v", err)
		}
		if _, wrong := play(&plan{seed: seed, backend: inMemory{}, clientless: !whole, unattended: !whole}); wrong != nil {
			t.Errorf("seed %d: %v\nplay it again, smaller, with its story: %s -clients=%v -operators=%v", seed, wrong, again(inMemory{}, seed), whole, whole)
		}
		n++
	}
	if err := lines.Err(); err != nil || n == 0 {
		t.Fatalf("%d seeds, %v", n, err)
	}
}

// TestLivesRepeat: the same facts always give the same work, or a seed would not tell its story twice.
func TestLivesRepeat(t *testing.T) {
	for seed := uint64(1); seed <= 20; seed++ {
		p := plan{seed: seed, backend: inMemory{}, tell: true, details: true}
		first, wrong1 := play(&p)
		second, wrong2 := play(&p)
		if wrong1 != nil || wrong2 != nil {
			t.Fatalf("seed %d: %v, %v", seed, wrong1, wrong2)
		}
		if a, b := first.story.String(), second.story.String(); a != b {
			t.Errorf("seed %d tells two stories:\n%s", seed, cmp.Diff(strings.Split(a, "\n"), strings.Split(b, "\n")))
		}
	}
}
