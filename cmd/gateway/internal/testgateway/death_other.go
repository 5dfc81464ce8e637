//go:build unix && !linux

package testgateway

import "syscall"

func dieWithParent(*syscall.SysProcAttr) {}
