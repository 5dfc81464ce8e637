package dev

import "syscall"

// dieWithParent lets the kernel kill the child when the thread that starts it ends: also when somebody kills the guard.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
