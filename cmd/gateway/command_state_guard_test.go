package main

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/sqlite"
)

// rewrite gives a file other lines.
func rewrite(t *testing.T, file, lines string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A file without a value is nearly always the wrong one.
func TestStateImportOfNothing(t *testing.T) {
	store, file := stateWorld(t, "")
	for name, lines := range map[string]string{"nothing": "", "specs": stateSpecs, "an export of nothing": "{\"stategate\":\"state\",\"version\":1}\n{\"end\":true,\"values\":0}\n"} {
		rewrite(t, file, lines)
		want := file + " holds no value: were the functions asked, and was the right topic read? --allow-empty takes it"
		refused(t, exitFailed, "gateway: "+want, "state", "import", "--check", file)
		refused(t, exitFailed, "gateway: nothing is written: "+want, "state", "import", "--store", store, file)
		must(t, "good, 0 values\n", "", "state", "import", "--check", "--allow-empty", file)
		must(t, "", "0 values written", "state", "import", "--store", store+name, "--allow-empty", file)
	}
	root := newRoot()
	root.SetIn(strings.NewReader("\n"))
	root.SetArgs([]string{"state", "import", "--store", store, "-"})
	root.SetErr(io.Discard)
	if err := root.ExecuteContext(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "standard input holds no value") {
		t.Errorf("got %v", err)
	}
}

// Each state is told with its number of values, and lines that say the same again are told apart.
func TestStateImportCounts(t *testing.T) {
	store, file := stateWorld(t, stateLines+stateLines+strings.ReplaceAll(stateLines, "ada", "bob"))
	const counted = "  shop/cart items (io.statefun.types/int): 2 values\n  shop/cart note (shop.types/Note): 2 values\n  shop/stock left (io.statefun.types/long): 1 value\n"
	must(t, "in.jsonl: good, 5 values, and 4 lines for values that an earlier line has told\n"+counted, "", "state", "import", "--check", file)
	must(t, "", counted, "state", "import", "--store", store, file)
	rewrite(t, file, strings.ReplaceAll(stateLines, `"state":"items"`, `"state":"\u001b[2J`+strings.Repeat("x", 100)+`"`))
	must(t, "  shop/cart \\x1b[2Jxxxx", "", "state", "import", "--check", file)
}

// Two lines that tell one value differently are found before anything is written.
func TestStateImportOfFilesThatDisagree(t *testing.T) {
	other := strings.ReplaceAll(stateLines, `"value":3`, `"value":4`)
	store, file := stateWorld(t, stateLines+other)
	const want = `in.jsonl:4: state "items" of shop/cart/ada has another value on an earlier line; --overwrite lets the last one count`
	refused(t, exitFailed, want, "state", "import", "--check", file)
	refused(t, exitFailed, "gateway: nothing is written: "+filepath.Dir(file)+"/"+want, "state", "import", "--store", store, file)
	must(t, `"values":0`, "", "state", "export", "--store", store)
	must(t, "good, 3 values, and 3 lines for values", "", "state", "import", "--check", "--overwrite", file)
	rewrite(t, file, stateLines+other+stateLines)
	refused(t, exitFailed, "8 values, and 1 line that cannot be used", "state", "import", "--check", "--skip-invalid", file)
}

// What an earlier import has left, or a gateway that has run, is not mixed with a file that is to be the whole.
func TestStateImportIntoANewStore(t *testing.T) {
	store, file := stateWorld(t, stateLines)
	must(t, "", "3 values written", "state", "import", "--store", store, "--new", file)
	refused(t, exitFailed, "nothing is written: the store holds state already, such as that of shop/cart/ada: name a new store, or leave --new out", "state", "import", "--store", store, "--new", file)
	must(t, "", "0 values written, 3 were there already", "state", "import", "--store", store, file)

	store, file = stateWorld(t, stateLines)
	s := ownedStore(t, store)
	claim, err := s.Acquire(t.Context(), statestore.Member{ID: "m", Host: "h", PID: 4711, Started: time.Now()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	progress := []statestore.Progress{{Source: api.Source{Ingress: "shop/in", Topic: "adds"}, Partitions: 1, Targets: []statestore.TargetProgress{{Key: "k"}}}}
	if err := s.Commit(t.Context(), &statestore.Commit{Fence: claim.Fence, Number: 1, NextNumber: 1, Progress: progress}); err != nil {
		t.Fatal(err)
	}
	if err := s.Release(t.Context(), claim.Fence); err != nil {
		t.Fatal(err)
	}
	refused(t, exitFailed, "nothing is written: a gateway has run on the store", "state", "import", "--store", store, "--new", file)
	must(t, `"values":0`, "", "state", "export", "--store", store)
}

func ownedStore(t *testing.T, store string) *sqlite.Store {
	t.Helper()
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: strings.TrimPrefix(store, "sqlite:"), Lease: time.Hour, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// A gateway that was killed has a lease for a while, and no lock.
func TestStateImportAfterAKill(t *testing.T) {
	store, file := stateWorld(t, stateLines)
	s := ownedStore(t, store)
	if _, err := s.Acquire(t.Context(), statestore.Member{ID: "m", Host: "h", PID: 4711, Started: time.Now()}, nil); err != nil {
		t.Fatal(err)
	}
	refused(t, exitFailed, "a gateway works on the store (process 4711 on h)", "state", "import", "--store", store, file)
	if err := s.Close(); err != nil { // as the end of its process does
		t.Fatal(err)
	}
	must(t, "", "3 values written", "state", "import", "--store", store, file)
}

// A link stays a link, and what exports have left that were killed goes.
func TestStateExportThroughALink(t *testing.T) {
	store, file := stateWorld(t, stateLines)
	must(t, "", "", "state", "import", "--store", store, file)
	folder, links := t.TempDir(), t.TempDir()
	target, link := filepath.Join(folder, "out.jsonl"), filepath.Join(links, "latest")
	old, young, other := filepath.Join(folder, ".out.jsonl.part-1"), filepath.Join(folder, ".out.jsonl.part-2"), filepath.Join(folder, ".out.jsonl.part-x")
	for _, name := range []string{target, old, young, other} {
		rewrite(t, name, "before")
	}
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{old, other} {
		if err := os.Chtimes(name, time.Time{}, time.Now().Add(-2*partAge)); err != nil {
			t.Fatal(err)
		}
	}
	must(t, "", "exported 3 values", "state", "export", "--store", store, "-o", link)
	if text, err := os.ReadFile(target); err != nil || !strings.HasSuffix(string(text), "\"values\":3}\n") {
		t.Errorf("%q, %v", text, err)
	}
	if to, err := os.Readlink(link); to != target {
		t.Errorf("the link leads to %q, %v", to, err)
	}
	var left []string
	for _, pattern := range []string{filepath.Join(folder, ".*"), filepath.Join(links, ".*")} {
		names, _ := filepath.Glob(pattern)
		left = append(left, names...)
	}
	if strings.Join(left, " ") != young+" "+other {
		t.Errorf("there are %q", left)
	}
}
