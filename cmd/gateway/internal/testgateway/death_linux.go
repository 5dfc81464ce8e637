package testgateway

import "syscall"

// dieWithParent lets the kernel kill the child when the thread that starts it ends: whoever starts it stays locked to its thread
// until the child is gone.
func dieWithParent(a *syscall.SysProcAttr) { a.Pdeathsig = syscall.SIGKILL }
