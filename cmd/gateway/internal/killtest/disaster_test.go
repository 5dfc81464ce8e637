//go:build unix

package killtest

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

// single is one gateway on a file, one producer, and what comes out.
type single struct {
	flight
	path string
	g    *testgateway.Gateway
}

func newSingle(t *testing.T) *single {
	t.Helper()
	w := newWorld(t, testserver.Kafka(t).Addr())
	path, url := w.sqlite()
	return &single{path: path, g: w.newGateway("gateway", url, "--drain-timeout", "2s"), flight: flight{
		world: w, out: newReader(t, w.broker, w.topic("counts")),
		producers: []*producer{newProducer(t, w.broker, w.topic("events"), "x", 1000, keys(w.seed, "key-", 40))},
	}}
}

// count sends records, waits until all have come out, and stops the gateway.
func (s *single) count(records int) (want map[string]int) {
	s.t.Helper()
	s.start(s.g)
	s.allow(records)
	want, _ = s.finish(s.t)
	s.g.Stop()
	return want
}

// halted waits until the gateway says that the lane stands still, lets it commit outputs that it must not deliver, and looks.
func (s *single) halted(reason string, outputs int) {
	s.t.Helper()
	r := s.g.Until("degraded by "+reason, func(r testgateway.Readiness) bool { return r.Says(reason) })
	if !testgateway.IsActive(r) {
		s.t.Errorf("got %v, want it ready: what needs no outputs goes on", r)
	}
	s.t.Logf("/readyz: %v", r)
	testgateway.Poll(s.t, "outputs in the outbox", func() (bool, string) {
		s.g.MustRun()
		n := s.g.Samples().Sum("stategate_outbox_records", nil)
		return n >= float64(outputs), fmt.Sprintf("%v of %d", n, outputs)
	})
}

// nothing fails the test when more than so many outputs are visible.
func (s *single) nothing(before int) {
	s.t.Helper()
	if n := s.out.settle(); n != before {
		s.t.Errorf("%d outputs are visible, want none beyond the %d from before", n, before)
	}
}

// files removes, copies or brings back the store's files.
func (s *single) files(do func(name string) error) {
	s.t.Helper()
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := do(s.path + suffix); err != nil && !os.IsNotExist(err) {
			s.t.Fatal(err)
		}
	}
}

var transactional = regexp.MustCompile(`transactionalID=(\S+)`)

// lanes are the transactional ids that the gateway has used, in order.
func (s *single) lanes() (ids []string) {
	s.t.Helper()
	for _, line := range s.g.Logged("transactionalID=") {
		if id := transactional.FindStringSubmatch(line)[1]; !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// A store that is made anew knows nothing of the old one's cursor, and begins where the module says.
func TestStoreRemoved(t *testing.T) {
	s := newSingle(t)
	want := s.count(300)
	s.files(os.Remove)
	s.start(s.g)
	s.out.untilCount(600)
	if r := s.g.Until("active", testgateway.IsActive); r.Status != "ok" {
		t.Errorf("got %v, want no reasons", r)
	}
	s.g.Stop()
	if s.out.settle() != 600 {
		t.Errorf("got %d outputs, want 300 twice", s.out.count())
	}
	for key, l := range s.out.lines() {
		n := want[key]
		first, second := judgeLine(&line{values: l.values[:min(n, len(l.values))]}, n), judgeLine(&line{values: l.values[min(n, len(l.values)):]}, n)
		if first.String() != "" || second.String() != "" {
			t.Errorf("%s: got %v, want 1 to %d twice", key, l.values, n)
		}
	}
	if ids := s.lanes(); len(ids) != 2 {
		t.Errorf("got transactional ids %v, want one for each store", ids)
	}
}

// Two applications with the same egress id do not know of each other.
func TestTwoApplications(t *testing.T) {
	broker, server := testserver.Kafka(t).Addr(), testserver.Postgres(t).URL()
	var apps []*flight
	var gateways []*testgateway.Gateway
	for _, name := range []string{"one", "other"} {
		w := newNamedWorld(t, broker, t.Name()+"/"+name)
		f := &flight{world: w, out: newReader(t, broker, w.topic("counts")),
			producers: []*producer{newProducer(t, broker, w.topic("events"), "x", 200, keys(w.seed, "key-", 40))}}
		g := w.newGateway(name, w.postgres(server))
		f.start(g)
		f.allow(1_000_000)
		apps, gateways = append(apps, f), append(gateways, g)
	}
	for range 3 { // each begins in the midst of the other's transactions
		for i, f := range apps {
			f.out.untilCount(f.base + 50)
			gateways[i].Stop()
			f.start(gateways[i])
		}
	}
	for i, f := range apps {
		want := f.producers[0].halt(t)
		f.out.untilCount(f.acked())
		gateways[i].Stop()
		f.verify(f.topic("counts"), want)
		for _, text := range []string{"another session", "another member", "taken over"} {
			if lines := gateways[i].Logged(text); len(lines) > 0 {
				t.Errorf("%s was disturbed: %v", gateways[i].Name, lines)
			}
		}
	}
}

// A cursor that Kafka has forgotten stops the lane until somebody decides: what the text of the reason says, and then all is well.
func TestCursorForgotten(t *testing.T) {
	s := newSingle(t)
	s.count(300)
	group := s.lanes()[0]
	s.deleteGroup(group)
	s.start(s.g)
	s.allow(100)
	s.halted("cursor lost", 100)
	s.nothing(300)
	s.g.Stop()
	s.nothing(300)

	s.setCursor(group, 301)
	s.start(s.g)
	want, _ := s.finish(t)
	s.g.Stop()
	s.verify(s.topic("counts"), want)
}

// A store that was brought back from an older copy knows of fewer outputs than were delivered: the lane stops.
func TestStoreOlder(t *testing.T) {
	s := newSingle(t)
	s.count(200)
	s.files(func(name string) error {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return os.WriteFile(name+".copy", data, 0o644)
	})
	s.count(300)
	s.files(os.Remove)
	s.files(func(name string) error { return os.Rename(name+".copy", name) })
	s.start(s.g)
	s.halted("store is older", 300) // the records behind the copy were read and counted again
	s.nothing(500)
	s.g.Stop()
	s.start(s.g) // the numbers of the lane have passed the cursor: it is its claim that the store does not know
	s.halted("store is older", 300)
	s.g.Stop()
	s.nothing(500)
}
