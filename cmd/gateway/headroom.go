package main

// headroomBytes is by how much the heap of a gateway may grow between two collections, beside what it may grow by anyhow: by as
// much as lives. What a record allocates is dead within milliseconds, and little lives, so without it a busy gateway of a few
// megabytes would collect some dozen times a second.
const headroomBytes = 32 << 20

// headroom answers what the caller keeps for as long as the program works: memory that nobody ever touches. The collector counts it
// as living, and so begins later; the system gives no page for it, so the program itself is not larger. Who has set the collector
// is not interfered with, and under a limit it would count as memory that is used.
func headroom(lookup func(string) (string, bool)) []byte {
	for _, own := range []string{"GOGC", "GOMEMLIMIT"} {
		if _, set := lookup(own); set {
			return nil
		}
	}
	return make([]byte, headroomBytes)
}
