//go:build unix

package killtest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// guards are patches that each take one guard out of the engine, and the run of TestKill that must find it out.
var guards = []struct{ name, run string }{
	{"none", "sqlite -kills=6"}, // the copy as it is: it must pass
	{"position", "sqlite -kills=6"},
	{"cursor", "sqlite -kills=6"},
	// On a file an owner keeps its lock even in its sleep, so nobody meets the fence.
	{"fence", "postgres -kills=2 -freezes=6"},
}

// TestGuardsRemoved shows that TestKill fails when it should. It takes minutes, so it is asked for.
func TestGuardsRemoved(t *testing.T) {
	if !*mutantsFlag {
		t.Skip("it takes minutes: run it with -mutants")
	}
	repository := testgateway.RepositoryRoot(t)
	for _, g := range guards {
		t.Run(g.name, func(t *testing.T) {
			text, failed := runWithout(t, repository, g.name, strings.Fields(g.run))
			complaint := complaintIn(text)
			switch {
			case g.name == "none" && failed:
				t.Errorf("the copy fails with all its guards:\n%s", text)
			case g.name == "none":
			case !failed:
				t.Errorf("nothing is found out without the guard:\n%s", text)
			case complaint == "":
				t.Errorf("it fails, but not by what came out:\n%s", text)
			default:
				t.Logf("found out: %s", complaint)
			}
		})
	}
}

// complaintIn is what a run has found out: wrong outputs, or a gateway that could not go on because of what it found in its store.
// "" when it broke for another reason.
func complaintIn(text string) string {
	for _, what := range []string{wrongOutputs, testgateway.EndedByItself, testgateway.StandsStill} {
		if at := strings.Index(text, what); at >= 0 {
			complaint, _, next := strings.Cut(text[at:], "_test.go:") // the next one
			if next {
				complaint = complaint[:max(0, strings.LastIndexByte(complaint, '\n'))]
			}
			return complaint[:min(len(complaint), 1500)]
		}
	}
	return ""
}

// patchOf is the file that takes a guard out.
func patchOf(guard string) string { return filepath.Join("testdata", "mutation", guard+".patch") }

// The patches follow the code: whoever changes a guard sees at once that its patch must change too.
func TestGuardPatchesFit(t *testing.T) {
	root := testgateway.RepositoryRoot(t)
	for _, g := range guards[1:] {
		if err := testgateway.ApplyPatch(root, patchOf(g.name), "--check"); err != nil {
			t.Error(err)
		}
	}
}

// runWithout runs a short TestKill in a copy of the module that the guard is taken out of. run is the store and flags.
func runWithout(t *testing.T, repository, guard string, run []string) (text string, failed bool) {
	t.Helper()
	folder := t.TempDir()
	testgateway.CopyModule(t, repository, folder)
	if guard != "none" {
		if err := testgateway.ApplyPatch(folder, patchOf(guard)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "test", "-count=1", "-v", "-run", "^TestKill$/^"+run[0]+"$", "./cmd/gateway/internal/killtest", "-records=8000")
	cmd.Args = append(cmd.Args, run[1:]...)
	if *seedFlag != 0 {
		cmd.Args = append(cmd.Args, fmt.Sprintf("-seed=%d", *seedFlag))
	}
	cmd.Dir = folder
	cmd.Env = os.Environ()
	if os.Getenv("STATEGATE_TEST_CACHE") == "" {
		cmd.Env = append(cmd.Env, "STATEGATE_TEST_CACHE="+filepath.Join(repository, ".cache"))
	}
	out, err := cmd.CombinedOutput()
	text = string(out)
	if strings.Contains(text, "NOT RUN") || strings.Contains(text, "[build failed]") || !strings.Contains(text, "TestKill/"+run[0]) {
		t.Fatalf("the run did not take place: %v\n%s", err, text)
	}
	return text, err != nil
}
