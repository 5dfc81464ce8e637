package machine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// Why something is stuck. Those that concern egresses and the store are told by who knows them.
const (
	StuckEndpointDown  = "endpoint_down"     // the endpoint cannot be reached, or says that it is overloaded
	StuckEndpointBusy  = "endpoint_busy"     // all its slots are taken by calls that take long
	StuckPoisoned      = "poisoned"          // the function itself keeps answering badly
	StuckTimesOut      = "times_out"         // the function does not answer in time
	StuckPaused        = "paused"            // an operator has stopped it
	StuckUndeclared    = "undeclared"        // the module does not declare it any more
	StuckBound         = "bound_reached"     // or nearly: 95 %
	StuckDeadLetters   = "dead_letters_full" // no more may be set aside
	StuckEgressAway    = "egress_away"
	StuckLaneHalted    = "lane_halted"
	StuckIngressHalted = "ingress_halted"
	StuckStoreAway     = "store_away"
	StuckStoreSlow     = "store_slow"
)

// What is stuck, or what it waits for.
const (
	OnAddress  = "address"
	OnFunction = "function"
	OnEndpoint = "endpoint"
	OnIngress  = "ingress"
	OnEgress   = "egress"
	OnStore    = "store"
	OnBound    = "bound"
)

// Stuck is one thing that waits longer than it should, or all that wait for one thing.
type Stuck struct {
	Cause     string
	Since     int64 // Unix milliseconds; 0: nobody knows
	Kind      string
	Name      string
	Address   api.Address // the one, or the oldest of several; zero: none
	Message   uint64      // at the front of its mailbox; 0: none, or only in the store
	Count     int64       // addresses that it concerns; of bounds, what is used
	Text      string
	LastError string
	ByItself  bool // the message at fault is set aside before long, without anybody's doing
}

const (
	stuckAfter = 5_000  // milliseconds for which an attempt may fail, or an address wait for a slot, before it is told
	slowAfter  = 10_000 // the same of a call that is out
	stuckShown = 10     // addresses of one function and cause that are told one by one; the others by their number
	nearlyFull = 95     // percent of a bound
)

// StuckLook is a look for what is stuck.
type StuckLook struct {
	look
	groups map[stuckKey]*stuckGroup
}

// stuckKey tells those apart that are told apart.
type stuckKey struct {
	cause string
	fn    *function // nil: of the gate
	gate  *gate
}

type stuckGroup struct {
	count  int64
	oldest []stuckCell // the oldest first, at most stuckShown
}

type stuckCell struct {
	since   int64
	address api.Address
	message uint64
	failed  string
	late    bool  // its last attempt had no answer in time; else a call is out
	aside   int64 // milliseconds until the message at fault is set aside by itself, as far as can be told; -1: never
}

// LookForStuck begins a look; GoOn goes on with it until that was all, and Told tells what it has found.
func (m *Machine) LookForStuck() *StuckLook {
	l := &StuckLook{look: m.newLook(), groups: map[stuckKey]*stuckGroup{}}
	m.lookAtCalls(&l.look, func(c *cell) { m.lookAt(l, c) })
	return l
}

// GoOn looks at some more, and reports whether that was all.
func (m *Machine) GoOn(l *StuckLook) (done bool) {
	return l.goOn(func(c *cell) { m.lookAt(l, c) })
}

// lookAt judges one address that waits.
func (m *Machine) lookAt(l *StuckLook, c *cell) {
	g, failedSince := c.fn.gate, c.failedSince
	if c.phase == calling && c.failKind == FailEndpoint && !g.open && g.lastSuccess >= c.callSince {
		failedSince = 0 // its endpoint answers again: the call that is out is another matter
	}
	if c.fn.name == OnceType || c.mail.len() == 0 || c.phase != ready && c.phase != calling && c.phase != backoff {
		return
	}
	switch {
	case failedSince != 0 && (g.open || m.now-failedSince >= stuckAfter):
		m.lookAtFailing(l, c)
	case c.phase == calling && m.now-c.callSince >= slowAfter:
		l.add(stuckKey{StuckTimesOut, c.fn, nil}, c, c.callSince, m.now)
	case c.phase == ready && g.open:
		l.add(stuckKey{StuckEndpointDown, nil, g}, c, c.mail.front().arrived, m.now)
	case c.phase == ready && m.now-c.mail.front().arrived >= stuckAfter:
		l.add(stuckKey{StuckEndpointBusy, nil, g}, c, c.mail.front().arrived, m.now)
	}
}

func (m *Machine) lookAtFailing(l *StuckLook, c *cell) {
	g := c.fn.gate
	switch {
	case c.crowded:
		l.add(stuckKey{StuckDeadLetters, c.fn, nil}, c, c.failedSince, m.now)
	case c.failKind == FailEndpoint, c.failKind == FailTimeout && g.open:
		l.add(stuckKey{StuckEndpointDown, nil, g}, c, c.failedSince, m.now)
	case c.failKind == FailTimeout:
		l.add(stuckKey{StuckTimesOut, c.fn, nil}, c, c.failedSince, m.now)
	case c.failKind == FailBusy:
		l.add(stuckKey{StuckBound, c.fn, nil}, c, c.failedSince, m.now)
	default:
		l.add(stuckKey{StuckPoisoned, c.fn, nil}, c, c.failedSince, m.now)
	}
}

// add counts an address in its group, and notes it where it is among the oldest.
func (l *StuckLook) add(key stuckKey, c *cell, since, now int64) {
	g := l.groups[key]
	if g == nil {
		g = &stuckGroup{}
		l.groups[key] = g
	}
	g.count++
	if len(g.oldest) == stuckShown && since >= g.oldest[stuckShown-1].since {
		return
	}
	if len(g.oldest) == stuckShown {
		g.oldest = g.oldest[:stuckShown-1]
	}
	one := stuckCell{since, c.address, c.mail.front().number, c.lastError, c.failedSince != 0 && c.failKind == FailTimeout, -1}
	if c.fn.cfg.OnFailure == SetAside {
		one.aside = c.asideIn(now)
	}
	at, _ := slices.BinarySearchFunc(g.oldest, one, func(a, b stuckCell) int {
		return cmp.Or(cmp.Compare(a.since, b.since), cmp.Compare(a.message, b.message))
	})
	g.oldest = slices.Insert(g.oldest, at, one)
}

// asideIn is how many milliseconds are left of the budget that wrong answers use up, if they go on.
func (c *cell) asideIn(now int64) int64 {
	if t := &c.trial; t.spentTo == 0 {
		left := c.fn.cfg.Budget - t.spent
		if t.wrongAt != 0 {
			left -= now - t.wrongAt
		}
		return max(0, left)
	}
	return 0
}

// Told is what a look has found, and what else stands still, the oldest first.
func (m *Machine) Told(l *StuckLook) []Stuck {
	var out []Stuck
	for key, g := range l.groups {
		switch {
		case key.fn == nil:
			out = append(out, m.tellEndpoint(key, g))
		case key.cause == StuckDeadLetters || key.cause == StuckBound:
			out = append(out, m.tellFunction(key, g, int(g.count)))
		default:
			out = append(out, m.tellAddresses(key, g)...)
		}
	}
	for _, g := range m.openGates { // whose addresses are all in the store alone
		if _, told := l.groups[stuckKey{StuckEndpointDown, nil, g}]; !told && m.storedOf(g) > 0 {
			out = append(out, m.tellEndpoint(stuckKey{StuckEndpointDown, nil, g}, &stuckGroup{}))
		}
	}
	for _, s := range m.stuckBounds() {
		full := func(told Stuck) bool {
			return told.Cause == StuckDeadLetters && told.Kind == s.Kind && told.Name == s.Name
		}
		if !slices.ContainsFunc(out, full) { // that addresses wait for the room says it already
			out = append(out, s)
		}
	}
	out = append(append(out, m.stuckStrangers()...), m.stuckPauses()...)
	slices.SortFunc(out, CompareStuck)
	for i := range out {
		out[i].Message = m.lasting(out[i].Message)
	}
	return out
}

// CompareStuck puts the oldest first, and those last whose age nobody knows.
func CompareStuck(a, b Stuck) int {
	if (a.Since == 0) != (b.Since == 0) {
		return cmp.Compare(b.Since, a.Since)
	}
	return cmp.Or(cmp.Compare(a.Since, b.Since), strings.Compare(a.Cause, b.Cause), strings.Compare(a.Name, b.Name), strings.Compare(a.Kind, b.Kind), strings.Compare(a.Address.ID, b.Address.ID))
}

// tellEndpoint is one line for all that wait for an endpoint.
func (m *Machine) tellEndpoint(key stuckKey, g *stuckGroup) Stuck {
	s := Stuck{Cause: key.cause, Kind: OnEndpoint, Name: key.gate.key, Count: g.count}
	if len(g.oldest) > 0 {
		o := g.oldest[0]
		s.Since, s.Address, s.Message, s.LastError = o.since, o.address, o.message, o.failed
	}
	s.Text = fmt.Sprintf("all slots of the endpoint are taken, and %s for one", counted(g.count, "address waits", "addresses wait"))
	if key.cause == StuckEndpointDown {
		s.Text = fmt.Sprintf("the endpoint %s; %s for it", troubleOf(key.gate.lastKind), counted(g.count, "address waits", "addresses wait"))
		if stored := m.storedOf(key.gate); stored > 0 {
			s.Text += ", and " + counted(stored, "message that is", "messages that are") + " only in the store"
		}
		if key.gate.open { // what its addresses waited for before that is another matter
			s.Since = key.gate.failedSince
			s.Text += "; it is tried by itself, and all go on when it answers"
		}
	}
	return s
}

// counted is a number of things.
func counted(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// storedOf counts the messages for functions of an endpoint that are only in the store.
func (m *Machine) storedOf(g *gate) (n int64) {
	for _, f := range m.functionList {
		if f.gate == g && f.declared && f.name != OnceType {
			n += f.stored
		}
	}
	return n
}

// tellAddresses tells the oldest one by one, and how many there are beside.
func (m *Machine) tellAddresses(key stuckKey, g *stuckGroup) (out []Stuck) {
	for _, o := range g.oldest {
		out = append(out, Stuck{
			Cause: key.cause, Since: o.since, Kind: OnAddress, Name: key.fn.name.String(), Address: o.address, Message: o.message, Count: 1, Text: o.text(key.cause), LastError: o.failed,
			ByItself: key.cause == StuckPoisoned && o.aside >= 0,
		})
	}
	if more := g.count - int64(len(g.oldest)); more > 0 {
		s := m.tellFunction(key, g, int(more))
		s.Text = "the function keeps answering badly"
		if key.cause == StuckTimesOut {
			s.Text = "the function does not answer, or takes long"
		}
		s.Text += ": " + counted(more, "more address, not", "more addresses, none of them") + " for longer"
		s.Since, s.Address, s.Message, s.LastError = g.oldest[len(g.oldest)-1].since, api.Address{}, 0, ""
		out = append(out, s)
	}
	return out
}

// text is why an address is stuck, and what becomes of it.
func (o *stuckCell) text(cause string) string {
	switch {
	case cause == StuckTimesOut && o.late:
		return "the function has not answered in time, and is called again"
	case cause == StuckTimesOut:
		return "a call takes long; it may still be answered in time"
	case o.aside == 0:
		return "the function keeps answering badly: the message at fault is set aside by itself now"
	case o.aside > 0:
		return fmt.Sprintf("the function keeps answering badly: if that goes on, the message at fault is set aside by itself in about %d s", (o.aside+999)/1000)
	}
	return "the function keeps answering badly, and is called again until it is mended; a message that can never succeed can be set aside"
}

// tellFunction is one line for all addresses of a function.
func (m *Machine) tellFunction(key stuckKey, g *stuckGroup, count int) Stuck {
	o := g.oldest[0]
	s := Stuck{
		Cause: key.cause, Since: o.since, Kind: OnFunction, Name: key.fn.name.String(), Address: o.address, Message: o.message, Count: int64(count), LastError: o.failed,
		Text: "the gateway has no room for what the function replies; the addresses are tried again",
	}
	if key.cause == StuckDeadLetters {
		s.Text, s.Since = deadText(key.fn.dead), cmp.Or(key.fn.dead.since, s.Since)
	}
	return s
}

// deadText says that an origin has as many dead letters as it may, and what that means.
func deadText(d *deadTotal) string {
	what := "what is refused"
	if strings.HasPrefix(d.origin, "function ") {
		what = "what fails, and what it sends to functions and egresses that the module does not declare,"
	}
	return fmt.Sprintf("%s of %d bytes are as many as may be: %s waits until some are replayed or discarded", counted(d.letters, "dead letter", "dead letters"), d.bytes, what)
}

// stuckBounds are those that stop something when they are reached. Others are full because that is what they are for.
func (m *Machine) stuckBounds() (out []Stuck) {
	full := func(kind, name string, used, limit int64, what string) {
		if used > 0 && used >= limit-limit/100*(100-nearlyFull) {
			out = append(out, Stuck{Cause: StuckBound, Kind: kind, Name: name, Count: used, Text: fmt.Sprintf("%s: %d of %d", what, used, limit)})
		}
	}
	var stored int64
	for _, f := range m.functionList {
		stored += f.keptBytes + f.storedBy
		full(OnFunction, f.name.String(), f.keptBytes+f.storedBy, m.cfg.KeptBytesMax, "bytes of messages that are kept for the function; at the bound sources that name it wait, and events for it")
	}
	full(OnBound, "stored", stored, m.cfg.StoredBytesMax, "bytes of messages that are kept for all functions; at the bound all sources and events wait")
	for _, l := range m.laneList {
		full(OnEgress, l.id.Egress, l.bytes, m.cfg.OutboxBytesMax, "bytes of outputs that are not delivered; at the bound all sources and events wait")
	}
	if m.starved() {
		out = append(out, Stuck{
			Cause: StuckBound, Since: m.shortSince, Kind: OnBound, Name: "states_in_use", Count: int64(m.busyBytes),
			Text: fmt.Sprintf("%d bytes of states are in use, of %d: other addresses wait until some are not", m.busyBytes, m.cfg.BusyBytesMax),
		})
	}
	if t := m.onces.total; t != nil && t.phase != loading {
		keys, bytes := m.onceSums()
		full(OnBound, "request_keys", keys, m.cfg.OnceMax, "keys of requests that are remembered; at the bound requests with new ones are refused until some expire")
		full(OnBound, "request_keys", bytes, m.cfg.OnceBytesMax, "bytes of keys of requests that are remembered; at the bound requests with new ones are refused until some expire")
	}
	for _, origin := range sortedKeys(m.dead) {
		d := m.dead[origin]
		kind, name, _ := strings.Cut(origin, " ")
		if m.deadFull(d) {
			out = append(out, Stuck{Cause: StuckDeadLetters, Since: d.since, Kind: kind, Name: name, Count: d.letters, Text: deadText(d)})
			continue
		}
		full(kind, name, d.letters, m.cfg.DeadLettersMax, "dead letters; at the bound it waits with what would be set aside")
		full(kind, name, d.bytes, m.cfg.DeadLetterBytesMax, "bytes of dead letters; at the bound it waits with what would be set aside")
	}
	return out
}

// stuckStrangers are functions with messages that the module does not declare any more. How long those have waited before they were claimed
// is not known.
func (m *Machine) stuckStrangers() (out []Stuck) {
	for _, f := range m.functionList {
		if n := f.stored + f.strange; !f.declared && n > 0 {
			text := fmt.Sprintf("%s for a function that the module does not declare, %d bytes, for as long as this gateway has worked, or longer", counted(n, "message waits", "messages wait"), f.storedBy+f.strangeBytes)
			if f.unlisted > 0 {
				text += fmt.Sprintf("; of their addresses the oldest %d are listed, and %d more are not", len(f.strangers), f.unlisted)
			}
			out = append(out, Stuck{Cause: StuckUndeclared, Since: m.began, Kind: OnFunction, Name: f.name.String(), Count: n, Text: text})
		}
	}
	return out
}

// stuckPauses are what an operator has paused, and may have forgotten. Of addresses it tells the oldest one by one, and how many others
// there are.
func (m *Machine) stuckPauses() (out []Stuck) {
	all := m.Paused()
	slices.SortStableFunc(all, func(a, b statestore.Pause) int { return cmp.Compare(a.AtMS, b.AtMS) })
	addresses, others := 0, Stuck{Cause: StuckPaused, Kind: OnAddress}
	for _, p := range all {
		if p.Kind == statestore.PauseAddress {
			if addresses++; addresses > stuckShown {
				if others.Count == 0 {
					others.Name, others.Since = p.Address.Type.String(), p.AtMS
				}
				others.Count++
				continue
			}
		}
		s := Stuck{Cause: StuckPaused, Since: p.AtMS, Count: 1}
		what, more := "it brings nothing", ""
		switch p.Kind {
		case statestore.PauseAddress:
			s.Kind, s.Name, s.Address, what = OnAddress, p.Address.Type.String(), p.Address, "it is not called"
			if c := m.cells[p.Address]; c != nil {
				what = "it is not called, and " + counted(int64(c.mailLen()), "message waits", "messages wait")
				if c.mail.len() > 0 {
					s.Message = c.mail.front().number
				}
			}
		case statestore.PauseFunction:
			s.Kind, s.Name, what = OnFunction, p.Address.Type.String(), "no address of it is called"
			if f := m.functions[p.Address.Type]; f != nil {
				s.Count = max(1, int64(f.held.len()))
				more = f.heldText()
			}
		default:
			s.Kind, s.Name = OnIngress, p.Ingress
		}
		s.Text = fmt.Sprintf("paused by %s: %s until it is resumed%s", p.By, what, more)
		out = append(out, s)
	}
	if others.Count > 0 {
		others.Text = counted(others.Count, "more address is", "more addresses are") + " paused: no call starts until that is resumed"
		out = append(out, others)
	}
	return out
}
