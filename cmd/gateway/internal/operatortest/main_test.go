//go:build linux

package operatortest

import (
	"os"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

func TestMain(m *testing.M) {
	code := testserver.Main(m)
	testgateway.RemoveBinary()
	os.Exit(code)
}
