//go:build linux

package memorytest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

const (
	memoryMiB  = 96
	besidesMiB = 160 // the program itself, SQLite's pages, and what is taken beyond a part because it is one piece
)

// TestMemoryIsBounded: states of 1 MiB, messages for a function that fails, and delayed messages, each several times as much as the memory,
// pass through a gateway that may take little of it; all of them arrive, once; and the process has never been much larger than the setting.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	const states, rounds, messages, each = 100, 2, 50_000, 500
	f := serveFunctions(t)
	g, url := start(t, f)
	order := func(text string) {
		t.Helper()
		resp, err := client.Post(url+"/v1/send/mem/spread/"+text, "text/plain", nil)
		if err != nil {
			t.Fatal(err)
		}
		said, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			t.Fatalf("%s: %s %s", text, resp.Status, said)
		}
	}
	come := func(kind string, want int) {
		t.Helper()
		testgateway.Poll(t, fmt.Sprint(want, " messages to mem/", kind), func() (bool, string) { n := f.arrived(kind); return n == want, fmt.Sprint(n) })
	}
	for round := range rounds { // from the second on the states must be loaded
		order(fmt.Sprintf("large-%d-%d", round*addresses, round*addresses+states))
		come("large", states*(round+1))
	}
	highest(t, g, "states")
	for from := 0; from < messages; from += each {
		order(fmt.Sprintf("later-%d-%d", from, from+each))
		order(fmt.Sprintf("now-%d-%d", from, from+each))
	}
	come("later", messages)
	highest(t, g, "delayed messages, and those that wait")
	f.fails.Store(false)
	come("now", messages)
	highest(t, g, "all")
	for _, kind := range []string{"later", "now"} { // a reply of mem/large may find no room, and then it is called again
		for number, n := range f.arrive[kind] {
			if n != 1 {
				t.Errorf("%s came %d times", number, n)
			}
		}
	}
	g.Stop()
}

var client = &http.Client{Timeout: time.Minute}

func start(t *testing.T, f *functions) (*testgateway.Gateway, string) {
	t.Helper()
	folder := t.TempDir()
	text := fmt.Sprintf(`kind: io.statefun.endpoints.v2/http
spec: {functions: mem/*, urlPathTemplate: "%s/all"}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: mem/now, urlPathTemplate: "%s/now"}
---
kind: io.stategate.http.v1/ingress
spec: {id: mem/api, functions: [mem/spread]}
`, f.url, f.url)
	file := filepath.Join(folder, "module.yaml")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	address, err := testgateway.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	g := testgateway.New(t, folder, "gateway", nil, "--module", file, "--store", "sqlite:"+filepath.Join(folder, "state.db"),
		"--listen", address, "--memory", fmt.Sprint(memoryMiB, "MiB"))
	g.Program = testgateway.PlainBinary(t)
	g.Open()
	return g, "http://" + address
}

// highest holds what the process has taken at most.
func highest(t *testing.T, g *testgateway.Gateway, what string) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", g.Process.PID()))
	if err != nil {
		t.Fatal(err)
	}
	kib := 0
	for line := range bytes.Lines(text) {
		if n, _ := fmt.Sscanf(string(line), "VmHWM: %d kB", &kib); n == 1 {
			break
		}
	}
	t.Logf("%s: %d MiB", what, kib>>10)
	if limit := memoryMiB + besidesMiB; kib == 0 || kib>>10 > limit {
		t.Errorf("%s: the process has taken %d MiB, want at most %d", what, kib>>10, limit)
	}
}
