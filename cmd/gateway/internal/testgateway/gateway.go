//go:build unix

package testgateway

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

// Gateway is the program, started with the same settings again and again.
type Gateway struct {
	Name    string
	Program string   // default: the gateway of this module, built for the test
	Args    []string // of the next life
	Log     string   // of all lives
	Process *Process // the last life
	Lives   int

	t     *testing.T
	admin string
	env   []string
}

// New makes one that is not started, with a place of its own for its admin side and its log in a folder. env is what its module's
// placeholders stand for, args are flags of "gateway run". It ends with the test.
func New(t *testing.T, folder, name string, env []string, args ...string) *Gateway {
	t.Helper()
	admin, err := FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	g := &Gateway{t: t, Name: name, admin: admin, Log: filepath.Join(folder, name+".log"), env: env}
	g.Args = append([]string{"run", "--listen", "127.0.0.1:0", "--admin", admin, "--log-format", "text"}, args...)
	t.Cleanup(func() {
		g.Process.End()
		g.checkRaces()
		if t.Failed() {
			t.Logf("the end of %s:\n%s", g.Log, Tail(g.Log, 6<<10))
		}
	})
	return g
}

// Start begins a life.
func (g *Gateway) Start() {
	g.t.Helper()
	program := g.Program
	if program == "" {
		program = Binary(g.t)
	}
	cmd := exec.Command(program, g.Args...)
	cmd.Env = append(CleanEnviron(g.env...), "GORACE=exitcode=0") // see checkRaces
	cmd.Dir = filepath.Dir(g.Log)
	g.Lives++
	var err error
	if g.Process, err = Spawn(g.Name, g.Log, cmd); err != nil {
		g.t.Fatal(err)
	}
}

// Open begins a life, and returns when the gateway works.
func (g *Gateway) Open() {
	g.t.Helper()
	g.Start()
	g.Until("active", IsActive)
}

// Kill is kill -9. A process that has ended by itself fails the test.
func (g *Gateway) Kill() {
	g.t.Helper()
	if err := g.Process.Kill(); err != nil {
		g.t.Fatal(err)
	}
}

// Stop is SIGTERM, and waits for the end, which must be a good one.
func (g *Gateway) Stop() {
	g.t.Helper()
	if err := g.Process.Stop(); err != nil {
		g.t.Fatal(err)
	}
}

// Signal sends a signal and waits for nothing.
func (g *Gateway) Signal(sig syscall.Signal) {
	g.t.Helper()
	if err := g.Process.Signal(sig); err != nil {
		g.t.Fatal(err)
	}
}

// admins asks for answers of the admin side, each on a connection of its own: what hangs in a frozen process must not hold others up.
var admins = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}

// Get asks the admin side.
func (g *Gateway) Get(path string) (status int, body []byte, err error) {
	resp, err := admins.Get("http://" + g.admin + path)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// Samples is what /metrics says; none while the gateway does not answer.
func (g *Gateway) Samples() Samples {
	status, body, err := g.Get("/metrics")
	if err != nil || status != http.StatusOK {
		return nil
	}
	all, err := parseSamples(string(body))
	if err != nil {
		g.t.Fatal(err)
	}
	return all
}

// Commits is how many Commits this life has made.
func (all Samples) Commits() float64 {
	return all.Sum("stategate_commit_duration_seconds_count", map[string]string{"result": "ok"})
}

// Skipped is how many delivered outputs this life has left out because the cursor says so.
func (all Samples) Skipped() float64 {
	return all.Sum("stategate_deliveries_total", map[string]string{"result": "skipped"})
}

// StandsStill is what a gateway says of a lane that waits for an operator.
const StandsStill = "stands still"

// Readiness is what /readyz says.
type Readiness struct {
	Status  string            `json:"status"`
	Role    string            `json:"role"`
	Reasons []json.RawMessage `json:"reasons"`
	Code    int               `json:"-"`
}

func (r Readiness) String() string {
	text := make([]string, len(r.Reasons))
	for i, reason := range r.Reasons {
		text[i] = string(reason)
	}
	return fmt.Sprintf("%d, status %s, role %s, reasons %s", r.Code, r.Status, r.Role, strings.Join(text, "; "))
}

// Says reports whether a reason holds the text.
func (r Readiness) Says(text string) bool {
	for _, reason := range r.Reasons {
		if strings.Contains(string(reason), text) {
			return true
		}
	}
	return false
}

// Readiness asks for it.
func (g *Gateway) Readiness() (Readiness, error) {
	status, body, err := g.Get("/readyz")
	if err != nil {
		return Readiness{}, err
	}
	r := Readiness{Code: status}
	if err := json.Unmarshal(body, &r); err != nil {
		return r, fmt.Errorf("/readyz: %d %s: %w", status, body, err)
	}
	return r, nil
}

// Until polls the gateway's readiness; a process that ends meanwhile fails the test.
func (g *Gateway) Until(what string, ok func(Readiness) bool) (last Readiness) {
	g.t.Helper()
	Poll(g.t, g.Name+" to be "+what, func() (bool, string) {
		g.MustRun()
		r, err := g.Readiness()
		if err != nil {
			return false, err.Error()
		}
		last = r
		return ok(r), r.String()
	})
	return last
}

// MustRun fails the test when the process has ended.
func (g *Gateway) MustRun() {
	g.t.Helper()
	if !g.Process.Runs() {
		g.t.Fatalf("%s %s: %v: %s", g.Name, EndedByItself, g.Process.err, Last(g.Log))
	}
}

// IsActive: it works.
func IsActive(r Readiness) bool { return r.Code == http.StatusOK && r.Role == "active" }

// IsStandby: it waits for its turn.
func IsStandby(r Readiness) bool { return r.Code == http.StatusOK && r.Role == "standby" }

// Logged answers the lines of the gateway's log that hold the text.
func (g *Gateway) Logged(text string) (lines []string) {
	g.t.Helper()
	all, err := os.ReadFile(g.Log)
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
