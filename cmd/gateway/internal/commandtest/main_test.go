//go:build unix

package commandtest

import (
	"flag"
	"os"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

var (
	lettersFlag   = flag.Int("letters", 2_000, "how many dead letters TestMany lists, replays and discards")
	addressesFlag = flag.Int("addresses", 20_000, "how many addresses TestMany lists")
)

func TestMain(m *testing.M) {
	code := testserver.Main(m)
	testgateway.RemoveBinary()
	os.Exit(code)
}
