package dispatcher

import (
	"fmt"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

// Selection is which dead letters are meant: those that all its fields name.
type Selection struct {
	Origin  string // as the letters have it (api.OriginIngress and the others); "": of any
	Reason  string // "": for any
	After   uint64 // only those with a number above
	Through uint64 // only those with a number not above; 0: all that there are
	Limit   int    // how many letters are looked at, at most; default LettersDefault, most LettersMax
}

// String words it for the note of what was done.
func (s Selection) String() string {
	text := "dead letters of " + s.Origin
	if s.Origin == "" {
		text = "all dead letters"
	}
	if s.Reason != "" {
		text += fmt.Sprintf(", reason %q", s.Reason)
	}
	return text
}

// names reports whether the letter is one of them, wherever it stands.
func (s Selection) names(l *api.DeadLetter) bool {
	return (s.Origin == "" || s.Origin == l.Origin) && (s.Reason == "" || s.Reason == l.Reason)
}

// LettersDefault and LettersMax are how many dead letters one batch looks at. A batch is one commit, which others wait for: with a thousand
// letters in each a flow beside them waits much longer than with a hundred, and the letters are hardly sooner done.
const (
	LettersDefault = 100
	LettersMax     = 1000
)

// Batch is what has become of some dead letters.
type Batch struct {
	Done    int             // replayed, or discarded
	Refused []RefusedLetter // they stay, and none behind them waits for them
	Last    uint64          // number behind which the next batch goes on
	End     bool            // there are no more
}

// RefusedLetter is a dead letter that cannot be replayed as things stand.
type RefusedLetter = machine.RefusedLetter

// Edit is what an operator makes of one state of an address.
type Edit = machine.Edit
