//go:build unix

package exampletest

import (
	"flag"
	"os"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

var seedFlag = flag.Uint64("seed", 0, "of everything that is drawn; 0: a new one, which is printed")

func TestMain(m *testing.M) {
	code := testserver.Main(m)
	testgateway.RemoveBinary()
	os.Exit(code)
}
