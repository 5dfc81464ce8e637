package machine

import "github.com/stategate/stategate/statestore"

// act notes what an operator has done. The commit that holds its effect holds it too: neither is there without the other.
func (m *Machine) act(by, what, on, detail string) {
	a := statestore.Act{Number: m.nextAct, AtMS: m.now, By: cutText(by), What: what, On: cutText(on), Detail: cutText(detail)}
	m.nextAct++
	m.acts = append(m.acts, a)
	m.effects++
	m.effectBytes += len(a.By) + len(a.What) + len(a.On) + len(a.Detail)
	m.effect(true)
}

// Act notes what an operator does elsewhere. The token is Done when that is durable.
func (m *Machine) Act(by, what, on, detail string, token uint64) *Denial {
	if d := m.denyMend(); d != nil {
		return d
	}
	m.act(by, what, on, detail)
	m.mended(token)
	return nil
}
