package dispatcher

import "errors"

// What an operator asks for and does not get, when nobody and nothing has failed.
var (
	// ErrNothing: there is no such thing, or it is not there any more.
	ErrNothing = errors.New("there is no such thing")
	// ErrChanged: what was to be changed is not as whoever asks has seen it.
	ErrChanged = errors.New("it has changed meanwhile")
)

// Objection says why something cannot be done as things stand, and what to do about it.
type Objection struct {
	Detail string
	Remedy string
}

func (o *Objection) Error() string { return o.Detail }
