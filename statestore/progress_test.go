package statestore

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Ranges must agree with a plain set, keep their form, and survive the codec.
func TestRangesAgainstSet(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		const span = 60
		start := rng.Int64N(5)
		r := Ranges{Watermark: start}
		var set [span]bool
		for i := range start {
			set[i] = true
		}
		for range 40 {
			from := rng.Int64N(span)
			to := min(span, from+rng.Int64N(6))
			before := r.Clone()
			kept := before.Clone()
			r.Add(from, to)
			if diff := cmp.Diff(kept, before); diff != "" {
				t.Fatalf("seed %d: Add changed a clone:\n%s", seed, diff)
			}
			for i := from; i < to; i++ {
				set[i] = true
			}
			checkRanges(t, seed, &r, set[:])
		}
	}
}

func checkRanges(t *testing.T, seed uint64, r *Ranges, set []bool) {
	t.Helper()
	for i, want := range set {
		if got := r.Contains(int64(i)); got != want {
			t.Fatalf("seed %d: %+v contains %d: %v, want %v", seed, r, i, got, want)
		}
	}
	at := r.Watermark
	for _, a := range r.Above {
		if a.From <= at || a.To <= a.From {
			t.Fatalf("seed %d: %+v is not sorted and apart", seed, r)
		}
		at = a.To
	}
	p := Progress{Targets: []TargetProgress{{Key: "k", Done: *r}}}
	got, err := DecodeProgress(AppendProgress(nil, &p))
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	if got.Position() != r.Watermark || len(got.Targets[0].Done.Above) != len(r.Above) {
		t.Fatalf("seed %d: got %+v, want %+v", seed, got, r)
	}
}

func TestPosition(t *testing.T) {
	p := Progress{Start: 7}
	if got := p.Position(); got != 7 {
		t.Errorf("without targets: %d, want 7", got)
	}
	p.Targets = []TargetProgress{{Done: Ranges{Watermark: 9}}, {Done: Ranges{Watermark: 8}}, {Done: Ranges{Watermark: 10}}}
	if got := p.Position(); got != 8 {
		t.Errorf("got %d, want the lowest, 8", got)
	}
	c := p.Clone()
	c.Targets[0].Done.Add(9, 20)
	if p.Targets[0].Done.Watermark != 9 {
		t.Error("a clone shares its targets")
	}
}
