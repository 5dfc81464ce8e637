package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
)

// grownKiB is by how much the process has grown with headroom when it began: later its memory might be some that was used before.
var grownKiB = func() int {
	before := residentKiB()
	room := headroom(func(string) (string, bool) { return "", false }, 1<<40)
	after := residentKiB()
	runtime.KeepAlive(room)
	debug.SetGCPercent(100)
	debug.SetMemoryLimit(math.MaxInt64)
	return after - before
}()

// TestHeadroomTakesNoMemory: the system gives a page when it is touched first, and nobody touches these.
func TestHeadroomTakesNoMemory(t *testing.T) {
	if residentKiB() == 0 {
		t.Fatal("the system does not tell VmRSS")
	}
	if grownKiB > headroomBytes/4>>10 {
		t.Errorf("headroom of %d KiB has taken %d KiB", headroomBytes>>10, grownKiB)
	}
}

func residentKiB() (kib int) {
	status, _ := os.ReadFile("/proc/self/status")
	for line := range bytes.Lines(status) {
		if _, err := fmt.Sscanf(string(line), "VmRSS: %d kB", &kib); err == nil {
			return kib
		}
	}
	return 0
}
