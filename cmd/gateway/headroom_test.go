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
	before := goal()
	room := headroom(func(string) (string, bool) { return "", false })
	with := goal()
	runtime.KeepAlive(room)
	if with < before+headroomBytes*3/2 { // its own size, and as much again
		t.Errorf("the next collection begins at %d bytes, without headroom at %d: want some %d more", with, before, 2*headroomBytes)
	}
}

func TestHeadroomLeavesSettingsAlone(t *testing.T) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		if room := headroom(func(asked string) (string, bool) { return "200", asked == name }); room != nil {
			t.Errorf("%s is set, and there are %d bytes of headroom", name, len(room))
		}
	}
}
