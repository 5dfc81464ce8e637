package scaffold_test

import (
	"os"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

func TestMain(m *testing.M) {
	code := m.Run()
	testgateway.RemoveBinary()
	os.Exit(code)
}
