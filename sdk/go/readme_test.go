package stategate

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The README's code is one module: it builds, and its test passes.
func TestReadme(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	blocks := regexp.MustCompile("(?ms)^```go\n(.*?)^```").FindAllSubmatch(readme, -1)
	if len(blocks) != 3 {
		t.Fatalf("the README has %d blocks of Go, want 3", len(blocks))
	}
	files := map[string]string{"go.mod": moduleOfUser(t)}
	for i, b := range blocks {
		name := fmt.Sprintf("shop%d.go", i)
		if strings.Contains(string(b[1]), "testing.T") {
			name = "shop_test.go"
		}
		files[name] = string(b[1])
	}
	writeFiles(t, folder, files)
	for _, args := range [][]string{{"mod", "tidy"}, {"test", "./..."}} {
		goes := exec.Command("go", args...)
		goes.Dir, goes.Env = folder, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
		if out, err := goes.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// moduleOfUser is the go.mod of one who uses the SDK of this folder.
func moduleOfUser(t *testing.T) string {
	sdk, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	return "module example.com/shop\n\ngo 1.24\n\nrequire github.com/stategate/stategate/sdk/go v0.0.0\n\nreplace github.com/stategate/stategate/sdk/go => " + sdk + "\n"
}

func writeFiles(t *testing.T, folder string, files map[string]string) {
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
