package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/statefile"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
	"github.com/stategate/stategate/statestore/sqlite"
)

const stateLines = `{"function":"shop/cart","id":"ada","state":"items","type":"io.statefun.types/int","value":3,"touched":1767225600000}
{"function":"shop/cart","id":"ada","state":"note","type":"shop.types/Note","base64":"eyJ0ZXh0IjoiaGkifQ==","touched":1767225600000}
{"function":"shop/stock","id":"pen","state":"left","type":"io.statefun.types/long","value":7,"touched":1767225600000}
`

// stateSpecs are what an export tells of the states of stateLines.
const stateSpecs = `{"function":"shop/cart","state":"items","type":"io.statefun.types/int","expiration":{"mode":"never"}}
{"function":"shop/cart","state":"note","type":"shop.types/Note","expiration":{"mode":"never"}}
{"function":"shop/stock","state":"left","type":"io.statefun.types/long","expiration":{"mode":"never"}}
`

// stateWorld is a store that is not there yet, and a file to import.
func stateWorld(t *testing.T, lines string) (store, file string) {
	t.Helper()
	folder := t.TempDir()
	file = filepath.Join(folder, "in.jsonl")
	if err := os.WriteFile(file, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	return "sqlite:" + filepath.Join(folder, "s.db"), file
}

// must is a command line that does what it should.
func must(t *testing.T, wantOut, wantErr string, args ...string) (stdout string) {
	t.Helper()
	code, stdout, stderr := call(t, args...)
	if code != exitDone || wantOut != "" && !strings.Contains(stdout, wantOut) || !strings.Contains(stderr, wantErr) {
		t.Errorf("%q: exit %d, stdout:\n%s\nstderr, want %q:\n%s", args, code, stdout, wantErr, stderr)
	}
	return stdout
}

// refused is a command line that must fail.
func refused(t *testing.T, code int, want string, args ...string) {
	t.Helper()
	got, stdout, stderr := call(t, args...)
	if got != code || !strings.Contains(stderr, want) {
		t.Errorf("%q: exit %d, want %d; stdout:\n%s\nstderr, want %q:\n%s", args, got, code, stdout, want, stderr)
	}
}

func TestStateMoves(t *testing.T) {
	store, file := stateWorld(t, stateLines)
	must(t, "in.jsonl: good, 3 values\n", "", "state", "import", "--check", file)
	must(t, "", "3 values written, 0 were there already, in ", "state", "import", "--store", store, file)
	must(t, "", "0 values written, 3 were there already", "state", "import", "--store", store, file)
	out := filepath.Join(t.TempDir(), "out.jsonl")
	must(t, "", "exported 3 values of 2 addresses in ", "state", "export", "--store", store, "-o", out)
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(string(text), "\n")
	if !strings.HasPrefix(head, `{"stategate":"state","version":1,"store":"`) || rest != stateSpecs+stateLines+"{\"end\":true,\"values\":3}\n" {
		t.Errorf("exported:\n%s", text)
	}
	if stdout := must(t, "", "exported 1 value of 1 address", "state", "export", "--store", store, "--function", "shop/stock", "--function", "no/ne"); !strings.Contains(stdout, `"pen"`) || strings.Contains(stdout, `"id":"ada"`) {
		t.Errorf("exported:\n%s", stdout)
	}
	must(t, `{"end":true,"values":2}`, "", "state", "export", "--store", store, "--prefix", "ad")
	if files, _ := filepath.Glob(filepath.Join(filepath.Dir(out), ".*")); len(files) > 0 {
		t.Errorf("left behind: %q", files)
	}
}

func TestStateImportOfBadFiles(t *testing.T) {
	store, file := stateWorld(t, stateLines+"{\"function\":\"shop/cart\",\"id\":\"x\",\"state\":\"items\",\"tpye\":\"a/b\"}\n"+strings.ReplaceAll(stateLines, "ada", "bob"))
	const want = `in.jsonl:4: unknown key "tpye": did you mean type?`
	refused(t, exitFailed, want, "state", "import", "--check", file)
	refused(t, exitFailed, "gateway: nothing is written: "+filepath.Dir(file)+"/"+want, "state", "import", "--store", store, file)
	must(t, `"values":0`, "exported 0 values of 0 addresses", "state", "export", "--store", store)
	refused(t, exitFailed, "in.jsonl: 6 values, and 1 line that cannot be used", "state", "import", "--check", "--skip-invalid", file)
	must(t, "", "gateway: left out: "+filepath.Dir(file)+"/"+want, "state", "import", "--store", store, "--skip-invalid", file)
	must(t, "", "0 values written, 6 were there already, 1 line left out", "state", "import", "--store", store, "--skip-invalid", file)
	must(t, `"values":5`, "", "state", "export", "--store", store)
}

func TestStateImportConflicts(t *testing.T) {
	store, file := stateWorld(t, stateLines)
	must(t, "", "3 values written", "state", "import", "--store", store, file)
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(stateLines, `"value":3`, `"value":4`)), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, exitFailed, `in.jsonl:1: state "items" of shop/cart/ada has another value already; --overwrite replaces it`, "state", "import", "--store", store, file)
	must(t, "", "1 value written, 2 were there already", "state", "import", "--store", store, "--overwrite", file)
	must(t, `"value":4`, "", "state", "export", "--store", store)
}

// Standard input is read once: what stands before a bad line is written.
func TestStateImportOfStandardInput(t *testing.T) {
	store, _ := stateWorld(t, "")
	root := newRoot()
	root.SetIn(strings.NewReader(stateLines + "{\n"))
	root.SetArgs([]string{"state", "import", "--store", store, "-"})
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	err := root.ExecuteContext(t.Context())
	if err == nil || !strings.HasPrefix(err.Error(), "standard input:4: not JSON") || !strings.Contains(err.Error(), "not whole: 3 values written, 0 were there already") {
		t.Errorf("got %v", err)
	}
	must(t, `"values":3`, "", "state", "export", "--store", store)
}

func TestStateUsage(t *testing.T) {
	store, file := stateWorld(t, stateLines)
	for want, args := range map[string][]string{
		"state needs get, set, delete, export or import": {"state"}, "unknown command state exprot: did you mean export?": {"state", "exprot"}, "takes one file, or - for standard input; got 0": {"state", "import"},
		"got 2": {"state", "import", file, file}, "takes no arguments": {"state", "export", file}, "flag --function: want NAMESPACE/NAME": {"state", "export", "--store", store, "--function", "cart"},
		"memory: ends with the gateway that it belongs to": {"state", "export", "--store", "memory:"}, "unknown flag --overwirte: did you mean --overwrite?": {"state", "import", "--overwirte", file},
	} {
		refused(t, exitUsage, want, args...)
	}
	refused(t, exitFailed, strings.TrimPrefix(store, "sqlite:")+": there is no store in it", "state", "export", "--store", store)
	refused(t, exitFailed, "no such file", "state", "import", "--store", store, file+".none")
	if _, err := os.Stat(strings.TrimPrefix(store, "sqlite:")); !errors.Is(err, os.ErrNotExist) {
		t.Error("a store was made by commands that failed")
	}
	must(t, "", "", "state", "import", "--store", store, file)
	refused(t, exitUsage, "want the name of a file", "state", "export", "--store", store, "-o", filepath.Dir(file)+"/none/")
	refused(t, exitFailed, "no such file", "state", "export", "--store", store, "-o", filepath.Dir(file)+"/none/x")
}

// A gateway that works on the store is not disturbed, and an export beside it says what it leaves out.
func TestStateBesideAGateway(t *testing.T) {
	store, file := stateWorld(t, stateLines)
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: strings.TrimPrefix(store, "sqlite:"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	claim, err := s.Acquire(t.Context(), statestore.Member{ID: "m", Host: "h", PID: 4711, Address: "127.0.0.1:8081", Started: time.Now()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &statestore.Commit{Fence: claim.Fence, Number: 1, NextNumber: 9, Timers: []statestore.Timer{{TimerKey: statestore.TimerKey{Due: 1, Number: 1}}}, Packs: []statestore.Pack{{Number: 2, Messages: []statestore.Mail{{Number: 2}, {Number: 3}}}}}
	if err := s.Commit(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	refused(t, exitFailed, "a gateway works on the store (process 4711 on h, admin side 127.0.0.1:8081); stop it first", "state", "import", "--store", store, file)
	must(t, "", "a gateway works on the store (process 4711 on h, admin side 127.0.0.1:8081): the file is as of now", "state", "export", "--store", store)
	must(t, "", "the store also holds 2 messages that wait, 1 delayed message: they are not exported", "state", "export", "--store", store)

	// With --wait the import begins when the gateway has given the store up.
	waiting := newWatch("waiting for the gateway")
	ended := make(chan int, 1)
	go func() {
		ended <- execute(t.Context(), []string{"state", "import", "--store", store, "--wait", file}, io.Discard, waiting)
	}()
	<-waiting.seen
	if err := s.Release(t.Context(), claim.Fence); err != nil {
		t.Fatal(err)
	}
	if code := <-ended; code != exitDone {
		t.Errorf("exit %d:\n%s", code, waiting.text.String())
	}
	must(t, `"values":3`, "", "state", "export", "--store", store)
}

// watch tells when something was written to it.
type watch struct {
	want string
	text bytes.Buffer
	seen chan struct{}
	told bool
}

func newWatch(want string) *watch { return &watch{want: want, seen: make(chan struct{})} }

func (w *watch) Write(p []byte) (int, error) {
	w.text.Write(p)
	if !w.told && strings.Contains(w.text.String(), w.want) {
		w.told = true
		close(w.seen)
	}
	return len(p), nil
}

// interrupted is a store that is read when Ctrl-C comes.
type interrupted struct {
	statestore.Store
	interrupt func()
}

func (s interrupted) Walk(ctx context.Context, w statestore.Walk) error {
	tell := w.Address
	w.Address = func(a statestore.AddressState) error { s.interrupt(); return tell(a) }
	return s.Store.Walk(ctx, w)
}

func TestStateExportInterrupted(t *testing.T) {
	store, file := stateWorld(t, stateLines)
	must(t, "", "", "state", "import", "--store", store, file)
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: strings.TrimPrefix(store, "sqlite:"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	out := filepath.Join(t.TempDir(), "out.jsonl")
	if err := os.WriteFile(out, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	for output, want := range map[string]string{"-": "interrupted after 2 values: the output is not whole", out: "interrupted after 2 values: " + out + " is not written"} {
		ctx, cancel := context.WithCancel(t.Context())
		cmd := newStateExport()
		cmd.SetErr(io.Discard)
		cmd.SetOut(io.Discard)
		cmd.SetContext(ctx)
		err := export(cmd, s, statefile.ExportConfig{Store: interrupted{s, cancel}, Now: time.Now()}, output)
		if err == nil || err.Error() != want {
			t.Errorf("to %s: got %v, want %q", output, err, want)
		}
	}
	if text, err := os.ReadFile(out); string(text) != "before" || err != nil {
		t.Errorf("%q, %v", text, err)
	}
	if files, _ := filepath.Glob(filepath.Join(filepath.Dir(out), ".*")); len(files) > 0 {
		t.Errorf("left behind: %q", files)
	}
}

func TestStateImportInterrupted(t *testing.T) {
	store, file := stateWorld(t, stateLines)
	must(t, "", "", "state", "import", "--store", store, file)
	s, err := sqlite.Open(t.Context(), sqlite.Config{Path: strings.TrimPrefix(store, "sqlite:"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, step := range map[string]func(i *importing, ctx context.Context) error{
		"interrupted":                     (*importing).checkAlone,
		"nothing is written: interrupted": func(i *importing, ctx context.Context) error { return i.checkFirst(ctx, nil) },
		"interrupted\nnot whole: 0 values written, 0 were there already": (*importing).run,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cmd := newStateImport()
		cmd.SetErr(io.Discard)
		i := &importing{cmd: cmd, cfg: config.Default(), in: pressing{strings.NewReader(stateLines), cancel}, name: "f", store: s, patience: time.Minute}
		if err := step(i, ctx); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("got %v, want %q", err, name)
		}
	}
	must(t, "", "3 values written, 0 were there already", "state", "import", "--store", store+"2", file)
}

// pressing is a file that is read when Ctrl-C comes.
type pressing struct {
	io.Reader
	interrupt func()
}

func (p pressing) Read(b []byte) (int, error) {
	p.interrupt()
	return p.Reader.Read(b)
}

// At a Ctrl-C an import ends also while it waits for what nobody writes.
func TestStateImportInterruptedWhileItWaits(t *testing.T) {
	store, _ := stateWorld(t, "")
	ctx, cancel := context.WithCancel(t.Context())
	in, written := io.Pipe()
	defer written.Close()
	root := newRoot()
	root.SetIn(in)
	root.SetArgs([]string{"state", "import", "--store", store, "-"})
	root.SetOut(io.Discard)
	root.SetErr(io.Discard)
	go func() {
		for range 2 { // the second is taken when the import has begun to read
			_, _ = io.WriteString(written, stateLines)
		}
		cancel()
	}()
	if err := root.ExecuteContext(ctx); err == nil || !strings.HasPrefix(err.Error(), "interrupted\n") {
		t.Errorf("got %v", err)
	}
}

// renewed is a store that tells when its lease is renewed.
type renewed struct {
	statestore.Store
	told chan struct{}
}

func (s renewed) Renew(ctx context.Context, fence statestore.Fence) error {
	err := s.Store.Renew(ctx, fence)
	s.told <- struct{}{}
	return err
}

// waiting is a file that goes on when the lease was renewed twice.
type waiting struct {
	io.Reader
	told chan struct{}
}

func (w waiting) Read(b []byte) (int, error) {
	<-w.told
	<-w.told
	return w.Reader.Read(b)
}

// An import that waits for its input stays the owner.
func TestStateImportKeepsItsLease(t *testing.T) {
	cfg := config.Default()
	cfg.Lease = 100 * time.Millisecond
	s := renewed{memory.New(memory.Config{Lease: cfg.Lease}), make(chan struct{}, 1000)}
	var stderr bytes.Buffer
	cmd := newStateImport()
	cmd.SetErr(&stderr)
	i := &importing{cmd: cmd, cfg: cfg, in: waiting{strings.NewReader(stateLines), s.told}, name: "f", store: s, patience: time.Minute}
	if err := i.run(t.Context()); err != nil || !strings.HasPrefix(stderr.String(), "3 values written") {
		t.Errorf("got %v, %q", err, stderr.String())
	}
}

// silent is a store whose owner has no lease any more and does not go.
type silent struct{ statestore.Store }

func (s silent) Acquire(ctx context.Context, _ statestore.Member, _ []string) (*statestore.Claim, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestStateImportDoesNotWaitForEver(t *testing.T) {
	i := &importing{cmd: newStateImport(), cfg: config.Default(), name: "f", store: silent{memory.New(memory.Config{})}, patience: time.Millisecond}
	if err := i.run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "another process owns the store and says nothing") {
		t.Errorf("got %v", err)
	}
}
