//go:build unix

package deploytest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

func TestMain(m *testing.M) { os.Exit(testgateway.Main(m)) }

const (
	repository = "../../../.."
	deploy     = repository + "/deploy/"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

var flagForm = regexp.MustCompile(`--[a-z][a-z0-9-]*`)

// flagsOf are the flags that a command tells of itself.
func flagsOf(t *testing.T, command string) map[string]bool {
	t.Helper()
	text, err := exec.Command(testgateway.Binary(t), command, "--help").Output()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, f := range flagForm.FindAllString(string(text), -1) {
		known[f] = true
	}
	if len(known) < 20 {
		t.Fatalf("%s --help names %d flags", command, len(known))
	}
	return known
}

// commandProblems says what the program would not take of a command line, without the program itself.
func commandProblems(t *testing.T, args []string) (problems []string) {
	t.Helper()
	if len(args) == 0 || args[0] != "run" {
		return []string{"the command is not run: " + strings.Join(args, " ")}
	}
	known := flagsOf(t, "run")
	for _, a := range args[1:] {
		if name, _, _ := strings.Cut(a, "="); strings.HasPrefix(name, "-") && !known[name] {
			problems = append(problems, "gateway run knows no "+name)
		}
	}
	return problems
}

// variableProblems says which variables look like settings and are none.
func variableProblems(names []string) (problems []string) {
	manual := config.Manual()
	for _, name := range names {
		if strings.HasPrefix(name, "STATEGATE_") && !strings.Contains(manual, "  "+name+"\n") {
			problems = append(problems, name+" is no setting")
		}
	}
	return problems
}

func drainTimeout() time.Duration { return config.Default().DrainTimeout }

// without changes a text in one place and fails when the place is not there.
func without(t *testing.T, text, old, now string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("there is no %q", old)
	}
	return strings.Replace(text, old, now, 1)
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	out, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
