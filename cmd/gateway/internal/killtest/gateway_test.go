//go:build unix

package killtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// gateway is the program, started with the same settings again and again.
type gateway struct {
	t       *testing.T
	name    string
	admin   string
	args    []string
	env     []string
	log     string
	process *process
	lives   int
}

// newGateway makes one that is not started.
func (w *world) newGateway(name, store string, args ...string) *gateway {
	w.t.Helper()
	admin, err := freeAddr()
	if err != nil {
		w.t.Fatal(err)
	}
	g := &gateway{t: w.t, name: name, admin: admin, log: filepath.Join(w.folder, name+".log"), env: w.variables()}
	g.args = append([]string{"run", "--module", w.moduleFile(), "--store", store, "--listen", "127.0.0.1:0", "--admin", admin, "--log-format", "text"}, args...)
	w.t.Cleanup(func() {
		g.process.end()
		g.checkRaces()
		if w.t.Failed() {
			w.t.Logf("the end of %s:\n%s", g.log, tail(g.log, 6<<10))
		}
	})
	return g
}

func (g *gateway) start() {
	g.t.Helper()
	cmd := exec.Command(gatewayProgram(g.t), g.args...)
	cmd.Env = append(cleanEnviron(g.env...), "GORACE=exitcode=0") // see checkRaces
	cmd.Dir = filepath.Dir(g.log)
	g.lives++
	var err error
	if g.process, err = spawn(g.name, g.log, cmd); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) kill() {
	g.t.Helper()
	if err := g.process.kill(); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) stop() {
	g.t.Helper()
	if err := g.process.stop(); err != nil {
		g.t.Fatal(err)
	}
}

func (g *gateway) signal(sig syscall.Signal) {
	g.t.Helper()
	if err := g.process.signal(sig); err != nil {
		g.t.Fatal(err)
	}
}

// admins asks for answers of the admin side, each on a connection of its own: what hangs in a frozen process must not hold others up.
var admins = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

func (g *gateway) get(path string) (status int, body []byte, err error) {
	resp, err := admins.Get("http://" + g.admin + path)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// samples is what /metrics says; none while the gateway does not answer.
func (g *gateway) samples() samples {
	status, body, err := g.get("/metrics")
	if err != nil || status != http.StatusOK {
		return nil
	}
	all, err := parseSamples(string(body))
	if err != nil {
		g.t.Fatal(err)
	}
	return all
}

// commits is how many commits this life has made.
func (all samples) commits() float64 {
	return all.sum("stategate_commit_duration_seconds_count", map[string]string{"result": "ok"})
}

// skipped is how many delivered outputs this life has left out because the cursor says so.
func (all samples) skipped() float64 {
	return all.sum("stategate_deliveries_total", map[string]string{"result": "skipped"})
}

// readiness is what /readyz says.
type readiness struct {
	Status  string            `json:"status"`
	Role    string            `json:"role"`
	Reasons []json.RawMessage `json:"reasons"`
	code    int
}

func (r readiness) String() string {
	text := make([]string, len(r.Reasons))
	for i, reason := range r.Reasons {
		text[i] = string(reason)
	}
	return fmt.Sprintf("%d, status %s, role %s, reasons %s", r.code, r.Status, r.Role, strings.Join(text, "; "))
}

// says reports whether a reason holds the text.
func (r readiness) says(text string) bool {
	for _, reason := range r.Reasons {
		if strings.Contains(string(reason), text) {
			return true
		}
	}
	return false
}

func (g *gateway) readiness() (readiness, error) {
	status, body, err := g.get("/readyz")
	if err != nil {
		return readiness{}, err
	}
	r := readiness{code: status}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, fmt.Errorf("/readyz: %d %s: %w", status, body, err)
	}
	return r, nil
}

// until polls the gateway's readiness; a process that ends meanwhile fails the test.
func (g *gateway) until(what string, ok func(readiness) bool) (last readiness) {
	g.t.Helper()
	poll(g.t, g.name+" to be "+what, func() (bool, string) {
		g.mustRun()
		r, err := g.readiness()
		if err != nil {
			return false, err.Error()
		}
		last = r
		return ok(r), r.String()
	})
	return last
}

func (g *gateway) mustRun() {
	g.t.Helper()
	if !g.process.runs() {
		g.t.Fatalf("%s %s: %v: %s", g.name, endedByItself, g.process.err, last(g.log))
	}
}

func isActive(r readiness) bool  { return r.code == http.StatusOK && r.Role == "active" }
func isStandby(r readiness) bool { return r.code == http.StatusOK && r.Role == "standby" }

// logged answers the lines of the gateway's log that hold the text.
func (g *gateway) logged(text string) (lines []string) {
	g.t.Helper()
	all, err := os.ReadFile(g.log)
	if err != nil {
		g.t.Fatal(err)
	}
	for line := range strings.Lines(string(all)) {
		if strings.Contains(line, text) {
			lines = append(lines, line)
		}
	}
	return lines
}
