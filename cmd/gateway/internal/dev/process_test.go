package dev

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/cmd/gateway/internal/module"
)

// testProcess is one whose guard only passes the command on.
func testProcess(t *testing.T, out *bytes.Buffer, spec module.Process) (p *process, shown func() string) {
	t.Helper()
	screen := newScreen(out, false)
	spec.Name, spec.Directory = "p", t.TempDir()
	return &process{spec: spec, guard: []string{"env"}, out: screen, ready: make(chan struct{})}, func() string {
		screen.close()
		return out.String()
	}
}

// Pauses double up to their bound, as long as no life is a long one.
func TestRestartsGrowRarer(t *testing.T) {
	var out bytes.Buffer
	p, shown := testProcess(t, &out, module.Process{
		Command:      []string{"sh", "-c", `n=$(cat n 2>/dev/null); echo "life $((n+1))"; echo $((n+1)) >n; test "$n" != 4 || { echo up; exec sleep 1000; }; exit 3`},
		RestartAfter: 400 * time.Millisecond, RestartAtMost: time.Second, Ready: module.Ready{Line: "up"},
	})
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx) }()
	select {
	case <-p.ready:
	case <-time.After(time.Minute):
		t.Error("it is never ready")
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	const runs = "runs   p; kill ends it, and it is started again\n"
	want := ""
	for i, pause := range []string{"400ms", "800ms", "1s", "1s"} {
		want += runs + "p | life " + string(rune('1'+i)) + "\nended  p (exit status 3); it is started again in " + pause + "\n"
	}
	said := regexp.MustCompile(`kill -- -[0-9]+ `).ReplaceAllString(shown(), "kill ")
	if diff := cmp.Diff(want+runs+"p | life 5\np | up\n", said); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// With --once nothing is started again: the check has failed.
func TestOnceEndsWithItsProcess(t *testing.T) {
	var out bytes.Buffer
	p, shown := testProcess(t, &out, module.Process{Command: []string{"sh", "-c", "printf 'no line end'; exit 0"}})
	p.once = true
	if err := p.run(t.Context()); err == nil || err.Error() != "process p has ended: exit status 0" {
		t.Errorf("got %v", err)
	}
	if got := shown(); got != "p | no line end\n" {
		t.Errorf("got %q", got)
	}
}

// "go run" takes away what it has built when dev ends.
func TestGoRunLeavesNothing(t *testing.T) {
	var out bytes.Buffer
	built := t.TempDir()
	p, shown := testProcess(t, &out, module.Process{Command: []string{"go", "run", "main.go"}, Ready: module.Ready{Line: "up"}})
	const text = "package main\n\nimport \"time\"\n\nfunc main() {\n\tprintln(\"up\")\n\ttime.Sleep(time.Hour)\n}\n"
	if err := os.WriteFile(filepath.Join(p.spec.Directory, "main.go"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	p.vars = []string{"GOTMPDIR=" + built, "GOWORK=off"}
	ctx, end := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.run(ctx) }()
	select {
	case <-p.ready:
	case <-time.After(2 * time.Minute):
		t.Error("it is never ready")
	}
	during, err := os.ReadDir(built)
	if err != nil || len(during) == 0 {
		t.Errorf("nothing is built there: %v", err)
	}
	end()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if after, err := os.ReadDir(built); err != nil || len(after) != 0 {
		t.Errorf("%d folders are left, %v; shown: %s", len(after), err, shown())
	}
}

// "go run" is asked to end in the way in which it takes away what it has built.
func TestCommandThatEndsGoRun(t *testing.T) {
	p := &process{spec: module.Process{Command: []string{"go", "run", "."}}}
	if got := endedBy(p.asks(), -17); got != "kill -INT -- -17" {
		t.Errorf("got %q", got)
	}
}

// A line without end is shown in pieces and holds nobody up.
func TestLongLines(t *testing.T) {
	var out bytes.Buffer
	p, shown := testProcess(t, &out, module.Process{})
	p.lines(strings.NewReader(strings.Repeat("x", 2*lineBytesMax+1) + "\r\ny\n"))
	piece := "p | " + strings.Repeat("x", lineBytesMax) + "\n"
	if got := shown(); got != piece+piece+"p | x\np | y\n" {
		t.Errorf("got %d bytes", len(got))
	}
}

func TestReadiness(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	port := server.Listener.Addr().(*net.TCPAddr).Port
	for name, ready := range map[string]module.Ready{"url": {URL: server.URL}, "port": {Port: port}, "at once": {}} {
		p := &process{spec: module.Process{Ready: ready}, ready: make(chan struct{})}
		p.awaitReady(t.Context())
		select {
		case <-p.ready:
		default:
			t.Errorf("%s: not ready", name)
		}
	}
	if asked.Load() != 3 {
		t.Errorf("asked %d times, want 3: until it answers 200", asked.Load())
	}
	server.Close()
	ended, end := context.WithCancel(t.Context())
	end()
	for name, ready := range map[string]module.Ready{"url": {URL: server.URL}, "port": {Port: port}, "line": {Line: "x"}} {
		p := &process{spec: module.Process{Ready: ready}, ready: make(chan struct{})}
		p.awaitReady(ended)
		select {
		case <-p.ready:
			t.Errorf("%s: ready, and nobody is there", name)
		default:
		}
	}
}
