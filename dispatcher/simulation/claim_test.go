package simulation_test

import (
	"context"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// checkClaim holds what the store answers to a new owner against what it was told.
func (l *life) checkClaim(c *statestore.Claim) {
	if c.NextNumber <= l.durable.highest {
		l.failf("numbers", "the next message gets number %d, and %d is given", c.NextNumber, l.durable.highest)
	}
	l.checkPauses(c)
	l.checkActs(c)
	l.checkForgotten(c)
	for _, lane := range c.Lanes {
		if lane.Next < l.lanes[lane.Egress] {
			l.failf("numbers", "lane %s goes on at %d, and has come to %d", lane.Egress, lane.Next, l.lanes[lane.Egress])
		}
		l.lanes[lane.Egress] = lane.Next
	}
	for i := range c.Progress {
		p := &c.Progress[i]
		if p.Position() < l.positions[p.Source] {
			l.failf("position", "%v is read from %d on, and was read from %d", p.Source, p.Position(), l.positions[p.Source])
		}
		l.positions[p.Source] = p.Position()
	}
}

// checkStates compares every address's states in the store with the model's.
func (l *life) checkStates(h handle) map[api.Address][]int {
	var all []api.Address
	for _, t := range l.w.types {
		for _, id := range l.w.ids {
			all = append(all, api.Address{Type: t, ID: id})
		}
	}
	found, err := h.States(context.Background(), all)
	if err != nil {
		l.failf("store", "states: %v", err)
	}
	logs := map[api.Address][]int{}
	for i, a := range all {
		want := l.durable.addresses[a]
		marks := map[string]mark{stateWrite: want.write, stateInvoke: want.invoke}
		for _, v := range found[i].Values {
			if v.Name == stateLog {
				logs[a] = decodeLog(v.Value)
				continue
			}
			m, ok := marks[v.Name]
			if !ok || !m.set || string(v.Value) != l.w.nodes[m.node].mark() {
				l.failf("state", "%v has the state %s %.20q, want %+v", a, v.Name, v.Value, m)
			}
			delete(marks, v.Name)
		}
		for name, m := range marks {
			if m.set && m.touched+l.w.ttl(name) > l.latest {
				l.failf("state", "%v has lost the state %s, want %+v; the latest clock says %d", a, name, m, l.latest)
			}
		}
		if !slices.Equal(logs[a], want.log) {
			l.failf("state", "%v has the log %v, want %v", a, logs[a], want.log)
		}
		logs[a] = withoutEdits(logs[a])
	}
	return logs
}
