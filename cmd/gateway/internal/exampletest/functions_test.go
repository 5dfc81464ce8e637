//go:build unix

package exampletest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

const (
	statefun = "../../../../testdata/statefun"
	examples = statefun + "/examples"
)

// functions is an example's server through all its lives.
type functions struct {
	t       *testing.T
	name    string
	addr    string
	log     string
	command func() *exec.Cmd
	process *testgateway.Process
}

// newFunctions makes the server of a folder of testdata/statefun as its README starts it, on a port of its own. It is not started.
func newFunctions(t *testing.T, folder, example string, env ...string) *functions {
	t.Helper()
	addr, err := testgateway.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	program, args, sdkEnv := sdkOf(t, example)
	source, err := filepath.Abs(filepath.Join(statefun, example))
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(addr)
	f := &functions{t: t, name: "functions of " + example, addr: addr, log: filepath.Join(folder, "functions.log")}
	f.command = func() *exec.Cmd {
		cmd := exec.Command(program, args...)
		cmd.Dir = source
		cmd.Env = append(testgateway.CleanEnviron(env...), append(sdkEnv, "PORT="+port)...)
		return cmd
	}
	t.Cleanup(func() {
		f.process.End()
		if t.Failed() {
			t.Logf("the end of %s:\n%s", f.log, testgateway.Tail(f.log, 4<<10))
		}
	})
	return f
}

// sdkOf is how an example is started with the SDK that scripts/sdks.sh has installed.
func sdkOf(t *testing.T, example string) (program string, args, env []string) {
	t.Helper()
	cache := os.Getenv("STATEGATE_TEST_CACHE")
	if cache == "" {
		cache = "../../../../.cache"
	}
	cache, err := filepath.Abs(cache)
	if err != nil {
		t.Fatal(err)
	}
	language := example[strings.LastIndex(example, "-")+1:]
	home := filepath.Join(cache, "sdks", language)
	if _, err := os.Stat(filepath.Join(home, "installed")); err != nil {
		lack(t, "the SDK is not installed: run scripts/sdks.sh "+language)
	}
	switch language {
	case "python":
		return filepath.Join(home, "bin", "python"), []string{"functions.py"}, []string{"PYTHONDONTWRITEBYTECODE=1"}
	case "javascript":
		node, err := exec.LookPath("node")
		if err != nil {
			lack(t, "node is not installed")
		}
		return node, []string{"functions.js"}, []string{"NODE_PATH=" + filepath.Join(home, "node_modules")}
	}
	t.Fatalf("example %s: no language", example)
	return "", nil, nil
}

// start returns when it serves.
func (f *functions) start() {
	f.t.Helper()
	var err error
	if f.process, err = testgateway.Spawn(f.name, f.log, f.command()); err != nil {
		f.t.Fatal(err)
	}
	testgateway.Poll(f.t, f.name+" to listen", func() (bool, string) {
		if !f.process.Runs() {
			f.t.Fatalf("%s ended:\n%s", f.name, testgateway.Tail(f.log, 4<<10))
		}
		c, err := net.DialTimeout("tcp", f.addr, time.Second)
		if err != nil {
			return false, err.Error()
		}
		_ = c.Close()
		return true, ""
	})
}

// kill is kill -9.
func (f *functions) kill() {
	f.t.Helper()
	if err := f.process.Kill(); err != nil {
		f.t.Fatal(err)
	}
}
