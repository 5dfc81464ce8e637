package machine

import (
	"fmt"
	"slices"

	"github.com/stategate/stategate/statestore"
)

// What is kept for an ingress or an egress that the module does not declare any more stays until an operator has it forgotten: it may
// come back. What it declares is never forgotten.

// ForgetIngress tells that an operator wants nothing to be known of an ingress any more: should it come back, it begins anew. The token is
// Done when that is durable. found is false when nothing is known of it, and why says why it cannot be; the token is never Done then.
func (m *Machine) ForgetIngress(id, by string, token uint64) (found bool, why string) {
	var of []*source
	for _, s := range m.sourceList {
		if s.id.Ingress == id {
			of = append(of, s)
		}
	}
	_, paused := m.pauses.ingresses[id]
	switch {
	case m.cfg.Ingresses[id] || slices.ContainsFunc(of, func(s *source) bool { return s.read }):
		return true, fmt.Sprintf("the module declares ingress %s", id)
	case len(of) == 0 && !paused:
		return false, ""
	}
	if paused {
		m.pause(statestore.Pause{Kind: statestore.PauseIngress, Ingress: id, By: by, Ended: true}, 0)
	}
	for _, s := range of {
		m.progressEnds = append(m.progressEnds, s.id)
		delete(m.sources, s.id)
		m.hope(s, false)
	}
	gone := func(s *source) bool { return s.id.Ingress == id }
	m.sourceList = slices.DeleteFunc(m.sourceList, gone)
	m.judged = slices.DeleteFunc(m.judged, gone)
	m.act(by, "forget", "ingress "+id, fmt.Sprintf("positions of %d sources", len(of)))
	m.waitFor(token)
	return true, ""
}

// ForgetEgress is ForgetIngress for the outputs of an egress that wait: nobody will deliver them. Its lanes and their numbers stay.
func (m *Machine) ForgetEgress(id, by string, token uint64) (found bool, why string) {
	if _, declared := m.cfg.Egresses[id]; declared {
		return true, fmt.Sprintf("the module declares egress %s", id)
	}
	var outputs uint64
	var bytes int64
	for i := range m.strangers {
		l := &m.strangers[i]
		if l.Egress != id || l.Low == l.Next {
			continue
		}
		outputs, bytes = outputs+l.Next-l.Low, bytes+l.Bytes
		m.dropped = append(m.dropped, statestore.Trim{Lane: l.LaneID, Below: l.Next})
		l.Low, l.Bytes = l.Next, 0
	}
	if outputs == 0 {
		return false, ""
	}
	m.act(by, "forget", "egress "+id, fmt.Sprintf("%s, %d bytes", counted(int64(outputs), "output that waited", "outputs that waited"), bytes))
	m.waitFor(token)
	return true, ""
}

// cutForgotten writes what is forgotten.
func (m *Machine) cutForgotten(c *statestore.Commit) {
	for _, id := range m.progressEnds {
		if m.sources[id] == nil { // else it has come back, and is in Progress
			c.ProgressEnds = append(c.ProgressEnds, id)
		}
	}
	m.progressEnds = nil
	c.Trims, m.dropped = append(c.Trims, m.dropped...), nil
}
