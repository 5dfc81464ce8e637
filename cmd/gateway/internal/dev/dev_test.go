package dev_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testfunction"
)

// helper is a process with a child of its own. Both say who they are.
const helper = `kind: io.statefun.kafka.v1/ingress
spec:
  id: test/in
  address: kafka.invalid:9092
  properties: [{security.protocol: SASL_SSL}]
  consumerGroupId: test
  startupPosition: {type: earliest}
  topics: [{topic: events, valueType: test/event, targets: [test/count]}]
---
kind: io.statefun.endpoints.v2/http
spec: {functions: test/*, urlPathTemplate: "%s/{function.name}"}
---
kind: io.statefun.kafka.v1/egress
spec: {id: test/out, address: "kafka.invalid:9092", deliverySemantic: {type: exactly-once, transactionTimeout: 10s}}
---
kind: io.stategate.dev.v1/process
spec:
  name: helper
  command: [sh, -c, 'sleep 1000 & echo "pids $$ $!"; echo "port $PORT in $(basename "$PWD") says $WORD"; wait']
  directory: beside
  environment: {WORD: hello}
  freePort: PORT
  ready: {line: says hello}
  restart: {after: 10ms}
`

// running is "gateway dev" in a process of its own.
type running struct {
	t         *testing.T
	log       string
	temporary string // the folder of its temporary files
	*testgateway.Process
}

func start(t *testing.T) *running {
	t.Helper()
	functions := httptest.NewServer(&testfunction.Handler{})
	t.Cleanup(functions.Close)
	folder := t.TempDir()
	if err := os.Mkdir(filepath.Join(folder, "beside"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "module.yaml"), fmt.Appendf(nil, helper, functions.URL), 0o644); err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, log: filepath.Join(folder, "log"), temporary: filepath.Join(folder, "tmp")}
	cmd := exec.Command(testgateway.Binary(t), "dev", "--admin", "127.0.0.1:0")
	if err := os.Mkdir(r.temporary, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd.Dir, cmd.Env = folder, testgateway.CleanEnviron("TMPDIR="+r.temporary)
	var err error
	if r.Process, err = testgateway.Spawn("dev", r.log, cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.End()
		if t.Failed() {
			t.Logf("what dev showed:\n%s", r.shown())
		}
	})
	r.until("what to paste", `curl (http://\S+)/ `)
	return r
}

func (r *running) shown() string {
	text, err := os.ReadFile(r.log)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

// until waits for what is shown to hold n matches, and answers the last one.
func (r *running) untilN(what, pattern string, n int) (match []string) {
	r.t.Helper()
	re := regexp.MustCompile(pattern)
	testgateway.Poll(r.t, what, func() (bool, string) {
		all := re.FindAllStringSubmatch(r.shown(), -1)
		if len(all) < n {
			if !r.Runs() {
				r.t.Fatalf("%s: dev has ended", what)
			}
			return false, r.shown()
		}
		match = all[len(all)-1]
		return true, ""
	})
	return match
}

func (r *running) until(what, pattern string) []string { return r.untilN(what, pattern, 1) }

// pids are those of the helper's n-th life: its own and its child's.
func (r *running) pids(n int) (out [2]int) {
	m := r.untilN("the helper", `helper \| pids (\d+) (\d+)`, n)
	for i := range out {
		out[i], _ = strconv.Atoi(m[i+1])
	}
	return out
}

// gone waits for the end of processes. One that waits for its parent to look has ended.
func gone(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		testgateway.Poll(t, fmt.Sprintf("process %d to end", pid), func() (bool, string) {
			if stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid)); err == nil && strings.Contains(string(stat), ") Z ") {
				return true, ""
			}
			return syscall.Kill(pid, 0) != nil, "it runs"
		})
	}
}

func curl(t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text)
}

// TestShownCommandEndsOne: what is shown when a program starts ends it with all that it has started, and the next life begins.
func TestShownCommandEndsOne(t *testing.T) {
	r := start(t)
	first := r.pids(1)
	command := r.until("the command", `runs   helper; (kill -- -\d+) ends it, and it is started again`)[1]
	if said, err := exec.Command("sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, said)
	}
	r.until("word of the end", `ended  helper \(exit status 143\); it is started again in 10ms`)
	gone(t, first[0], first[1])
	if second := r.pids(2); second[0] == first[0] {
		t.Errorf("%d lives twice", first[0])
	}
	if next := r.untilN("the next command", `runs   helper; (kill -- -\d+) ends it`, 2)[1]; next == command {
		t.Errorf("%s is told twice", command)
	}
	if err := r.Stop(); err != nil {
		t.Error(err)
	}
}

func TestApplicationIsRunAndShown(t *testing.T) {
	r := start(t)
	place := r.until("the place", `curl (http://\S+)/ `)[1]
	if m := r.until("the helper's words", `helper \| port (\d+) in (\w+) says (\w+)`); m[1] == "0" || m[2] != "beside" {
		t.Errorf("the helper says %q", m[0])
	}
	for i := range 2 {
		if status, body := curl(t, "PUT", place+"/topics/events?key=ada%2F1", "x"); status != 200 || !strings.Contains(body, `"topic":"events"`) {
			t.Fatalf("put: %d %s", status, body)
		}
		_, body := curl(t, "GET", fmt.Sprintf("%s/topics/counts?from=%d&wait=20s", place, i), "")
		if want := regexp.MustCompile(fmt.Sprintf(`^\{"n":%d,"partition":\d,"key":"ada/1","value":"%d"\}\n$`, i, i+1)); !want.MatchString(body) {
			t.Fatalf("got %s", body)
		}
	}
	r.until("all steps in order", `in     events ada/1: x\n(?:learn .*\n)?call   test/count/ada/1: x \(\S+\)\nstate  test/count/ada/1 \w+ = \S+\nout    counts ada/1: 1\nnext   curl '`+
		place+`/topics/counts\?from=0'\nin     events ada/1: x\ncall .*\nstate .*\nout    counts ada/1: 2\n`)
	if strings.Contains(r.shown(), "\x1b") {
		t.Error("colours, and no terminal")
	}

	for want, c := range map[string][3]string{
		"404 there is no topic":   {"GET", "/topics/nope", ""},
		"404 there is no  topic":  {"PUT", "/topics/nope?key=k", "x"},
		"400 say ?key=K":          {"PUT", "/topics/events", "x"},
		"400 from: want":          {"GET", "/topics/events?from=-1", ""},
		"400 wait: want":          {"GET", "/topics/events?wait=long", ""},
		"405 GET /topics":         {"DELETE", "/topics/events", ""},
		"413 a value may have":    {"PUT", "/topics/events?key=k", strings.Repeat("x", 1<<20)},
		`200 {"topic":"counts","`: {"GET", "/topics", ""},
	} {
		status, body := curl(t, c[0], place+c[1], c[2])
		if got := fmt.Sprint(status, " ", body); !strings.Contains(got, strings.ReplaceAll(want[4:], "  ", " ")) || got[:3] != want[:3] {
			t.Errorf("%v: got %s, want %s", c[:2], got, want)
		}
	}

	first := r.pids(1)
	if err := syscall.Kill(first[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.until("word of the end", `ended  helper \(exit status 137\); it is started again in 10ms`)
	second := r.pids(2)
	gone(t, first[1]) // with its program
	if err := r.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	testgateway.Poll(t, "the end", func() (bool, string) { return !r.Runs(), r.shown() }) // one Ctrl-C: a second one would cut it short
	if err := r.Stop(); err == nil || !strings.Contains(err.Error(), testgateway.EndedByItself+": <nil>") {
		t.Errorf("it ends with %v", err)
	}
	gone(t, second[:]...)
	if !strings.HasSuffix(r.shown(), "stop   the gateway first, then the processes\n") {
		t.Error("the end is not clean")
	}
}

// The end of its terminal is an end like others.
func TestHangupLeavesNothing(t *testing.T) {
	r := start(t)
	pids := r.pids(1)
	if all, err := os.ReadDir(r.temporary); err != nil || len(all) == 0 {
		t.Fatalf("no temporary files while it runs: %v", err)
	}
	if err := r.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	testgateway.Poll(t, "the end", func() (bool, string) { return !r.Runs(), r.shown() })
	gone(t, pids[:]...)
	if all, err := os.ReadDir(r.temporary); err != nil || len(all) != 0 {
		t.Errorf("%d temporary files are left, %v", len(all), err)
	}
}

// However dev ends, nothing that it has started stays.
func TestKilledLeavesNoProcess(t *testing.T) {
	r := start(t)
	pids := r.pids(1)
	if err := r.Kill(); err != nil {
		t.Fatal(err)
	}
	gone(t, pids[:]...)
}

func TestWhatCannotBeStarted(t *testing.T) {
	for command, want := range map[string]string{
		"no-such-program": `module.yaml:14:3: process x: exec: "no-such-program": executable file not found`,
		".venv/python":    "module.yaml:14:3: process x: stat ",
	} {
		folder := t.TempDir()
		text := strings.ReplaceAll(fmt.Sprintf(helper, "http://127.0.0.1:1"), "\n  properties: [{security.protocol: SASL_SSL}]", "")
		text = text[:strings.Index(text, "kind: io.stategate.dev")] + "kind: io.stategate.dev.v1/process\nspec:\n  name: x\n  command: [" + command + "]\n"
		if err := os.WriteFile(filepath.Join(folder, "module.yaml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(testgateway.Binary(t), "dev", "--admin", "127.0.0.1:0")
		cmd.Dir, cmd.Env = folder, testgateway.CleanEnviron()
		out, err := cmd.CombinedOutput()
		if err == nil || !regexp.MustCompile(strings.NewReplacer("14:3", `\d+:3`).Replace(want)).Match(out) {
			t.Errorf("%s: %v, %s; want %s", command, err, out, want)
		}
	}
}
