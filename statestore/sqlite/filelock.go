package sqlite

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/stategate/stategate/statestore"
)

// fileLock is PATH.lock, which the owner's handle keeps locked. The kernel gives it back when the process ends, however it ends,
// so a member that waits for it learns of a death at once. It is a hint like any: what an owner may write is decided by its row.
// A process that only sleeps keeps it. The file itself is never removed: two processes could hold it then, each its own.
type fileLock struct {
	path string
	lock func(*os.File) (bool, error) // lockFile, but in tests

	mu     sync.Mutex
	file   *os.File         // locked; nil: not held. Guarded by mu.
	fence  statestore.Fence // that it is held for; epoch 0 while a claim is made. Guarded by mu.
	closed bool             // guarded by mu
}

// hold is what became of a try.
type hold uint8

const (
	heldElsewhere hold = iota // by another handle, most likely of another process
	heldHere                  // by this handle, for another member
	heldAgain                 // by this handle, for this member
	heldNew                   // it was free
	holdNone                  // files cannot be locked here
)

// errNoLocks: the system or the file system has no locks of files.
var errNoLocks = errors.New("files cannot be locked here")

// try takes the lock for a member that claims. before is what it was held for.
func (l *fileLock) try(member string) (h hold, before statestore.Fence, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return 0, before, errClosed
	}
	if l.file != nil && !l.current() {
		l.give() // somebody has removed or replaced the file: whom the others see is who locks the new one
	}
	if before = l.fence; l.file != nil {
		if l.fence.Member != member {
			return heldHere, before, nil
		}
		l.fence.Epoch = 0
		return heldAgain, before, nil
	}
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return 0, before, fmt.Errorf("open lock file: %w", err)
	}
	got, err := l.lock(f)
	if err != nil || !got {
		_ = f.Close() // nothing was written to it
		if errors.Is(err, errNoLocks) {
			return holdNone, before, nil
		}
		return heldElsewhere, before, err
	}
	l.file, l.fence = f, statestore.Fence{Member: member}
	if !l.current() {
		l.give()
		return heldElsewhere, before, nil
	}
	_ = f.Truncate(0) // the pid is for people; a full disk must not keep anybody from taking over
	_, _ = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return heldNew, before, nil
}

// current reports whether the locked file is still the one that others find.
func (l *fileLock) current() bool {
	mine, err := l.file.Stat()
	if err != nil {
		return false
	}
	theirs, err := os.Stat(l.path)
	return err == nil && os.SameFile(mine, theirs)
}

// give needs mu.
func (l *fileLock) give() {
	if l.file != nil {
		_ = l.file.Truncate(0)
		_ = l.file.Close() // ends the lock, too
	}
	l.file, l.fence = nil, statestore.Fence{}
}

// keep notes whom the lock is held for now.
func (l *fileLock) keep(fence statestore.Fence) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.fence = fence
	}
}

// unkeep gives the lock back when it is held for this fence.
func (l *fileLock) unkeep(fence statestore.Fence) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fence == fence {
		l.give()
	}
}

// drop gives the lock back.
func (l *fileLock) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.give()
}

// close gives the lock back for good.
func (l *fileLock) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.give()
	l.closed = true
}

// pid is the process that holds the lock, as it says itself; 0: unknown.
func (l *fileLock) pid() int {
	text, err := os.ReadFile(l.path)
	if err != nil {
		return 0
	}
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text))) // it may just be written
	return pid
}

// check finds out at start whether the lock file can be made, which the folder must allow anyway.
func (l *fileLock) check() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return fmt.Errorf("make lock file: %w; the folder must be writable, SQLite keeps files beside the store's", err)
	}
	return f.Close()
}
