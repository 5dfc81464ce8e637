package statestore

import (
	"slices"
	"testing"
)

// FuzzRanges: finished offsets that are noted as ranges are those that a set of single offsets holds, in the one form that ranges have,
// and they come back from a row. Each three bytes are a range: where it begins, how long it is, and whether the copy is asked.
func FuzzRanges(f *testing.F) {
	f.Fuzz(func(t *testing.T, watermark int8, script []byte) {
		got := Ranges{Watermark: int64(watermark)}
		const lowest, highest = -200, 600
		done := map[int64]bool{}
		for o := int64(lowest); o < got.Watermark; o++ {
			done[o] = true
		}
		for ; len(script) >= 3; script = script[3:] {
			from := int64(int8(script[0])) * 2
			to := from + int64(int8(script[1]))
			if script[2]&1 == 1 {
				copied := got.Clone()
				got.Add(highest, highest+1) // must not be seen by the copy
				got = copied
			}
			got.Add(from, to)
			for o := from; o < to; o++ {
				done[o] = true
			}
		}
		for o := int64(lowest); o < highest; o++ {
			if got.Contains(o) != (done[o] || o < got.Watermark) || got.Contains(o) && !done[o] && o >= int64(watermark) {
				t.Fatalf("%+v: offset %d: %v, want %v", got, o, got.Contains(o), done[o])
			}
		}
		at := got.Watermark
		for _, r := range got.Above {
			if r.From <= at || r.To <= r.From {
				t.Fatalf("%+v: %+v touches what is below it, or is empty", got, r)
			}
			at = r.To
		}
		p := Progress{Targets: []TargetProgress{{Key: "k", Done: got}}}
		read, err := DecodeProgress(AppendProgress(nil, &p))
		if err != nil || len(read.Targets) != 1 || read.Position() != got.Watermark || !slices.Equal(read.Targets[0].Done.Above, got.Above) {
			t.Fatalf("got %+v, %v, want %+v", read, err, p)
		}
		if p.Position() != got.Watermark {
			t.Fatalf("position %d of %+v", p.Position(), got)
		}
	})
}
