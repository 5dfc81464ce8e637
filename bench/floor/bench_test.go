//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// BenchmarkDrain says what a record costs in CPU, of the program and of PostgreSQL with all its backends: the count workload, 10,000 keys in
// turn. STATEGATE_TEST_FLOOR_ARGS are more arguments of the program.
//
//	go test -run xxx -bench Drain -benchtime 3x ./bench/floor
func BenchmarkDrain(b *testing.B) {
	const records = 200_000
	for _, mode := range modes {
		b.Run(mode, func(b *testing.B) {
			var program, postgres, took time.Duration
			for range b.N {
				w := newWorld(b, mode)
				w.produce("-", records, 10_000)
				p := w.start(strings.Fields(os.Getenv("STATEGATE_TEST_FLOOR_ARGS"))...)
				ready, before, pg := time.Now(), cpuOf(p.Process.Pid), cpuOfFamily(w.postgres.PID())
				w.outputs().await(records)
				program += cpuOf(p.Process.Pid) - before
				postgres += cpuOfFamily(w.postgres.PID()) - pg
				took += time.Since(ready)
				_ = p.Process.Signal(os.Interrupt)
				_ = p.Wait()
			}
			n := float64(b.N) * records
			b.ReportMetric(float64(program.Microseconds())/n, "program-us/record")
			b.ReportMetric(float64(postgres.Microseconds())/n, "postgres-us/record")
			b.ReportMetric(n/took.Seconds(), "records/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// cpuOf reads the CPU time of a process from /proc: utime and stime, in ticks of 10 ms.
func cpuOf(pid int) time.Duration {
	own, _ := cpuTimes(pid)
	return own
}

func cpuTimes(pid int) (own, ended time.Duration) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0
	}
	fields := bytes.Fields(text[bytes.LastIndexByte(text, ')')+1:])
	var ticks [4]int64
	for i := range ticks {
		_, _ = fmt.Sscan(string(fields[11+i]), &ticks[i])
	}
	return time.Duration(ticks[0]+ticks[1]) * 10 * time.Millisecond, time.Duration(ticks[2]+ticks[3]) * 10 * time.Millisecond
}

// cpuOfFamily adds a process's children: those that live, and those that it has waited for.
func cpuOfFamily(pid int) time.Duration {
	own, ended := cpuTimes(pid)
	sum := own + ended
	children, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	for _, child := range bytes.Fields(children) {
		var n int
		if _, err := fmt.Sscan(string(child), &n); err == nil {
			sum += cpuOf(n)
		}
	}
	return sum
}
