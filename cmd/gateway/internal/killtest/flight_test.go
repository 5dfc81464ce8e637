//go:build unix

package killtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// flight is records on their way through a gateway: who sends them, and where each of them comes out.
type flight struct {
	*world
	producers []*producer
	out       *reader
	base      int     // outputs that were visible when the gateway began
	committed float64 // commits that its process had made then
	kills     int
	lives     int
}

func (f *flight) start(g *testgateway.Gateway) {
	f.t.Helper()
	f.base, f.committed = f.out.count(), 0
	f.lives++
	g.Start()
}

// acked is how many records the broker has taken.
func (f *flight) acked() (n int) {
	for _, p := range f.producers {
		n += int(p.acked.Load())
	}
	return n
}

func (f *flight) allowed() (n int) {
	for _, p := range f.producers {
		n += int(p.allowed.Load())
	}
	return n
}

// allow lets n more records out, in all.
func (f *flight) allow(n int) {
	for _, p := range f.producers {
		p.allow(n / len(f.producers))
	}
}

// silenceMax is how long a gateway may deliver nothing before it is asked whether a lane stands still. Nothing that is done here may
// bring it to that.
const silenceMax = 10 * time.Second

// moment lets records out, waits until the gateway has committed and delivered since it began, and then for a moment that is
// drawn: some part of these records is out, the others follow.
func (f *flight) moment(what string, g *testgateway.Gateway, records int) {
	f.t.Helper()
	from := f.acked()
	f.allow(records)
	after := from + int(float64(records)*(0.1+0.6*f.rand.Float64()))
	began := time.Now()
	testgateway.Poll(f.t, "a moment for "+what, func() (bool, string) {
		g.MustRun()
		commits, visible, acked := g.Samples().Commits(), f.out.count(), f.acked()
		if visible == f.base && time.Since(began) > silenceMax {
			if r, err := g.Readiness(); err == nil && r.Says(testgateway.StandsStill) {
				f.t.Fatalf("%s delivers nothing: %v", g.Name, r)
			}
		}
		if sent := f.allowed(); visible > sent {
			f.t.Fatalf("%s: %d of at most %d records (seed %d)", wrongOutputs, visible, sent, f.seed)
		}
		if acked >= f.allowed() {
			f.allow(records / 4) // the gateway needs long to begin: something must be under way when it has begun
		}
		return commits > f.committed && visible > f.base && acked >= after && acked > visible,
			fmt.Sprintf("%v commits, %d outputs since it began, %d records of %d", commits-f.committed, visible-f.base, acked, after)
	})
	f.t.Logf("%6d records, %6d outputs: %s", f.acked(), f.out.count(), what)
}

// kill is kill -9, in the midst of records and after a commit of this life, or the test fails. last is what its metrics said before.
func (f *flight) kill(g *testgateway.Gateway, last testgateway.Samples) {
	f.t.Helper()
	acked := f.acked()
	g.Kill()
	f.kills++
	// Nobody delivers now: what is visible is all that got through.
	if visible := f.out.settle(); visible >= acked {
		f.t.Fatalf("a kill found nothing in flight: %d records were acknowledged before it and %d outputs are visible", acked, visible)
	}
	if last.Commits() <= f.committed {
		f.t.Fatal("a kill found no commit since the start")
	}
}

// sound fails the test at once when an output is wrong already.
func (f *flight) sound(after string) {
	f.t.Helper()
	if wrong := f.out.early(); wrong != "" {
		f.t.Fatalf("%s after %q, if not before (seed %d): %s", wrongOutputs, after, f.seed, wrong)
	}
}

// finish waits for everything, and answers what must have come out, in all and of each producer.
func (f *flight) finish(t *testing.T) (all map[string]int, each []map[string]int) {
	t.Helper()
	all = map[string]int{}
	for _, p := range f.producers {
		want := p.finish(t)
		each = append(each, want)
		for key, n := range want {
			all[key] += n
		}
	}
	f.out.untilCount(f.acked())
	return all, each
}
