package simulation_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	guardsFlag = flag.Bool("guards", false, "take each guard out of a copy of the repository and see that lives find it")
	guardFlag  = flag.String("guard", "", "the same with the guard of this name alone")
	baseFlag   = flag.Uint64("base", 0, "with -guards: seed of the first life; 0: drawn")
	basesFlag  = flag.Int("bases", 1, "with -guards: from how many seeds each guard must be found")
	partFlag   = flag.Int("part", 1, "with -guards: only one in so many of the guards, which ones the first seed says")
)

// intactLives are those that the copy must live through with all its guards; the ordinary tests play more.
var intactLives = map[string]int{"memory": 200, "sqlite": 20, "postgres": 10, keys: 200}

// keys are lives of another kind, which are played elsewhere: events that are sent again and again (dispatcher/machine: TestOnceLives).
const keys = "keys"

func finders() []string { return append(backendNames(), keys) }

const (
	guardLives   = 2000            // within which a guard that is gone must be found
	guardTimeMax = 4 * time.Minute // of the lives of one guard
	guardSlots   = 2               // copies that are worked on side by side
)

// guard is a patch that takes one guard out of the shipped code. The lines above its diff say which.
type guard struct {
	name string // of its file
	path string
	what string // that it takes out
	rule string // of the documents, which nothing keeps any more

	store string // of the lives that must find it
}

// guardPatches are all patches, by name.
func guardPatches(t *testing.T, root string) []guard {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, "testdata", "mutation", "*.patch"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no patches of guards: %v", err)
	}
	var all []guard
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		g := guard{name: strings.TrimSuffix(filepath.Base(path), ".patch"), path: path}
		head, _, found := strings.Cut(string(text), "\n--- ")
		for _, line := range strings.Split(head, "\n") {
			key, value, _ := strings.Cut(line, ": ")
			switch key {
			case "guard":
				g.what = value
			case "rule":
				g.rule = value
			case "finder":
				g.store = strings.TrimPrefix(strings.TrimPrefix(value, "lives on "), "lives of ")
			}
		}
		if !found || g.what == "" || g.rule == "" || !slices.Contains(finders(), g.store) {
			t.Errorf("%s: above the diff it must say `guard: ...`, `rule: ...` and `finder: lives on memory` (or %s), or `finder: lives of keys`", path, strings.Join(backendNames(), ", "))
		}
		all = append(all, g)
	}
	return all
}

// repositoryRoot is the folder of the checkout. Without one (an archive of the sources) there is no git to copy and patch by.
func repositoryRoot(t *testing.T) string {
	t.Helper()
	root, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		t.Skipf("not a git checkout: %v", err)
	}
	return strings.TrimSpace(string(root))
}

// gitApply applies a patch to a folder, without any fuzz.
func gitApply(folder string, flags ...string) error {
	cmd := exec.Command("git", append([]string{"apply"}, flags...)...)
	cmd.Dir = folder
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("it does not fit the code any more: %w: %s", err, text)
	}
	return nil
}

// The patches follow the code: whoever changes a guard sees at once that its patch must change too.
func TestGuardPatchesFit(t *testing.T) {
	root := repositoryRoot(t)
	for _, g := range guardPatches(t, root) {
		if err := gitApply(root, "--check", g.path); err != nil {
			t.Errorf("testdata/mutation/%s.patch: %v", g.name, err)
		}
	}
}

// TestGuards shows that the lives find what they are for: without any one of the guards they fail, and by a checker. It takes
// minutes, so it is asked for.
func TestGuards(t *testing.T) {
	if !*guardsFlag && *guardFlag == "" {
		t.Skip("it takes minutes: run it with -guards")
	}
	root := repositoryRoot(t)
	all := guardPatches(t, root)
	if *guardFlag != "" {
		all = slices.DeleteFunc(all, func(g guard) bool { return g.name != *guardFlag })
		if len(all) == 0 {
			t.Fatalf("there is no testdata/mutation/%s.patch", *guardFlag)
		}
	}
	all = withServer(t, all)
	base := *baseFlag
	if base == 0 {
		base = 1 + rand.Uint64N(1<<40)
	}
	if *guardFlag == "" {
		if all = partOf(all, max(*partFlag, 1), base); len(all) == 0 {
			t.Fatalf("-part=%d leaves nothing to try", *partFlag)
		}
	}
	t.Logf("%d guards; play it again with -base=%d", len(all), base)
	intact := newWorkshop(t, root)
	intact.mustLive(t, base, all)

	jobs := make(chan job)
	findings := make([]finding, len(all)**basesFlag)
	var wait sync.WaitGroup
	for range min(guardSlots, len(all)) {
		w := newWorkshop(t, root)
		wait.Add(1)
		go func() {
			defer wait.Done()
			for j := range jobs {
				f := w.without(j.guard, j.base, intact)
				findings[j.at] = f
				t.Logf("%s on %s, from %d: found %v after %d lives, %.0f s", f.name, f.store, f.base, f.err == nil, f.found.after, f.took.Seconds())
			}
		}()
	}
	for n := range *basesFlag {
		for i, g := range all {
			jobs <- job{n*len(all) + i, g, base + uint64(n)<<41}
		}
	}
	close(jobs)
	wait.Wait()
	judgeFindings(t, findings)
}

// withServer leaves out those whose finder needs a server, where none is installed.
func withServer(t *testing.T, all []guard) []guard {
	t.Helper()
	needs := func(g guard) bool { return g.store == "postgres" }
	if !slices.ContainsFunc(all, needs) {
		return all
	}
	there := false
	t.Run("PostgreSQL", func(t *testing.T) {
		newOnServer(t) // skips, or fails where servers are required
		there = true
	})
	if there {
		return all
	}
	return slices.DeleteFunc(all, needs)
}

// partOf is every n-th of the guards, from one on that the seed says: with fresh seeds each has its turn.
func partOf(all []guard, n int, seed uint64) (part []guard) {
	for i := int(seed % uint64(n)); i < len(all); i += n {
		part = append(part, all[i])
	}
	return part
}

type job struct {
	at    int
	guard guard
	base  uint64
}

// finding is what became of the lives without a guard.
type finding struct {
	guard
	base  uint64
	found failedLife
	err   error
	took  time.Duration
}

// judgeFindings prints the table, and fails for each guard that was not found.
func judgeFindings(t *testing.T, findings []finding) {
	t.Helper()
	table := &strings.Builder{}
	fmt.Fprintf(table, "%-24s %-7s %6s  %-12s %-14s %5s  %s\n", "guard", "store", "lives", "checker", "seed", "s", "rule")
	for _, f := range findings {
		lives, checker, seed := strconv.Itoa(f.found.after), f.found.checker, strconv.FormatUint(f.found.seed, 10)
		if f.err != nil {
			lives, checker, seed = "-", "NOT FOUND", "-"
			t.Errorf("testdata/mutation/%s.patch (%s), lives from -base=%d: %v", f.name, f.what, f.base, f.err)
		}
		fmt.Fprintf(table, "%-24s %-7s %6s  %-12s %-14s %5.1f  %s\n", f.name, f.store, lives, checker, seed, f.took.Seconds(), f.rule)
	}
	for _, f := range findings {
		if f.err == nil {
			fmt.Fprintf(table, "\n%s: %s\n  %s\n", f.name, f.what, f.found.text)
		}
	}
	t.Logf("guards that were taken out, after how many lives that was found, and how:\n%s", table)
}

// workshop is a copy of the repository in which guards are taken out, one after the other.
type workshop struct{ folder, binary, cache string }

// newWorkshop copies what the repository holds, uncommitted changes too, and nothing that it ignores.
func newWorkshop(t *testing.T, root string) *workshop {
	t.Helper()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = root
	names, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	w := &workshop{folder: t.TempDir(), binary: filepath.Join(t.TempDir(), "simulation.test"), cache: filepath.Join(root, ".cache")}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(root, name))
		if os.IsNotExist(err) {
			continue // removed and not committed
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(w.folder, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// mustLive builds the copy as it is, and plays lives on every store that is needed: without that nothing else counts.
func (w *workshop) mustLive(t *testing.T, base uint64, all []guard) {
	t.Helper()
	if err := w.build(); err != nil {
		t.Fatal(err)
	}
	for _, store := range finders() {
		if !slices.ContainsFunc(all, func(g guard) bool { return g.store == store }) {
			continue
		}
		if failed, text := w.play(store, intactLives[store], base); failed != nil || text != "" {
			t.Fatalf("the copy does not live on %s with all its guards:\n%s", store, text)
		}
	}
}

// without takes one guard out, plays lives until one fails, and puts the guard back.
func (w *workshop) without(g guard, base uint64, intact *workshop) (f finding) {
	f = finding{guard: g, base: base}
	began := time.Now()
	defer func() { f.took = time.Since(began) }()
	if f.err = gitApply(w.folder, g.path); f.err != nil {
		return f
	}
	defer func() {
		if err := gitApply(w.folder, "-R", g.path); err != nil {
			f.err = err
		}
	}()
	if f.err = w.build(); f.err != nil {
		return f
	}
	failed, text := w.play(g.store, guardLives, base)
	// A life that panics is no checker's finding: those behind it are played.
	for failed != nil && failed.checker == "panic" && failed.after < guardLives {
		before := failed.after
		if failed, text = w.play(g.store, guardLives-before, base+uint64(before)); failed != nil {
			failed.after += before
		}
	}
	switch {
	case failed == nil && text == "":
		f.err = fmt.Errorf("%d lives find nothing wrong", guardLives)
	case failed == nil:
		f.err = fmt.Errorf("it fails, but no life did:\n%s", text)
	case failed.checker == "panic":
		f.err = fmt.Errorf("life %d panics, which is no checker's finding:\n%s", failed.seed, text)
	default:
		f.found = *failed
		if again, _ := intact.play(g.store, 1, failed.seed); again != nil {
			f.err = fmt.Errorf("life %d fails with all guards as well: %s", failed.seed, again.text)
		}
	}
	return f
}

// build makes the test binaries of the simulation and of the lives of keys. Without the folder's name in them all copies, of this run and of
// later ones, share what was built: else each run would leave gigabytes in the build cache.
func (w *workshop) build() error {
	for binary, folder := range map[string]string{w.binary: "./dispatcher/simulation", w.binary + keys: "./dispatcher/machine"} {
		cmd := exec.Command("go", "test", "-c", "-trimpath", "-p=1", "-ldflags=-s -w", "-o", binary, folder)
		cmd.Dir = w.folder
		if text, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("it is not built: %w\n%s", err, text)
		}
	}
	return nil
}

// play plays lives from a seed on until one fails. No failed life and no text: all went well.
func (w *workshop) play(store string, lives int, first uint64) (failed *failedLife, text string) {
	ctx, cancel := context.WithTimeout(context.Background(), guardTimeMax)
	defer cancel()
	if store == keys {
		return w.playKeys(ctx, lives, first)
	}
	cmd := exec.CommandContext(ctx, w.binary, "-test.run=^TestLives$", "-test.v", "-lives="+strconv.Itoa(lives), fmt.Sprintf("-first=%d", first), fmt.Sprintf("-inside=%v", *insideFlag))
	if store != "memory" {
		cmd.Args = append(cmd.Args, "-store="+store)
	}
	cmd.Dir = filepath.Join(w.folder, "dispatcher", "simulation")
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1") // others are at work beside it
	if os.Getenv("STATEGATE_TEST_CACHE") == "" {
		cmd.Env = append(cmd.Env, "STATEGATE_TEST_CACHE="+w.cache) // servers that are installed there
	}
	out, err := cmd.CombinedOutput()
	if err == nil && bytes.Contains(out, []byte("--- PASS: TestLives")) {
		return nil, ""
	}
	if ctx.Err() != nil {
		return nil, fmt.Sprintf("it does not end within %v\n%s", guardTimeMax, out)
	}
	return readFailedLife(out), string(out)
}

// playKeys is play for lives of keys.
func (w *workshop) playKeys(ctx context.Context, lives int, first uint64) (failed *failedLife, text string) {
	cmd := exec.CommandContext(ctx, w.binary+keys, "-test.run=^TestOnceLives$", "-test.v", "-once-lives="+strconv.Itoa(lives), fmt.Sprintf("-once-first=%d", first))
	cmd.Dir = filepath.Join(w.folder, "dispatcher", "machine")
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	out, err := cmd.CombinedOutput()
	if err == nil && bytes.Contains(out, []byte("--- PASS: TestOnceLives")) {
		return nil, ""
	}
	return readFailedLife(out), string(out)
}

// failedLife is what TestLives says of a life that failed.
type failedLife struct {
	seed    uint64
	after   int    // lives that were played, with this one
	checker string // "panic": none
	text    string
}

var failedLifeText = regexp.MustCompile(`life (?:failed|panicked): seed=(\d+) after=(\d+) checker=(\S+): (.*)`)

func readFailedLife(out []byte) *failedLife {
	m := failedLifeText.FindSubmatch(out)
	if m == nil {
		return nil
	}
	seed, err1 := strconv.ParseUint(string(m[1]), 10, 64)
	after, err2 := strconv.Atoi(string(m[2]))
	if err1 != nil || err2 != nil {
		return nil
	}
	return &failedLife{seed: seed, after: after, checker: string(m[3]), text: string(m[4])}
}
