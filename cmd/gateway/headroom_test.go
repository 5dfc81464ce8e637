package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

func TestHeadroomPutsCollectionsOff(t *testing.T) {
	goal := func() uint64 {
		debug.FreeOSMemory()
		var s runtime.MemStats
		runtime.ReadMemStats(&s)
		return s.NextGC
	}
	room := headroom(func(string) (string, bool) { return "", false }, 1<<40)
	defer debug.SetMemoryLimit(math.MaxInt64)
	defer debug.SetGCPercent(100)
	with := goal()
	runtime.KeepAlive(room)
	room = nil
	without := goal()
	if grows := uint64(headroomBytes) * (100 + headroomPercent*9/10) / 100; with < without+grows { // its own size, and its part
		t.Errorf("the next collection begins at %d bytes, without the memory at %d: want at least %d more", with, without, grows)
	}
	if set := debug.SetGCPercent(100); set != headroomPercent {
		t.Errorf("the heap grows by %d %% of what lives, want %d", set, headroomPercent)
	}
}

// TestHeadroomLeavesSettingsAlone: what is in the environment counts; beside GOGC the limit still does.
func TestHeadroomLeavesSettingsAlone(t *testing.T) {
	defer debug.SetMemoryLimit(math.MaxInt64)
	for name, want := range map[string]int64{"GOGC": 1 << 40, "GOMEMLIMIT": math.MaxInt64} {
		debug.SetMemoryLimit(math.MaxInt64)
		if room := headroom(func(asked string) (string, bool) { return "200", asked == name }, 1<<40); room != nil {
			t.Errorf("%s is set, and there are %d bytes of headroom", name, len(room))
		}
		if got := debug.SetMemoryLimit(-1); got != want {
			t.Errorf("%s is set, and the limit is %d, want %d", name, got, want)
		}
	}
}
