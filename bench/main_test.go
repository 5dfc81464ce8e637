//go:build linux

package main

import (
	"os"
	"testing"

	"github.com/stategate/stategate/internal/testserver"
)

// The test binary is its own child, as the program is.
func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) == functionsRole {
		serveFunctions()
		return
	}
	os.Exit(testserver.Main(m))
}
