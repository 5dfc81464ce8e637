package main

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestRunFails starts what cannot run: it ends with 1, soon, with its cause and without a password.
func TestRunFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	good := writeModule(t, moduleHead)
	folder := t.TempDir()
	noSecret := filepath.Join(folder, "none")
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"module is missing", []string{"--module", noSecret, "--store=memory:"}, exitFailed, noSecret + ":1:1: read the module: no such file"},
		{"module is wrong", []string{"--module", writeModule(t, "kind: x\n"), "--store=memory:"}, exitFailed, "gateway check tells the same"},
		{"port is taken", []string{"--store=memory:", "--admin", taken.Addr().String()}, exitFailed, "--admin: listen tcp " + taken.Addr().String() + ": bind: address already in use"},
		{"no server", []string{"--store=postgres://u:hunter2@127.0.0.1:1/db?password=hunter2"}, exitFailed, "connection refused"},
		{"no host", []string{"--store=postgres://u:hunter2@host.invalid/db"}, exitFailed, "host.invalid"},
		{"bad parameter", []string{"--store=postgres://u:hunter2@127.0.0.1:1/db?sslmode=hunter2"}, exitFailed, "open store: parse store URL"},
		{"no folder", []string{"--store=sqlite:" + noSecret + "/x.db"}, exitFailed, noSecret},
		{"a folder", []string{"--store=sqlite:" + folder}, exitFailed, folder},
		{"no file of settings", []string{"--config", noSecret}, exitFailed, "--config: read " + noSecret},
		{"no secret", []string{"--store-file", noSecret}, exitFailed, "--store-file: read " + noSecret},
		{"bad URL", []string{"--store=postgres://u:hunter2/x@h/db"}, exitUsage, "--store: want postgres://USER"},
		{"bad lease", []string{"--lease=3"}, exitUsage, "--lease: want a duration"},
		{"argument", []string{"postgres://u:hunter2@h/db"}, exitUsage, "run takes no arguments"},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append([]string{"run", "--module", good, "--admin=127.0.0.1:0"}, c.args...)
			began := time.Now()
			code, stdout, stderr := call(t, args...)
			if took := time.Since(began); took > patience {
				t.Errorf("it took %s", took)
			}
			if code != c.code || stdout != "" || !strings.Contains(stderr, c.want) {
				t.Errorf("exit %d, stdout %q, stderr:\n%s", code, stdout, stderr)
			}
			if strings.Contains(stderr, "hunter") {
				t.Errorf("a password is shown:\n%s", stderr)
			}
		})
	}
	if _, err := os.Stat("stategate.db"); err == nil {
		t.Error("a run that fails before it opens its store has made one")
	}
}

// TestRunEndsAsAsked runs with a Kafka that is away: the admin side answers, and a stop ends it with 0.
func TestRunEndsAsAsked(t *testing.T) {
	file := writeModule(t, strings.ReplaceAll(moduleHead, "b:9092", "127.0.0.1:1"))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	lines, log := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- execute(ctx, []string{"run", "--module", file, "--store=sqlite:" + filepath.Join(t.TempDir(), "x.db"), "--admin=127.0.0.1:0", "--log-format=json"}, io.Discard, log)
		log.Close()
	}()
	scanner := bufio.NewScanner(lines)
	degraded := make(chan string, 1)
	read := make(chan struct{})
	go func() {
		defer close(read)
		var address string
		for scanner.Scan() {
			var line struct{ Msg, Level, Admin string }
			if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
				t.Errorf("a line that is no JSON: %s", scanner.Text())
			}
			if line.Admin != "" {
				address = line.Admin
			}
			if line.Level == "WARN" && strings.Contains(line.Msg, "no broker answers") {
				select {
				case degraded <- address:
				default: // said before
				}
			}
		}
	}()
	address := <-degraded
	for path, want := range map[string]string{
		"/healthz": `"ok"`, "/readyz": `"kind": "ingress"`, "/metrics": `stategate_degraded{reason="ingress"} 1`, "/v1/addresses/a/f/x%2Fy": `"id": "x/y"`, "/v1/deadletters": `"next": null`,
	} {
		waitFor(t, "http://"+address+path, want)
	}
	stop()
	if got := <-code; got != exitDone {
		t.Errorf("exit %d", got)
	}
	<-read
}

// patience is for what takes milliseconds on a quiet machine: it only decides when a test gives up.
const patience = 90 * time.Second

// waitFor asks until the answer is as wanted: the log tells a condition a moment before the others do.
func waitFor(t *testing.T, url, want string) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; {
		response, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode == http.StatusOK && strings.Contains(string(body), want) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %s, want %s in\n%s", url, response.Status, want, body)
		}
	}
}
