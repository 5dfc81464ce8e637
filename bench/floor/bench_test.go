//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// BenchmarkDrain says what a record costs in CPU, of the program and of PostgreSQL with all its backends: the count workload, 10,000 keys in
// turn, and one hot key. STATEGATE_TEST_FLOOR_ARGS are more arguments of the program.
//
//	go test -run xxx -bench Drain -benchtime 3x ./bench/floor
func BenchmarkDrain(b *testing.B) {
	const records = 200_000
	type load struct {
		mode string
		keys int
	}
	for _, l := range []load{{modes[0], 10_000}, {modes[1], 10_000}, {modes[0], 1}, {modes[1], 1}} {
		b.Run(fmt.Sprintf("%s-%d", l.mode, l.keys), func(b *testing.B) {
			var program, postgres, took time.Duration
			resident, rows := 0.0, int64(0)
			for range b.N {
				w := newWorld(b, l.mode)
				w.produce("-", records, l.keys)()
				p := w.start(strings.Fields(os.Getenv("STATEGATE_TEST_FLOOR_ARGS"))...)
				ready, before, pg := time.Now(), cpuOf(p.Process.Pid), cpuOfFamily(w.postgres.PID())
				w.outputs().await(records)
				program += cpuOf(p.Process.Pid) - before
				postgres += cpuOfFamily(w.postgres.PID()) - pg
				took += time.Since(ready)
				resident = max(resident, memory(p.Process.Pid))
				_ = p.Process.Signal(os.Interrupt)
				_ = p.Wait()
				rows += w.rows()
			}
			n := float64(b.N) * records
			b.ReportMetric(float64(program.Microseconds())/n, "program-us/record")
			b.ReportMetric(float64(postgres.Microseconds())/n, "postgres-us/record")
			b.ReportMetric(n/took.Seconds(), "records/s")
			b.ReportMetric(resident, "MiB")
			b.ReportMetric(float64(rows)/n, "rows/record") // a fetch brings one partition's records, which have a part of the keys
			b.ReportMetric(0, "ns/op")
		})
	}
}

// rows counts what was written to the table of states. Connections that have ended have told what they did.
func (w *world) rows() (n int64) {
	w.t.Helper()
	c, err := pgx.Connect(w.t.Context(), w.postgres.URL())
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close(w.t.Context())
	err = c.QueryRow(w.t.Context(), "SELECT n_tup_ins + n_tup_upd FROM pg_stat_user_tables WHERE relname = 'state' AND schemaname = $1", w.name).Scan(&n)
	if err != nil {
		w.t.Fatal(err)
	}
	return n
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

// memory is the most that a process had resident, in MiB.
func memory(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(text)) {
		var kib float64
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kib); err == nil {
			return kib / 1024
		}
	}
	return 0
}
