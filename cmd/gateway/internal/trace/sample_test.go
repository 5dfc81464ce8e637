package trace

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stategate/stategate/api"
)

// TestSample: of traces that begin here so many are sampled; a parent's decision wins.
func TestSample(t *testing.T) {
	for _, ratio := range []float64{0, 0.01, 0.5, 0.999999999999, 1, 2, -1} {
		s := newSampler(ratio)
		const n = 20_000
		sampled := 0
		for range n {
			got := s.begin()
			if got.ID == [16]byte{} || got.Span == [8]byte{} || got.Flags > api.TraceSampled {
				t.Fatalf("trace %v", got)
			}
			if got.Sampled() {
				sampled++
			}
		}
		want := n * min(max(ratio, 0), 1)
		if math.Abs(float64(sampled)-want) > 5*math.Sqrt(want+1) || ratio <= 0 && sampled > 0 || ratio >= 1 && sampled < n {
			t.Errorf("ratio %v: %d of %d are sampled", ratio, sampled, n)
		}
	}
	all, none := newSampler(1), newSampler(0)
	out := &api.Trace{ID: [16]byte{1}, Span: [8]byte{2}}
	in := &api.Trace{ID: [16]byte{1}, Span: [8]byte{2}, Flags: api.TraceSampled}
	if got := all.under(out); got != out {
		t.Errorf("a parent that is sampled out is %v", got)
	}
	if got := none.under(in); got.ID != in.ID || got.Span == in.Span || got.Span == [8]byte{} || !got.Sampled() {
		t.Errorf("below a sampled parent: %v", got)
	}
	if none.under(nil).Sampled() || !all.under(nil).Sampled() {
		t.Error("what begins here is not decided by the ratio")
	}
}

// Who decides by the same ratio decides the same, so whoever samples more has all traces of who samples less.
func TestSamplersAgree(t *testing.T) {
	few, many := newSampler(0.1), newSampler(0.3)
	for range 5000 {
		id := few.begin()
		if id.Sampled() && binary.BigEndian.Uint64(id.ID[8:])>>1 >= many.below {
			t.Fatalf("%v is sampled by a tenth and not by a third", id)
		}
	}
}
