//go:build unix

package chaos

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// guards are patches of the kill test that each take one guard out of the engine, and the run that must find it out.
var guards = []struct{ name, run string }{
	{"none", "-kills=12"}, // the copy as it is: it must pass
	{"position", "-kills=12"},
	{"cursor", "-kills=40"},
	{"fence", "-kills=40"},
}

// TestGuardsRemoved shows that TestChaos fails when it should. It takes minutes, so it is asked for.
func TestGuardsRemoved(t *testing.T) {
	if !*mutantsFlag {
		t.Skip("it takes minutes: run it with -mutants")
	}
	root := testgateway.RepositoryRoot(t)
	for _, g := range guards {
		t.Run(g.name, func(t *testing.T) {
			text, failed := runWith(t, gatewayWithout(t, root, g.name), strings.Fields(g.run))
			at := complaintAt(text)
			switch {
			case g.name == "none" && failed:
				t.Errorf("the copy fails with all its guards:\n%s", text)
			case g.name == "none":
			case !failed:
				t.Errorf("nothing is found out without the guard:\n%s", text)
			case at < 0:
				t.Errorf("it fails, but not by what the engine promises:\n%s", text)
			default:
				t.Logf("found out: %s", text[at:min(len(text), at+600)])
			}
		})
	}
}

// complaintAt is where a run says what it has found out: something that is wrong, or a gateway that could not go on because of what it
// found in its store. -1 when it broke for another reason.
func complaintAt(text string) int {
	for _, what := range []string{violation, testgateway.EndedByItself, testgateway.StandsStill} {
		if at := strings.Index(text, what); at >= 0 {
			return at
		}
	}
	return -1
}

// gatewayWithout builds a copy of the module that a guard is taken out of.
func gatewayWithout(t *testing.T, root, guard string) (program string) {
	t.Helper()
	folder := t.TempDir()
	testgateway.CopyModule(t, root, folder)
	if guard != "none" {
		if err := testgateway.ApplyPatch(folder, filepath.Join("..", "killtest", "testdata", "mutation", guard+".patch")); err != nil {
			t.Fatal(err)
		}
	}
	program = filepath.Join(folder, "gateway-without-"+guard)
	build := exec.Command("go", "build", "-o", program, "./cmd/gateway")
	build.Dir = folder
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, text)
	}
	return program
}

// runWith runs TestChaos on PostgreSQL with another gateway.
func runWith(t *testing.T, program string, flags []string) (text string, failed bool) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, append([]string{"-test.run=^TestChaos$/^postgres$", "-test.v", "-test.timeout=15m", "-gateway=" + program}, flags...)...)
	out, err := cmd.CombinedOutput()
	text = string(out)
	if strings.Contains(text, "NOT RUN") || !strings.Contains(text, "TestChaos/postgres") {
		t.Fatalf("the run did not take place: %v\n%s", err, text)
	}
	return text, err != nil
}
