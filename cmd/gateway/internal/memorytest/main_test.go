//go:build linux

package memorytest

import (
	"os"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

func TestMain(m *testing.M) { os.Exit(testgateway.Main(m)) }
