//go:build unix

package sdktest

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

// expiration is how long the application's states with an expiration live.
const expiration = 1500 * time.Millisecond

// application is one of testdata/statefun/apps, a process of its own, through all its lives.
type application struct {
	t       *testing.T
	addr    string
	log     string
	command func() *exec.Cmd
	env     []string
	process *testgateway.Process
}

// commands say how each language's application is started.
var commands = map[string]func(t *testing.T) func() *exec.Cmd{
	"python": func(t *testing.T) func() *exec.Cmd {
		sdk := testserver.SDK(t, "python")
		return func() *exec.Cmd {
			return exec.Command(filepath.Join(sdk, "bin", "python"), "-B", appFile(t, "python", "app.py"))
		}
	},
	"javascript": func(t *testing.T) func() *exec.Cmd {
		sdk := testserver.SDK(t, "javascript")
		return func() *exec.Cmd {
			cmd := exec.Command("node", appFile(t, "javascript", "app.js"))
			cmd.Env = []string{"NODE_PATH=" + filepath.Join(sdk, "node_modules")}
			return cmd
		}
	},
	"java": func(t *testing.T) func() *exec.Cmd {
		jars, classes := filepath.Join(testserver.SDK(t, "java"), "libs", "*"), t.TempDir()
		sources, err := filepath.Glob(appFile(t, "java", "apps/*.java"))
		if err != nil {
			t.Fatal(err)
		}
		text, err := exec.Command(jdk("javac"), append([]string{"-encoding", "UTF-8", "-cp", jars, "-d", classes}, sources...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("javac: %v\n%s", err, text)
		}
		return func() *exec.Cmd {
			// Without nodelay the JDK's server sends head and body of an answer 40 ms apart.
			return exec.Command(jdk("java"), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dsun.net.httpserver.nodelay=true",
				"-cp", classes+string(filepath.ListSeparator)+jars, "apps.App")
		}
	},
}

// jdk is a program of the JDK.
func jdk(name string) string {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		return filepath.Join(home, "bin", name)
	}
	return name
}

func appFile(t *testing.T, language, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("../../../../testdata/statefun/apps", language, name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// newApplication makes one that is not started.
func newApplication(t *testing.T, folder, language, prefix string) *application {
	t.Helper()
	a := &application{t: t, log: filepath.Join(folder, language+".log"), command: commands[language](t)}
	var err error
	if a.addr, err = testgateway.FreeAddr(); err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(a.addr)
	a.env = []string{"PORT=" + port, "PREFIX=" + prefix, "EXPIRATION=" + milliseconds(expiration)}
	t.Cleanup(func() {
		a.process.End()
		if t.Failed() {
			t.Logf("the end of %s:\n%s", a.log, testgateway.Tail(a.log, 4<<10))
		}
	})
	return a
}

// start returns when it serves.
func (a *application) start() {
	a.t.Helper()
	cmd := a.command()
	cmd.Env = append(testgateway.CleanEnviron(a.env...), cmd.Env...)
	var err error
	if a.process, err = testgateway.Spawn("the application", a.log, cmd); err != nil {
		a.t.Fatal(err)
	}
	testgateway.Poll(a.t, "the application to listen", func() (bool, string) {
		if !a.process.Runs() {
			a.t.Fatalf("the application ended:\n%s", testgateway.Tail(a.log, 4<<10))
		}
		c, err := net.DialTimeout("tcp", a.addr, time.Second)
		if err != nil {
			return false, err.Error()
		}
		_ = c.Close()
		return true, ""
	})
}

// kill is kill -9.
func (a *application) kill() {
	a.t.Helper()
	if err := a.process.Kill(); err != nil {
		a.t.Fatal(err)
	}
}
