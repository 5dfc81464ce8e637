//go:build unix && !linux

package killtest

import "syscall"

func dieWithParent(*syscall.SysProcAttr) {}
