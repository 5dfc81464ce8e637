//go:build unix

package testgateway

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// program is the gateway, built once for all tests of this binary.
var program struct {
	once   sync.Once
	folder string
	err    error
}

// Binary is the path of the gateway: of this module, with the race detector when the tests have it.
func Binary(t *testing.T) string {
	t.Helper()
	program.once.Do(func() {
		if program.folder, program.err = os.MkdirTemp("", "stategate-testgateway-"); program.err != nil {
			return
		}
		args := []string{"build", "-o", filepath.Join(program.folder, "gateway")}
		if raced {
			args = append(args, "-race")
		}
		text, err := exec.Command("go", append(args, "github.com/stategate/stategate/cmd/gateway")...).CombinedOutput()
		if err != nil {
			program.err = fmt.Errorf("go %v: %w\n%s", args, err, text)
		}
	})
	if program.err != nil {
		t.Fatal(program.err)
	}
	return filepath.Join(program.folder, "gateway")
}

// RemoveBinary is for the end of the test binary.
func RemoveBinary() {
	if program.folder != "" {
		_ = os.RemoveAll(program.folder)
	}
}
