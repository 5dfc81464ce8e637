//go:build unix

package exampletest

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

var seedFlag = flag.Uint64("seed", 0, "of everything that is drawn; 0: a new one, which is printed")

func TestMain(m *testing.M) {
	code := testserver.Main(m)
	testgateway.RemoveBinary()
	for _, line := range leftOut.lines {
		fmt.Println("NOT RUN:", line)
	}
	os.Exit(code)
}

// leftOut is what was skipped, and for want of what.
var leftOut struct {
	mu    sync.Mutex
	lines []string
}

// lack skips a test for want of something, and fails it where nothing may be left out.
func lack(t *testing.T, what string) {
	t.Helper()
	for _, name := range []string{"STATEGATE_TEST_REQUIRE", "CI"} {
		if v := os.Getenv(name); v != "" && v != "0" && v != "false" {
			t.Fatal(what)
		}
	}
	leftOut.mu.Lock()
	leftOut.lines = append(leftOut.lines, t.Name()+": "+what)
	leftOut.mu.Unlock()
	t.Skip("NOT RUN: " + what)
}
