//go:build unix

package commandtest

import (
	"flag"
	"os"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

var (
	lettersFlag   = flag.Int("letters", 2_000, "how many dead letters TestMany lists, replays and discards")
	addressesFlag = flag.Int("addresses", 20_000, "how many addresses TestMany lists")
)

func TestMain(m *testing.M) { os.Exit(testgateway.Main(m)) }
