package simulation_test

import (
	"os"
	"testing"

	"github.com/stategate/stategate/internal/testserver"
)

func TestMain(m *testing.M) { os.Exit(testserver.Main(m)) }
