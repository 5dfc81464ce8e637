package commandtest

import (
	"os"
	"syscall"
)

// maxRSS is how much memory a process that has ended held, at most.
func maxRSS(s *os.ProcessState) int64 { return s.SysUsage().(*syscall.Rusage).Maxrss << 10 }
