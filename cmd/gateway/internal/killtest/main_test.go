//go:build unix

package killtest

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

var (
	seedFlag     = flag.Uint64("seed", 0, "of everything that is drawn; 0: a new one, which is printed")
	killsFlag    = flag.Int("kills", 10, "how often TestKill kills the gateway, at least")
	freezesFlag  = flag.Int("freezes", 2, "how often TestKill freezes a gateway while another takes over, on Postgres")
	recordsFlag  = flag.Int("records", 20_000, "how many records TestKill sends, at least")
	durationFlag = flag.Duration("duration", 0, "how long TestKill goes on, at least")
	mutantsFlag  = flag.Bool("mutants", false, "run TestGuardsRemoved: each guard taken out of a copy of the module must make TestKill fail")
)

// roleVariable makes another program of the test binary.
const roleVariable = "STATEGATE_TEST_ROLE"

func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		if role != functionsRole {
			fmt.Fprintf(os.Stderr, "unknown role %q\n", role)
			os.Exit(2)
		}
		fmt.Fprintln(os.Stderr, serveFunctions())
		os.Exit(1)
	}
	os.Exit(testgateway.Main(m))
}
