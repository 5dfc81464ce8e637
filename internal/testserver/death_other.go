//go:build unix && !linux

package testserver

import "syscall"

// dieWithParent does nothing: only Linux can end a child whose parent was killed. Close and Main end it in order everywhere.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}
