package machine

import (
	"cmp"
	"container/heap"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// What an operator has paused. No call to a paused address or function starts; one that is out ends as ever. Its messages gather, are
// kept and are spilled as those of a function that is down, so the same bounds hold, and its timers fire into its mailboxes. The sources of
// a paused ingress bring nothing. A pause counts from the moment it is asked for, and is in the store before whoever asked is told: it is
// still there for the next owner, who knows it before its first call.
type pauses struct {
	addresses map[api.Address]statestore.Pause
	functions map[api.FunctionType]statestore.Pause
	ingresses map[string]statestore.Pause
	news      []statestore.Pause       // of the next cut
	places    map[statestore.Pause]int // in news, by what they are of
}

// PausesMax bounds what may be paused at a time: each is in memory, and in every claim.
const PausesMax = 10_000

func (m *Machine) claimPauses(claim *statestore.Claim) {
	m.pauses = pauses{
		addresses: map[api.Address]statestore.Pause{}, functions: map[api.FunctionType]statestore.Pause{}, ingresses: map[string]statestore.Pause{},
		places: map[statestore.Pause]int{},
	}
	for _, p := range claim.Pauses {
		m.pauses.set(p)
	}
}

// pauseKey is a pause with nothing but what it is of.
func pauseKey(p statestore.Pause) statestore.Pause {
	switch p.Kind {
	case statestore.PauseAddress:
		return statestore.Pause{Kind: p.Kind, Address: p.Address}
	case statestore.PauseFunction:
		return statestore.Pause{Kind: p.Kind, Address: api.Address{Type: p.Address.Type}}
	}
	return statestore.Pause{Kind: p.Kind, Ingress: p.Ingress}
}

// set begins or ends a pause.
func (ps *pauses) set(p statestore.Pause) {
	switch {
	case p.Kind == statestore.PauseAddress && p.Ended:
		delete(ps.addresses, p.Address)
	case p.Kind == statestore.PauseAddress:
		ps.addresses[p.Address] = p
	case p.Kind == statestore.PauseFunction && p.Ended:
		delete(ps.functions, p.Address.Type)
	case p.Kind == statestore.PauseFunction:
		ps.functions[p.Address.Type] = p
	case p.Ended:
		delete(ps.ingresses, p.Ingress)
	default:
		ps.ingresses[p.Ingress] = p
	}
}

// find is the pause of the same thing.
func (ps *pauses) find(p statestore.Pause) (found statestore.Pause, ok bool) {
	switch p.Kind {
	case statestore.PauseAddress:
		found, ok = ps.addresses[p.Address]
	case statestore.PauseFunction:
		found, ok = ps.functions[p.Address.Type]
	case statestore.PauseIngress:
		found, ok = ps.ingresses[p.Ingress]
	}
	return found, ok
}

func (ps *pauses) len() int { return len(ps.addresses) + len(ps.functions) + len(ps.ingresses) }

// Pause begins a pause, or ends it (Ended). The token is Done when that is durable; what is as it should be is no change, and no act.
func (m *Machine) Pause(p statestore.Pause, token uint64) *Denial {
	if d := m.denyMend(); d != nil {
		return d
	}
	if d := m.denyPause(p); d != nil {
		return d
	}
	m.pause(p, token)
	return nil
}

func (m *Machine) pause(p statestore.Pause, token uint64) {
	p = statestore.Pause{Kind: p.Kind, Address: p.Address, Ingress: p.Ingress, By: cutText(p.By), AtMS: m.now, Ended: p.Ended}
	if p.Kind == statestore.PauseFunction {
		p.Address.ID = ""
	}
	if _, there := m.pauses.find(p); there != p.Ended {
		m.mended(token) // it may not be durable yet
		return
	}
	m.pauses.set(p)
	if at, ok := m.pauses.places[pauseKey(p)]; ok {
		m.pauses.news[at] = p
	} else {
		m.pauses.places[pauseKey(p)] = len(m.pauses.news)
		m.pauses.news = append(m.pauses.news, p)
	}
	what := "pause"
	if p.Ended {
		what = "resume"
	}
	m.act(p.By, what, pausedText(p), "")
	m.effectBytes += len(p.By) + len(p.Address.ID) + len(p.Ingress)
	m.mended(token)
	switch p.Kind {
	case statestore.PauseAddress:
		m.pauseAddress(p)
	case statestore.PauseFunction:
		m.pauseFunction(p)
	case statestore.PauseIngress:
		m.pauseIngress(p)
	}
}

// denyPause says why there can be no such pause. One that is over can always be ended.
func (m *Machine) denyPause(p statestore.Pause) *Denial {
	var err error
	switch p.Kind {
	case statestore.PauseAddress:
		err = api.CheckAddress(p.Address)
	case statestore.PauseFunction:
		err = api.CheckAddress(api.Address{Type: p.Address.Type})
	case statestore.PauseIngress:
		if most := 2*api.NameBytesMax + 1; p.Ingress == "" || len(p.Ingress) > most || strings.ToValidUTF8(p.Ingress, "") != p.Ingress || strings.Contains(p.Ingress, "\x00") {
			err = fmt.Errorf("ingress id of %d bytes: 1 to %d bytes of UTF-8 without NUL are allowed", len(p.Ingress), most)
		}
	default:
		err = fmt.Errorf("a pause is of an address, a function or an ingress")
	}
	if err != nil {
		return &Denial{Detail: err.Error(), Remedy: "name what there is"}
	}
	if p.Ended {
		return nil
	}
	if p.Kind != statestore.PauseIngress {
		if d := m.denyFunction(p.Address.Type); d != nil {
			return d
		}
	}
	if _, there := m.pauses.find(p); !there && m.pauses.len() >= PausesMax {
		return &Denial{Detail: fmt.Sprintf("%d pauses are in force, which is the most there may be", PausesMax), Remedy: "resume some, or pause the function instead of its addresses"}
	}
	return nil
}

// denyFunction says why nothing of a function can be mended: it has no calls.
func (m *Machine) denyFunction(t api.FunctionType) *Denial {
	if t == ReplyType || t == OnceType {
		return &Denial{Detail: fmt.Sprintf("%s is no function of the module", t), Remedy: "name one that GET /v1/functions lists"}
	}
	if _, declared := m.functionConfig(t); !declared {
		return &Denial{Detail: fmt.Sprintf("the module does not declare the function %s, so it is not called", t), Remedy: "GET /v1/functions lists those that it declares; what waits for another one goes on when the module declares it"}
	}
	return nil
}

// InForce reports whether there is such a pause, whoever began it.
func (m *Machine) InForce(p statestore.Pause) bool {
	_, there := m.pauses.find(p)
	return there
}

func pausedText(p statestore.Pause) string {
	switch p.Kind {
	case statestore.PauseAddress:
		return "address " + p.Address.String()
	case statestore.PauseFunction:
		return "function " + p.Address.Type.String()
	}
	return "ingress " + p.Ingress
}

// paused reports whether no call to the cell's address may start.
func (m *Machine) paused(c *cell) bool {
	if c.fn.paused {
		return true
	}
	return len(m.pauses.addresses) > 0 && m.pausedAddress(c.address)
}

// pausedAddress reports whether the address has a pause of its own.
func (m *Machine) pausedAddress(a api.Address) bool {
	_, ok := m.pauses.addresses[a]
	return ok
}

// hold has a cell with mail wait until its pause is over. It may still stand in a queue of its gate, which passes it over.
func (m *Machine) hold(c *cell) {
	c.phase, c.hurried = held, false
	if c.listed {
		return
	}
	c.listed = true
	f := c.fn
	if n := f.held.len(); n >= max(f.heldSweep, sweepFrom) { // some have been spilled meanwhile
		f.held.set(slices.DeleteFunc(f.held.all(), func(c *cell) bool {
			c.listed = c.phase == held
			return !c.listed
		}))
		f.heldSweep = 2 * f.held.len()
	}
	f.held.push(c)
}

// release lets a cell go on that was held. It is tried at once, also when it was to be tried later: whoever resumes it wants that.
func (m *Machine) release(c *cell) {
	if c.phase == held {
		m.makeReady(c)
	}
}

func (m *Machine) pauseAddress(p statestore.Pause) {
	c := m.cells[p.Address]
	switch {
	case !p.Ended && c != nil && (c.phase == ready || c.phase == backoff):
		if c.timerIndex >= 0 {
			heap.Remove(&m.backoffs, c.timerIndex)
		}
		m.hold(c)
	case p.Ended && c != nil && !m.paused(c):
		if c.listed {
			c.listed = false
			c.fn.held.set(slices.DeleteFunc(c.fn.held.all(), func(h *cell) bool { return h == c }))
		}
		m.release(c)
		m.settle(c)
	}
	if f := m.functions[p.Address.Type]; p.Ended && c == nil && f != nil { // walks have passed it over
		m.unwatch(f)
		f.forgot = f.forgot || f.walking || f.cursor != nil
	}
}

// pauseFunction holds what waits for a slot or for its next attempt, or lets it go on, in order.
func (m *Machine) pauseFunction(p statestore.Pause) {
	f := m.functions[p.Address.Type]
	if f == nil {
		return // it has not been heard of: whoever makes it looks
	}
	f.paused = !p.Ended
	if f.paused {
		for _, q := range []*fifo[*cell]{&f.gate.fresh, &f.gate.alone, &f.gate.retry} {
			for _, c := range q.all() {
				if c.fn == f && c.phase == ready {
					m.hold(c)
				}
			}
		}
		m.backoffs = slices.DeleteFunc(m.backoffs, func(c *cell) bool {
			if c.fn != f {
				return false
			}
			c.timerIndex = -1
			m.hold(c)
			return true
		})
		for i, c := range m.backoffs {
			c.timerIndex = i
		}
		heap.Init(&m.backoffs)
		return
	}
	waiting := f.held.all()
	f.held, f.heldSweep = fifo[*cell]{}, 0
	for _, c := range waiting {
		c.listed = false
	}
	for _, c := range waiting {
		m.release(c)
	}
	if f.unwatched {
		m.unwatch(f)
	}
}

func (m *Machine) pauseIngress(p statestore.Pause) {
	for _, s := range m.sourceList {
		if s.id.Ingress == p.Ingress {
			s.paused = !p.Ended
			m.judgeSource(s)
		}
	}
}

// cutPauses writes those that have begun or ended since the last cut.
func (m *Machine) cutPauses(c *statestore.Commit) {
	c.Pauses, m.pauses.news = m.pauses.news, nil
	clear(m.pauses.places)
}

// Paused lists what is paused, sorted by kind and by what it is of.
func (m *Machine) Paused() []statestore.Pause {
	all := slices.Collect(maps.Values(m.pauses.addresses))
	all = slices.AppendSeq(all, maps.Values(m.pauses.functions))
	all = slices.AppendSeq(all, maps.Values(m.pauses.ingresses))
	slices.SortFunc(all, func(a, b statestore.Pause) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Ingress, b.Ingress), strings.Compare(a.Address.Type.String(), b.Address.Type.String()), strings.Compare(a.Address.ID, b.Address.ID))
	})
	return all
}

// pauseReasons are one for each function and ingress that is paused, and one for all addresses.
func (m *Machine) pauseReasons() (out []Reason) {
	for _, p := range m.Paused() {
		if p.Kind == statestore.PauseAddress {
			continue
		}
		does := "it is not called, and its messages wait"
		if p.Kind == statestore.PauseIngress {
			does = "it brings nothing"
		}
		out = append(out, Reason{"paused", "paused " + pausedText(p), fmt.Sprintf("%s was paused by an operator: %s until it is resumed", pausedText(p), does)})
	}
	if n := len(m.pauses.addresses); n > 0 {
		out = append(out, Reason{"paused", "paused addresses", counted(int64(n), "address was", "addresses were") + " paused by an operator: no call starts until that is resumed"})
	}
	return out
}

// heldText is what waits for a function that is paused; "": nothing.
func (f *function) heldText() string {
	var all []string
	if n := int64(f.held.len()); n > 0 {
		all = append(all, counted(n, "address in memory waits", "addresses in memory wait"))
	}
	if n := f.stored + f.strange; n > 0 {
		all = append(all, counted(n, "message is", "messages are")+" in the store alone")
	}
	if len(all) == 0 {
		return ""
	}
	return "; " + strings.Join(all, ", and ")
}
