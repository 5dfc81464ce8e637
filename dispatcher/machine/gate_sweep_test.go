package machine

import (
	"strconv"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// TestQueuesForgetWhoLeft: behind calls that hang, addresses whose mailboxes are spilled and read back again and again do not gather in
// the queues of their endpoint, and who still waits keeps its place.
func TestQueuesForgetWhoLeft(t *testing.T) {
	m := New(Config{Function: func(api.FunctionType) (Function, bool) { return Function{Endpoint: "http://x"}, true }}, &statestore.Claim{}, 1)
	const addresses, rounds = 500, 50
	var g *gate
	for range rounds {
		for i := range addresses { // each time a cell of its own, as when it is read back
			a := api.Address{Type: api.FunctionType{Namespace: "x", Name: "y"}, ID: strconv.Itoa(i)}
			c := &cell{address: a, fn: m.function(a.Type), timerIndex: -1}
			g = c.fn.gate
			c.alone, c.failedSince = i%3 == 1, int64(i%3/2)
			m.makeReady(c)
			if i > 0 {
				c.phase = idle // as spillCell leaves it
			}
		}
	}
	if n := g.queued(); n > 2*sweepFrom {
		t.Errorf("%d cells stand in the queues, of %d addresses", n, addresses)
	}
	waiting := 0
	for _, q := range [][]*cell{g.fresh.all(), g.alone.all(), g.retry.all()} {
		for _, c := range q {
			if c.phase == ready {
				waiting++
			}
		}
	}
	if waiting != rounds {
		t.Errorf("%d of those that wait stand in the queues, want all %d", waiting, rounds)
	}
}
