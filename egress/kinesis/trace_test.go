package kinesis

import (
	"slices"
	"sync"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/egress"
)

// TestTraces: the hook is told once of each output in a sampled trace, delivered or refused.
func TestTraces(t *testing.T) {
	f := newFake("s")
	cfg := f.config()
	var mu sync.Mutex
	var told []string // guarded by mu
	cfg.Hooks.Traced = func(s egress.Sent) {
		mu.Lock()
		defer mu.Unlock()
		if s.Lane.Egress == "" || s.System != "aws_kinesis" || s.Began.IsZero() || !s.Output.Trace.Sampled() {
			t.Errorf("told %+v", s)
		}
		told = append(told, string(rune('0'+s.Number))+" "+s.Destination+" "+s.Refused)
	}
	o := newOutbox()
	m := begin(t, o, cfg)
	in := func(o api.Output, flags byte) api.Output {
		o.Trace = &api.Trace{ID: [16]byte{1}, Span: [8]byte{2}, Flags: flags}
		return o
	}
	m.emit(in(record("s", "a", "", "v"), 1), in(record("s", "b", "", "v"), 0), record("s", "c", "", "v"), in(record("s", "", "", "v"), 1))
	o.untilDelivered(t, o.next)
	mu.Lock()
	defer mu.Unlock()
	slices.Sort(told)
	if want := []string{"1 s ", "4  " + reasonKey}; !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
