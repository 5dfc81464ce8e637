package machine

// RefusedLetter is a dead letter that cannot be replayed as things stand.
type RefusedLetter struct {
	Number uint64
	Why    string
}
