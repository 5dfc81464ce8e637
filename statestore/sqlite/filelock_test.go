//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sqlite

import (
	"os"
	"path/filepath"
	"testing"
)

// TestReplacedLockFile: who holds the lock of a file that is not the one that others find any more holds nothing, whether the file was
// removed or another one stands in its place; with what they find alone it goes on.
func TestReplacedLockFile(t *testing.T) {
	for name, replace := range map[string]func(t *testing.T, path string){
		"removed": func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		},
		"replaced": func(t *testing.T, path string) {
			if err := os.WriteFile(path+"2", nil, 0o644); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(path+"2", path); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "store.db.lock")
			a, b := &fileLock{path: path, lock: lockFile}, &fileLock{path: path, lock: lockFile}
			defer a.close()
			defer b.close()
			try := func(l *fileLock, member string, want hold) {
				t.Helper()
				if got, _, err := l.try(member); err != nil || got != want {
					t.Fatalf("%s: got %d, %v, want %d", member, got, err, want)
				}
			}
			try(a, "a", heldNew)
			try(b, "b", heldElsewhere)
			try(a, "a", heldAgain)
			try(a, "other", heldHere)
			replace(t, path)
			try(b, "b", heldNew)
			try(a, "a", heldElsewhere)
			b.drop()
			try(a, "a", heldNew)
		})
	}
}
