//go:build unix

package deploytest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

const unitFile = deploy + "systemd/stategate.service"

// unit is a file of systemd: section.key -> values.
type unit map[string][]string

func parseUnit(text string) (unit, error) {
	out, section := unit{}, ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || line[0] == '#' || line[0] == ';':
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			section = line[1 : len(line)-1]
		default:
			key, value, ok := strings.Cut(line, "=")
			if !ok || section == "" {
				return nil, fmt.Errorf("not KEY=VALUE in a section: %s", line)
			}
			out[section+"."+key] = append(out[section+"."+key], value)
		}
	}
	return out, nil
}

func (u unit) one(key string) string {
	if len(u[key]) == 0 {
		return ""
	}
	return u[key][len(u[key])-1]
}

// unitProblems says in what the unit does not fit the program.
func unitProblems(t *testing.T, text string) (problems []string) {
	t.Helper()
	u, err := parseUnit(text)
	if err != nil {
		return []string{err.Error()}
	}
	words := strings.Fields(u.one("Service.ExecStart"))
	if len(words) == 0 || !filepath.IsAbs(words[0]) || filepath.Base(words[0]) != "gateway" {
		return []string{"ExecStart is no gateway by its whole path"}
	}
	problems = commandProblems(t, words[1:])
	stop, err := strconv.Atoi(u.one("Service.TimeoutStopSec"))
	if err != nil || time.Duration(stop)*time.Second < drainTimeout()+5*time.Second {
		problems = append(problems, fmt.Sprintf("TimeoutStopSec=%s is not 5 s above drainTimeout, %s", u.one("Service.TimeoutStopSec"), drainTimeout()))
	}
	if u.one("Service.WorkingDirectory") != "/var/lib/"+u.one("Service.StateDirectory") {
		problems = append(problems, "the default store would not be in the StateDirectory")
	}
	if u.one("Service.Restart") != "always" || u.one("Unit.StartLimitIntervalSec") != "0" {
		problems = append(problems, "it would not be started again for ever")
	}
	var names []string
	for line := range strings.Lines(text) { // those in comments, too: somebody takes the # away
		if rest, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), "Environment="); ok {
			name, _, _ := strings.Cut(rest, "=")
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		problems = append(problems, "no Environment= is shown")
	}
	return append(problems, variableProblems(names)...)
}

// TestUnit: the service's file starts a program that exists with flags that it has, and its checker finds what is wrong.
func TestUnit(t *testing.T) {
	text := read(t, unitFile)
	if problems := unitProblems(t, text); len(problems) > 0 {
		t.Error(strings.Join(problems, "\n"))
	}
	for name, wrong := range map[string]string{
		"a flag": without(t, text, "--config /etc", "--confg /etc"), "a command": without(t, text, "gateway run", "gateway serve"), "the time to stop": without(t, text, "TimeoutStopSec=30", "TimeoutStopSec=10"),
		"the folder": without(t, text, "WorkingDirectory=/var/lib/stategate", "WorkingDirectory=/"), "a variable": without(t, text, "STATEGATE_STORE_FILE", "STATEGATE_STOREFILE"),
		"no restart": without(t, text, "Restart=always", "Restart=no"), "no section": "A=B\n", "no line": text + "nonsense\n", "nothing": "",
	} {
		if problems := unitProblems(t, wrong); len(problems) == 0 {
			t.Errorf("%s that is wrong is not found", name)
		}
	}
}

// TestUnitVerifies asks systemd itself, where it is there.
func TestUnitVerifies(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("NOT RUN: there is no systemd-analyze")
	}
	text := without(t, read(t, unitFile), "/usr/local/bin/gateway", testgateway.Binary(t))
	verify := func(text string) (string, error) {
		cmd := exec.Command("systemd-analyze", "verify", "--man=no", write(t, filepath.Join(t.TempDir(), "stategate.service"), text))
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		said, err := cmd.CombinedOutput()
		return string(said), err
	}
	if said, err := verify(text); err != nil || strings.Contains(said, "stategate.service:") {
		t.Errorf("%v\n%s", err, said)
	}
	if said, _ := verify(without(t, text, "ProtectSystem=strict", "ProtectSystm=strict")); !strings.Contains(said, "ProtectSystm") {
		t.Errorf("a directive that nobody knows is not found: %s", said)
	}
}

// TestUnitStarts runs the command line of the unit as systemd would: in an empty folder, with a file of settings as gateway config prints it.
// It works, and a stop is a good end; a setting that is wrong ends with the code that is not started again.
func TestUnitStarts(t *testing.T) {
	u, err := parseUnit(read(t, unitFile))
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	manual, err := exec.Command(testgateway.Binary(t), "config").Output()
	if err != nil {
		t.Fatal(err)
	}
	module := write(t, filepath.Join(folder, "module.yaml"), "kind: io.statefun.endpoints.v2/http\nspec: {functions: shop/*, urlPathTemplate: \"http://127.0.0.1:1/\"}\n---\nkind: io.stategate.http.v1/ingress\nspec: {id: shop/api, functions: [shop/*]}\n")
	settings := without(t, string(manual), "\nmodule: module.yaml\n", "\nmodule: "+module+"\n")
	args := strings.Fields(u.one("Service.ExecStart"))[1:]
	at := slices.Index(args, "--config")
	if at < 0 || at+1 == len(args) {
		t.Fatalf("ExecStart names no file of settings: %q", args)
	}
	args[at+1] = write(t, filepath.Join(folder, "gateway.yaml"), settings)
	g := testgateway.New(t, t.TempDir(), "unit", nil)
	g.Args = append(args, "--listen", "127.0.0.1:0", "--admin", strings.TrimPrefix(g.Admin(), "http://")) // places of this machine
	g.Open()
	if _, err := os.Stat(filepath.Join(filepath.Dir(g.Log), "stategate.db")); err != nil {
		t.Errorf("the default store is not in the folder in which it runs: %v", err)
	}
	g.Stop()
	write(t, args[at+1], settings+"lease: 0s\n") // twice, and too short
	err = exec.Command(testgateway.Binary(t), args...).Run()
	if code := strconv.Itoa(exitCode(err)); !slices.Contains(strings.Fields(u.one("Service.RestartPreventExitStatus")), code) {
		t.Errorf("a setting that is wrong ends with %s, and RestartPreventExitStatus=%s", code, u.one("Service.RestartPreventExitStatus"))
	}
}

func exitCode(err error) int {
	if e, ok := err.(*exec.ExitError); ok {
		return e.ExitCode()
	}
	return -1
}
