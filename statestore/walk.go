package statestore

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
)

// Walker reads the states of many addresses, or of all that the store knows.
type Walker interface {
	// Walk reads from one view of the store: what is committed meanwhile is not seen, and no commit waits for it. It first tells
	// what the view holds, then each address's states, in the order of the store's keys. An error of one of w's functions ends
	// it and is its answer, as it is; all others are ErrUnavailable or final. What it holds in memory is bounded by the largest
	// address, not by their number.
	Walk(ctx context.Context, w Walk) error
}

// Walk says what to read, and whom to tell.
type Walk struct {
	Functions []api.FunctionType // whose addresses; none: those of all
	IDPrefix  string             // that their ids begin with
	Holding   func(Holding) error
	Address   func(AddressState) error // it has values; they belong to the callee
}

// Holding is what a view holds beside values.
type Holding struct {
	Functions []FunctionSpec // of all functions, sorted by key
	Messages  int64          // that wait, in packs or spilled
	Timers    int64
	// Outputs is how many outputs are stored. The store does not know which of them are delivered: they are trimmed later.
	Outputs     int64
	DeadLetters int64
	Sources     int64 // whose progress is known
}

// Span is a run of keys: Low <= key < High.
type Span struct{ Low, High []byte }

// Spans are the keys of the addresses that the walk reads, in order, and maybe of others: see Wants.
func (w *Walk) Spans() []Span {
	if len(w.Functions) == 0 {
		return []Span{{Low: []byte{}, High: bytes.Repeat([]byte{0xff}, KeyBytesMax+1)}}
	}
	spans := make([]Span, 0, len(w.Functions))
	for _, f := range w.Functions {
		low := FunctionKey(f)
		// Behind that many bytes of an id a key may go on with a digest.
		low = append(low, w.IDPrefix[:min(len(w.IDPrefix), KeyBytesMax-digestBytes-len(low))]...)
		spans = append(spans, Span{low, KeyAfter(low)})
	}
	slices.SortFunc(spans, func(a, b Span) int { return bytes.Compare(a.Low, b.Low) })
	return slices.CompactFunc(spans, func(a, b Span) bool { return bytes.Equal(a.Low, b.Low) })
}

// Wants reports whether an address of the spans is one that the walk reads.
func (w *Walk) Wants(a api.Address) bool { return strings.HasPrefix(a.ID, w.IDPrefix) }
