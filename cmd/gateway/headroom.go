package main

import "runtime/debug"

// What a record allocates is dead within milliseconds, and little lives: left alone, the collector would run some dozen times a second in
// a busy gateway of a few megabytes, and let one of some hundred grow to twice that. So between two collections the heap grows by
// headroomPercent of what lives, where Go's default is 100, and of headroomBytes beside it.
const (
	headroomBytes   = 32 << 20
	headroomPercent = 50
)

// headroom sets the collector and answers what the caller keeps for as long as the program works: memory that nobody ever touches. The
// collector counts it as living, and so begins later; the system gives no page for it, so the program itself is not larger. Near the limit,
// which counts it too and so is larger by it, collections are as frequent as they must be. Who has set the collector is not interfered with.
func headroom(lookup func(string) (string, bool), limit int64) []byte {
	if _, set := lookup("GOMEMLIMIT"); set {
		return nil
	}
	if _, set := lookup("GOGC"); set {
		debug.SetMemoryLimit(limit)
		return nil
	}
	debug.SetMemoryLimit(limit + headroomBytes)
	debug.SetGCPercent(headroomPercent)
	return make([]byte, headroomBytes)
}
