package kinesis

import (
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/stategate/stategate/api"
)

// TestHeldUp: what a stream does not take holds up the others once it fills the window; operators hear which one it is, and all go on
// when it takes outputs again.
func TestHeldUp(t *testing.T) {
	for name, c := range map[string]struct{ begin, end func(f *fake) }{
		"refused": {
			func(f *fake) {
				f.call = func(in *kinesis.PutRecordsInput) error {
					if *in.StreamName == "bad" {
						return &types.AccessDeniedException{Message: sdk.String("not allowed")}
					}
					return nil
				}
			},
			func(f *fake) { f.call = nil },
		},
		"throttled": {
			func(f *fake) {
				f.refuse = func(e *types.PutRecordsRequestEntry) string {
					if string(e.Data) == "v" {
						return codeThrottled
					}
					return ""
				}
			},
			func(f *fake) { f.refuse = nil },
		},
		"no answer": {
			func(f *fake) {
				f.gate = make(chan struct{})
				f.gated = func(in *kinesis.PutRecordsInput) bool { return *in.StreamName == "bad" }
			},
			func(f *fake) { close(f.gate); f.gate = nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake("bad", "good")
			c.begin(f)
			o := newOutbox()
			cfg := f.config()
			cfg.Outstanding = 10
			cfg.pace = quick()
			cfg.pace.held = 20 * time.Millisecond
			m := begin(t, o, cfg)
			m.emit(record("good", "k", "", "first"))
			for range 9 {
				m.emit(record("bad", "k", "", "v"))
			}
			m.emit(record("good", "k", "", "in the window"))
			o.until(t, "those in the window", func() bool { return o.counts["ok"] == 2 })
			m.emit(record("good", "k", "", "behind it"))
			o.until(t, "said", func() bool {
				return strings.Contains(o.degraded["egress shop/out: held up"], "output 2 for stream bad ")
			})
			if got := f.ofKey("good", "k"); len(got) != 2 {
				t.Errorf("got %v", got)
			}
			f.set(func() { c.end(f) })
			o.untilDelivered(t, o.next)
			o.until(t, "over", func() bool { return len(o.degraded) == 0 })
			if got := f.ofKey("good", "k"); len(got) != 3 {
				t.Errorf("got %v", got)
			}
		})
	}
}

// TestFullIsNotHeldUp: a window that is full holds nothing up as long as it moves.
func TestFullIsNotHeldUp(t *testing.T) {
	o := newOutbox()
	cfg := newFake().config()
	cfg.ID, cfg.Hooks, cfg.Outstanding = o.id.Egress, o.hooks(), 1
	m := begin(t, o, cfg)
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}
	r := m.relay
	said := func(at time.Time) bool {
		r.launch(t.Context(), at)
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.degraded["egress shop/out: held up"] != ""
	}
	output := func(number uint64) *item {
		return &item{number: number, output: &api.Output{}, place: place{stream: "s"}}
	}
	r.window = []*item{output(1), output(2)}
	r.movedAt = time.Now().Add(-r.cfg.pace.held)
	r.window[0].done = true
	before := time.Now()
	r.advance()
	after := time.Now()
	if said(before.Add(r.cfg.pace.held - 1)) {
		t.Error("it is said though the window has moved")
	}
	if !said(after.Add(r.cfg.pace.held)) {
		t.Error("it is not said")
	}
	r.window[0].done = true
	r.advance()
	if said(after.Add(r.cfg.pace.held)) {
		t.Error("it is said though the window is empty")
	}
}
