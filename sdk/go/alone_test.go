package stategate

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What a user's module gets into its go.sum by importing the SDK and its harness: protobuf, and what protobuf's own tests need.
func TestNothingElseComesAlong(t *testing.T) {
	folder := t.TempDir()
	writeFiles(t, folder, map[string]string{
		"go.mod":       moduleOfUser(t),
		"shop.go":      "package shop\n\nimport _ \"github.com/stategate/stategate/sdk/go\"\n",
		"shop_test.go": "package shop\n\nimport _ \"github.com/stategate/stategate/sdk/go/stategatetest\"\n",
	})
	tidy := exec.Command("go", "mod", "tidy")
	tidy.Dir, tidy.Env = folder, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod")
	if out, err := tidy.CombinedOutput(); err != nil {
		t.Fatalf("go mod tidy: %v\n%s", err, out)
	}
	sum, err := os.ReadFile(filepath.Join(folder, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(sum)), "\n") {
		module, _, _ := strings.Cut(line, " ")
		if module != "google.golang.org/protobuf" && module != "github.com/google/go-cmp" {
			t.Errorf("the SDK brings %s", module)
		}
	}
	if !strings.Contains(string(sum), "google.golang.org/protobuf") {
		t.Errorf("go.sum is %q", sum)
	}
}
