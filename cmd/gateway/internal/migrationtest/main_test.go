//go:build unix

package migrationtest

import (
	"os"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// TestMain is also the stand-in for Kafka's console tools: see tool.
func TestMain(m *testing.M) {
	if name := os.Getenv(toolVariable); name != "" {
		os.Exit(tool(name, os.Args[1:]))
	}
	os.Exit(testgateway.Main(m))
}
