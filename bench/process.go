//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// tick is the unit in which the kernel tells CPU time; USER_HZ is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// spawn starts a child that dies with this program.
func spawn(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", filepath.Base(cmd.Path), err)
	}
	return nil
}

// cpuOf reads the CPU time of a process from /proc (utime and stime).
func cpuOf(pid int) time.Duration {
	fields := statOf(pid)
	if fields == nil {
		return 0
	}
	return ticks(fields[11]) + ticks(fields[12])
}

// cpuOfFamily adds the process's children: those that live, and those that it has waited for.
func cpuOfFamily(pid int) time.Duration {
	sum := cpuOf(pid)
	if fields := statOf(pid); fields != nil {
		sum += ticks(fields[13]) + ticks(fields[14])
	}
	for _, child := range childrenOf(pid) {
		sum += cpuOf(child)
	}
	return sum
}

// cpuExact is the CPU time of the process's living threads, in nanoseconds where the kernel counts them. Ticks are too coarse for
// a process that does next to nothing.
func cpuExact(pid int) time.Duration {
	var sum time.Duration
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, name := range files {
		var ns int64
		if text, err := os.ReadFile(name); err == nil {
			_, _ = fmt.Sscan(string(text), &ns)
		}
		sum += time.Duration(ns)
	}
	if sum == 0 {
		return cpuOf(pid)
	}
	return sum
}

// busy is the CPU time of the whole machine, all processes and the kernel.
func busy() time.Duration {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	line, _, _ := bytes.Cut(text, []byte("\n"))
	var sum time.Duration
	for i, field := range bytes.Fields(line) {
		// cpu user nice system idle iowait irq softirq ...; guests' time is in user's.
		if i == 1 || i == 2 || i == 3 || i == 6 || i == 7 {
			sum += ticks(field)
		}
	}
	return sum
}

// statOf are the fields of /proc/PID/stat behind the name; nil when there is no such process.
func statOf(pid int) [][]byte {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	if len(fields) < 15 {
		return nil
	}
	return fields
}

func childrenOf(pid int) (out []int) {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, child := range bytes.Fields(text) {
		var n int
		if _, err := fmt.Sscan(string(child), &n); err == nil {
			out = append(out, n)
		}
	}
	return out
}

func ticks(field []byte) time.Duration {
	var n int64
	_, _ = fmt.Sscan(string(field), &n)
	return time.Duration(n) * tick
}

// residentMax is the highest resident memory that the process has had, in MiB; resident is what it has now.
func residentMax(pid int) float64 { return statusMiB(pid, "VmHWM:") }
func resident(pid int) float64    { return statusMiB(pid, "VmRSS:") }

func statusMiB(pid int, field string) float64 {
	var kib float64
	_, _ = fmt.Sscan(lineOf(fmt.Sprintf("/proc/%d/status", pid), field), &kib)
	return kib / 1024
}

// written is how many bytes the process has sent to disks.
func written(pid int) float64 {
	var n float64
	_, _ = fmt.Sscan(lineOf(fmt.Sprintf("/proc/%d/io", pid), "write_bytes:"), &n)
	return n
}
