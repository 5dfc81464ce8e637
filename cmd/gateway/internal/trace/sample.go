package trace

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/stategate/stategate/api"
)

// sampler decides of traces that begin here whether their spans are wanted. It decides by the id alone, as OpenTelemetry's samplers of a
// ratio do, so that others who decide by the same ratio decide the same.
type sampler struct{ below uint64 } // of the last 63 bits of ids

func newSampler(ratio float64) sampler {
	if ratio >= 1 {
		return sampler{1 << 63}
	}
	return sampler{uint64(max(ratio, 0) * (1 << 63))}
}

// begin is a new trace. That its id is random is not said: OpenTelemetry's older readers take a traceparent with that flag for broken.
func (s sampler) begin() *api.Trace {
	t := &api.Trace{Span: spanID()}
	for t.ID == [16]byte{} {
		binary.BigEndian.PutUint64(t.ID[:8], rand.Uint64())
		binary.BigEndian.PutUint64(t.ID[8:], rand.Uint64())
	}
	if binary.BigEndian.Uint64(t.ID[8:])>>1 < s.below {
		t.Flags |= api.TraceSampled
	}
	return t
}

// under is the place of something that comes in below a parent, whose decision wins; nil: it begins a trace.
func (s sampler) under(parent *api.Trace) *api.Trace {
	switch {
	case parent == nil:
		return s.begin()
	case parent.Sampled():
		return child(parent)
	}
	return parent // nobody makes a span of it, so whatever follows is still below the parent
}

// child is a new span in a trace.
func child(of *api.Trace) *api.Trace {
	return &api.Trace{ID: of.ID, Span: spanID(), Flags: of.Flags}
}

// spanID is drawn so that nobody else has it. It is no secret.
func spanID() (id [8]byte) {
	for id == [8]byte{} {
		binary.BigEndian.PutUint64(id[:], rand.Uint64())
	}
	return id
}
