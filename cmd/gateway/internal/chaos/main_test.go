//go:build unix

package chaos

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

var (
	seedFlag    = flag.Uint64("seed", 0, "of everything that is drawn; 0: a new one, which is printed")
	killsFlag   = flag.Int("kills", 8, "how often a gateway is killed on PostgreSQL, at least; on SQLite a tenth of it")
	rateFlag    = flag.Float64("rate", 240, "events a second")
	keepFlag    = flag.Bool("keep", false, "keep the logs of a run that passes")
	gatewayFlag = flag.String("gateway", "", "another program to run as the gateway")
	mutantsFlag = flag.Bool("mutants", false, "run TestGuardsRemoved: each guard taken out of a copy of the gateway must make TestChaos fail")
)

// roleVariable makes another program of the test binary.
const (
	roleVariable      = "STATEGATE_TEST_ROLE"
	applicationRole   = "application"
	applicationAddr   = "STATEGATE_TEST_APPLICATION_ADDR"
	applicationPrefix = "STATEGATE_TEST_APPLICATION_PREFIX"
)

const patience = testgateway.Patience

// violation begins every complaint about what the engine promises: by it TestGuardsRemoved tells a test that found what it is for
// from one that broke.
const violation = "violation"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if role != applicationRole {
			fmt.Fprintf(os.Stderr, "unknown role %q\n", role)
			os.Exit(2)
		}
		fmt.Fprintln(os.Stderr, serveApplication())
		os.Exit(1)
	}
	os.Exit(testgateway.Main(m))
}
