package machine

import "math"

// look goes through all addresses that wait. There may be a million of them: it goes on over many turns, between which the machine does
// its work, so what it sees is not of one moment. There is one look at a time: whoever asks sees to it.
type look struct {
	number uint32
	lists  []func() []*cell // that are to be looked through
	at     int              // place in the first of them; what is there and above has been seen
}

// looksPerTurn is how many addresses are looked at in one turn of the loop.
const looksPerTurn = 2_000

// newLook begins a look at those in back-off, in the queues of endpoints, and behind a pause.
func (m *Machine) newLook() look {
	m.looks++
	l := look{number: m.looks, at: math.MaxInt, lists: []func() []*cell{func() []*cell { return m.backoffs }}}
	for _, g := range m.gateList {
		for _, q := range []*fifo[*cell]{&g.fresh, &g.alone, &g.retry} {
			if q.len() > 0 {
				l.lists = append(l.lists, q.all)
			}
		}
	}
	for _, f := range m.functionList {
		if f.held.len() > 0 {
			l.lists = append(l.lists, f.held.all)
		}
	}
	return l
}

// lookAtCalls sees those whose calls are out, which are no more than there are slots.
func (m *Machine) lookAtCalls(l *look, see func(c *cell)) {
	for _, f := range m.flights {
		l.once(f.cell, see)
	}
}

// goOn looks at some more, each once, and reports whether that was all. It goes through each list from its end: what is taken out between
// two turns is taken out at the front, and what stands behind it moves to the front, where it is still to be seen.
func (l *look) goOn(see func(c *cell)) (done bool) {
	for left := looksPerTurn; left > 0; {
		if len(l.lists) == 0 {
			return true
		}
		list := l.lists[0]()
		l.at = min(l.at, len(list))
		some := list[max(0, l.at-left):l.at]
		for i := len(some) - 1; i >= 0; i-- {
			l.once(some[i], see)
		}
		left -= len(some)
		if l.at -= len(some); l.at == 0 {
			l.lists, l.at = l.lists[1:], math.MaxInt
		}
	}
	return len(l.lists) == 0
}

// once sees an address that it has not seen.
func (l *look) once(c *cell, see func(c *cell)) {
	if c.looked != l.number {
		c.looked = l.number
		see(c)
	}
}
