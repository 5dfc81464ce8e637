//go:build unix

package testgateway

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stategate/stategate/internal/testserver"
)

// program is a build of the gateway, made once for all tests of this binary.
type program struct {
	once   sync.Once
	folder string
	err    error
}

var ours, plain program

// Binary is the path of the gateway: of this module, with the race detector when the tests have it.
func Binary(t *testing.T) string {
	t.Helper()
	if raced {
		return ours.path(t, "-race")
	}
	return ours.path(t)
}

// PlainBinary is the path of the gateway without the race detector, whatever the tests have: that takes several times the memory.
func PlainBinary(t *testing.T) string {
	t.Helper()
	if raced {
		return plain.path(t)
	}
	return ours.path(t)
}

func (p *program) path(t *testing.T, flags ...string) string {
	t.Helper()
	p.once.Do(func() {
		if p.folder, p.err = os.MkdirTemp("", "stategate-testgateway-"); p.err != nil {
			return
		}
		args := append([]string{"build", "-o", filepath.Join(p.folder, "gateway")}, flags...)
		if text, err := exec.Command("go", append(args, "github.com/stategate/stategate/cmd/gateway")...).CombinedOutput(); err != nil {
			p.err = fmt.Errorf("go %v: %w\n%s", args, err, text)
		}
	})
	if p.err != nil {
		t.Fatal(p.err)
	}
	return filepath.Join(p.folder, "gateway")
}

// RemoveBinary is for the end of the test binary.
func RemoveBinary() {
	for _, p := range []*program{&ours, &plain} {
		if p.folder != "" {
			_ = os.RemoveAll(p.folder)
		}
	}
}

// Main runs the tests of a binary that needs the gateway and other servers, and answers the code to end with.
func Main(m *testing.M) int {
	defer RemoveBinary()
	return testserver.Main(m)
}
