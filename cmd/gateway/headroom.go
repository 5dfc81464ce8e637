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
// collector counts it as living, and so begins later; the system gives no page for it, so the program itself is not larger. Who has set
// the collector is not interfered with, and under a limit it would count as memory that is used.
func headroom(lookup func(string) (string, bool)) []byte {
	for _, own := range []string{"GOGC", "GOMEMLIMIT"} {
		if _, set := lookup(own); set {
			return nil
		}
	}
	debug.SetGCPercent(headroomPercent)
	return make([]byte, headroomBytes)
}
