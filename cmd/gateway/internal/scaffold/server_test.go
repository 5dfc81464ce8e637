package scaffold_test

import (
	"bytes"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// TestPythonServersTakeMany: the servers that we write in Python, of the standard library, take bulk calls, and more connections at once
// than wsgiref lets wait by itself. By default it does neither, and a gateway with much to do finds it unreachable.
func TestPythonServersTakeMany(t *testing.T) {
	shop, err := filepath.Abs("../../../../sdk/python/example/shoppingcart/shop.py")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	python := pythonOf(t, folder)
	for _, c := range []struct{ program, namespace, function string }{
		{filepath.Join(folder, "app.py"), "app", "visits"},
		{shop, "shop", "stock"},
	} {
		t.Run(filepath.Base(c.program), func(t *testing.T) {
			server, addr := serve(t, python, c.program)
			request := &protocol.ToFunction{Request: &protocol.ToFunction_Invocation_{Invocation: &protocol.ToFunction_InvocationBatchRequest{
				Target: &protocol.Address{Namespace: c.namespace, Type: c.function, Id: "ada"},
			}}}
			if got, want := bulkOf(t, addr, request), "1; calls=100"; got != want {
				t.Errorf("it announces %q by Stategate-Bulk, want %q", got, want)
			}
			if err := server.Signal(syscall.SIGSTOP); err != nil { // it accepts nothing: connections wait in the kernel
				t.Fatal(err)
			}
			const connections = 100 // no more than any system lets wait
			for i := range connections {
				c, err := net.DialTimeout("tcp", addr, 20*time.Second)
				if err != nil {
					t.Fatalf("connection %d of %d: %v", i+1, connections, err)
				}
				defer c.Close()
			}
		})
	}
}

// pythonOf writes the application for Python into a folder and installs what it needs beside it.
func pythonOf(t *testing.T, folder string) (python string) {
	t.Helper()
	if out, err := exec.Command(testgateway.Binary(t), "init", "python", folder).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("there is no python3")
	}
	if out, err := exec.Command("python3", "-m", "venv", filepath.Join(folder, ".venv")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	python = filepath.Join(folder, ".venv/bin/python")
	install := exec.Command(python, "-m", "pip", "install", "--quiet", "-r", "requirements.txt")
	install.Dir = folder
	if out, err := install.CombinedOutput(); err != nil {
		if os.Getenv("CI") == "" && os.Getenv("STATEGATE_TEST_REQUIRE") == "" {
			t.Skipf("pip cannot install here: %s", out)
		}
		t.Fatalf("%v: %s", err, out)
	}
	return python
}

// serve starts a program that serves functions and says where.
func serve(t *testing.T, python, program string) (server *testgateway.Process, addr string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	cmd := exec.Command(python, program, "0")
	cmd.Dir = filepath.Dir(program)
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1") // one of them lies in the repository
	server, err := testgateway.Spawn(filepath.Base(program), log, cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Kill(); err != nil {
			t.Error(err)
		}
	})
	listening := regexp.MustCompile(`(?m)^listening on http://(\S+)$`)
	testgateway.Poll(t, "the server to listen", func() (bool, string) {
		text := testgateway.Tail(log, 4<<10)
		m := listening.FindStringSubmatch(text)
		if m != nil {
			addr = m[1]
		}
		return m != nil || !server.Runs(), text
	})
	if addr == "" {
		t.Fatalf("%s has ended: %s", program, testgateway.Tail(log, 4<<10))
	}
	return server, addr
}

// bulkOf offers bulk calls with a call and answers what the functions say to it.
func bulkOf(t *testing.T, addr string, call *protocol.ToFunction) string {
	t.Helper()
	body, err := proto.Marshal(call)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequest(http.MethodPost, "http://"+addr+"/statefun", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/octet-stream")
	request.Header.Set("Stategate-Bulk", "1")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("status %s", response.Status)
	}
	return response.Header.Get("Stategate-Bulk")
}
