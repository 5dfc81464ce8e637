//go:build unix

package testserver

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
)

// folder is a place for one server's files in the temporary folder. Its lock is held as long as the process lives, so a later
// process can tell what a killed one has left.
type folder struct {
	path string
	lock *os.File
}

var sweepOnce sync.Once

func newFolder(kind string) (*folder, error) {
	sweepOnce.Do(sweep)
	// Locked under a name that sweep does not look at, then renamed: nobody ever sees the folder without its lock.
	hidden, err := os.MkdirTemp("", ".stategate-test-")
	if err != nil {
		return nil, err
	}
	lock, err := os.Create(filepath.Join(hidden, "lock"))
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	unique := strings.TrimPrefix(filepath.Base(hidden), ".stategate-test-")
	path := filepath.Join(filepath.Dir(hidden), "stategate-test-"+kind+"-"+unique)
	if err == nil {
		err = os.Rename(hidden, path)
	}
	if err != nil {
		_ = lock.Close()
		return nil, errors.Join(err, os.RemoveAll(hidden))
	}
	return &folder{path: path, lock: lock}, nil
}

func (f *folder) remove() error {
	err := os.RemoveAll(f.path)
	_ = f.lock.Close()
	return err
}

// sweep removes the folders of processes that live no more.
func sweep() {
	locks, _ := filepath.Glob(filepath.Join(os.TempDir(), "stategate-test-*", "lock"))
	for _, path := range locks {
		lock, err := os.Open(path)
		if err != nil {
			continue
		}
		if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(filepath.Dir(path))
		}
		_ = lock.Close()
	}
}

// cacheFolder is where the scripts install: STATEGATE_TEST_CACHE, or .cache of the repository that the process was started in.
func cacheFolder() (string, error) {
	if dir := os.Getenv("STATEGATE_TEST_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.work")); err == nil {
			return filepath.Join(dir, ".cache"), nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("STATEGATE_TEST_CACHE is not set and no folder above has a go.work")
		}
	}
}
