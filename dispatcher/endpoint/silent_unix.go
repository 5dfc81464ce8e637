//go:build unix

package endpoint

import "syscall"

// silent reports whether nothing has come over a connection that is not being read: no bytes and no end. What has come is not kept, and
// such a connection not used.
func silent(raw syscall.RawConn) bool {
	var one [1]byte
	var failed error
	// Not by raw.Read, which minds the deadline of a read that is over.
	err := raw.Control(func(fd uintptr) { _, failed = syscall.Read(int(fd), one[:]) })
	return err == nil && (failed == syscall.EAGAIN || failed == syscall.EWOULDBLOCK)
}
