//go:build unix && !linux

package dev

import "syscall"

func dieWithParent(*syscall.SysProcAttr) {}
