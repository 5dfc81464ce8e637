//go:build unix

package documenttest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// function is the one that docs/PROTOCOL.md speaks of, with the SDK for Go; the program of "gateway init go" serves it.
const function = `package main

import (
	"context"
	"time"

	stategate "github.com/stategate/stategate/sdk/go"
)

var seen = stategate.ValueSpec[int32]{Name: "seen", Type: stategate.Int, Expiration: stategate.ExpireAfterWrite(5 * time.Second)}

var visits = stategate.Function{
	Type:   "a.b/st",
	States: []stategate.State{seen},
	Call: func(_ context.Context, in *stategate.Invocation) error {
		seen.Set(in, 0)
		in.SendAfter(0, in.Self(), stategate.String.Of("x"))
		return nil
	},
}
`

// callFunction: the command sends the first of the document's three lines of bytes, and the function answers the second. 127.0.0.1:8000 is
// where the function of the test listens.
func callFunction(t *testing.T, line string) {
	need(t, "curl", "xxd", "go")
	bytes := regexp.MustCompile(`(?m)^[0-9a-f]{40,}$`).FindAllString(document(t, "PROTOCOL.md"), -1)
	if len(bytes) != 3 || !strings.HasPrefix(line, "echo "+bytes[0]+" |") {
		t.Fatalf("the command does not send the first of the lines %q", bytes)
	}
	folder := t.TempDir()
	shell(t, folder, "gateway init go app")
	app := filepath.Join(folder, "app")
	write(t, function, app, "functions.go")
	build := exec.Command("go", "build", "-o", filepath.Join(folder, "app", "served"), ".")
	build.Dir, build.Env = app, append(os.Environ(), "GOWORK=off")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	addr, err := testgateway.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(folder, "served.log")
	served, err := testgateway.Spawn("the function", log, exec.Command(filepath.Join(app, "served"), "-listen", addr))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(served.End)
	testgateway.Poll(t, "the function to listen", func() (bool, string) {
		if !served.Runs() {
			t.Fatalf("it has ended: %s", testgateway.Tail(log, 4<<10))
		}
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return false, err.Error()
		}
		return c.Close() == nil, fmt.Sprint(addr, " is taken")
	})
	if got := shell(t, folder, replace(t, line, "127.0.0.1:8000", addr)); got != bytes[1]+"\n" {
		t.Errorf("answered %s\nwant     %s", got, bytes[1])
	}
}
