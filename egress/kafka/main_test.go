package kafka

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/stategate/stategate/internal/testserver"
)

// TestMain fails when a test leaves a goroutine behind.
func TestMain(m *testing.M) {
	code := testserver.Main(m)
	if code == 0 {
		// The client's library of meters keeps one goroutine for the whole program.
		if err := goleak.Find(goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
