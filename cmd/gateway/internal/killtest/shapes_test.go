//go:build unix

package killtest

import (
	"testing"

	"github.com/stategate/stategate/internal/testserver"
)

// TestKillShapes sends records through a chain of ten functions, a cycle of two, and a topic for two functions of which one is down
// for a while. All of them end in test/count with the same ids, so what they bring is counted together.
func TestKillShapes(t *testing.T) {
	const kills, records = 5, 600
	w := newWorld(t, testserver.Kafka(t).Addr())
	_, store := w.sqlite()
	g := w.newGateway("gateway", store)
	f := &flight{world: w, out: newReader(t, w.broker, w.topic("counts"))}
	for _, p := range []struct{ topic, value string }{{"both", "x"}, {"chain", "x"}, {"cycle", "9"}} {
		f.producers = append(f.producers, newProducer(t, w.broker, w.topic(p.topic), p.value, 150, keys(w.seed, "key-", 60)))
	}
	audits := newReader(t, w.broker, w.topic("audits"))
	w.functions.control("down", "audit")
	for n := range kills {
		f.start(g)
		if n == kills-1 {
			f.finish(t) // the neighbours of the one that is down have not waited for it
			if n := audits.settle(); n != 0 {
				t.Errorf("got %d outputs of a function that is down", n)
			}
			w.functions.control("up", "audit")
		}
		f.moment("kill -9", g, records)
		f.kill(g, g.Samples())
		f.sound("kill -9")
	}
	f.start(g)
	counts, each := f.finish(t)
	audits.untilCount(int(f.producers[0].acked.Load()))
	g.Stop()
	w.verify(w.topic("counts"), counts)
	w.verify(w.topic("audits"), each[0])
}
