//go:build unix

package chaos

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// story is the log of what the test did and saw, in a file beside the logs of the processes. A test that passes removes them.
type story struct {
	folder string
	began  time.Time

	mu   sync.Mutex
	file *os.File
}

func newStory(t *testing.T, name string) *story {
	t.Helper()
	folder, err := os.MkdirTemp("", "stategate-chaos-"+name+"-")
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Create(filepath.Join(folder, "events.log"))
	if err != nil {
		t.Fatal(err)
	}
	s := &story{folder: folder, began: time.Now(), file: file}
	t.Cleanup(func() {
		_ = file.Close()
		if t.Failed() || *keepFlag {
			t.Logf("what happened is in %s, beside the logs of the processes", file.Name())
			return
		}
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	return s
}

func (s *story) tell(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = fmt.Fprintf(s.file, "%s %9.3f  %s\n", time.Now().Format("15:04:05.000"), time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}
