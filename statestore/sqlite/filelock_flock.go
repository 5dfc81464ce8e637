//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package sqlite

import (
	"errors"
	"os"
	"syscall"
)

// lockFile locks the file for as long as it is open; false: somebody else has it. The lock belongs to what was opened, not to the
// process, so two handles of one process exclude each other as those of two processes do.
func lockFile(f *os.File) (bool, error) {
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EWOULDBLOCK):
			return false, nil
		case errors.Is(err, syscall.ENOSYS), errors.Is(err, syscall.ENOTSUP), errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.ENOLCK):
			return false, errNoLocks
		}
		return false, os.NewSyscallError("flock", err)
	}
}

// writable asks without opening the file.
func writable(path string) error { return syscall.Access(path, 6) } // R_OK | W_OK
