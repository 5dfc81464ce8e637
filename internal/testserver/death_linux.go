package testserver

import "syscall"

// dieWithParent lets the kernel send the signal to the child when the thread that starts it ends: whoever starts it stays
// locked to its thread until the child is gone.
func dieWithParent(a *syscall.SysProcAttr, sig syscall.Signal) { a.Pdeathsig = sig }
