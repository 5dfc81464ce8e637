package main

import (
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
	room := headroom(func(string) (string, bool) { return "", false })
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

func TestHeadroomLeavesSettingsAlone(t *testing.T) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if room := headroom(func(asked string) (string, bool) { return "200", asked == name }); room != nil {
			t.Errorf("%s is set, and there are %d bytes of headroom", name, len(room))
		}
	}
}
