//go:build unix

package migrationtest

import (
	"os"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

// TestMain is also the stand-in for Kafka's console tools: see tool.
func TestMain(m *testing.M) {
	if name := os.Getenv(toolVariable); name != "" {
		os.Exit(tool(name, os.Args[1:]))
	}
	code := testserver.Main(m)
	testgateway.RemoveBinary()
	os.Exit(code)
}
