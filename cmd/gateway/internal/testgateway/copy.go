//go:build unix

package testgateway

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// RepositoryRoot is the folder of the checkout. Without one (an archive of the sources) there is no git to copy and patch by.
func RepositoryRoot(t *testing.T) string {
	t.Helper()
	root, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		t.Skipf("not a git checkout: %v", err)
	}
	return strings.TrimSpace(string(root))
}

// CopyModule copies what the repository holds, uncommitted changes too, and nothing that it ignores.
func CopyModule(t *testing.T, from, to string) {
	t.Helper()
	list := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = from
	names, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(names), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(from, name))
		if os.IsNotExist(err) {
			continue // removed and not committed
		}
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// ApplyPatch applies a patch to a copy of the module, or only looks whether it fits (--check).
func ApplyPatch(folder, patch string, flags ...string) error {
	patch, err := filepath.Abs(patch)
	if err != nil {
		return err
	}
	cmd := exec.Command("git", append(append([]string{"apply", "-C1"}, flags...), patch)...)
	cmd.Dir = folder
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s does not fit the code any more: %w: %s", patch, err, text)
	}
	return nil
}
