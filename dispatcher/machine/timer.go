package machine

import (
	"cmp"
	"container/heap"
	"math"
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// timers is the delayed messages that are due soon, and what the machine must remember of the others.
//
// The window is everything due before `until`: it is in memory, or a load of it is on its way. The window is moved when a
// load is asked, so what is created inside it meanwhile stays in memory. A load may answer what was cancelled since it was
// asked, or what a cancellation that is not committed yet will remove: `cancelled` takes that out. What has fired it cannot
// answer: nothing fires before everything that is due earlier has been read, and loads go on behind that.
type timers struct {
	heap    timerHeap
	known   map[uint64]*timer // in memory, by number
	tokens  map[token]*timer  // in memory, by token
	created []*timer          // since the last cut
	ends    []statestore.TimerKey
	cancels []statestore.Cancel

	until   int64
	after   statestore.TimerKey // up to here the window has been read
	more    bool                // the window holds more in the store behind `after`
	bytes   int                 // of those in the heap
	limit   int                 // of the load that is out
	batch   int                 // how many the next one may ask for; 0: nothing is known of them yet
	mean    int                 // bytes of a timer, about
	loading bool

	cancelled map[token]ending
}

type token struct{ senderID, token string }

type ending struct {
	below uint64
	gen   uint64
	at    int // in cancels, as long as gen is the one that gathers
}

type timer struct {
	statestore.Timer
	gen   uint64 // of the cut that writes it; 0: it came from the store
	index int    // in the heap, -1: not there
	ended bool
}

// delay sends a message later, or cancels one.
func (m *Machine) delay(from api.Address, d *Delayed, trace *api.Trace) {
	if d.Cancel {
		m.cancel(token{from.ID, d.Token})
		return
	}
	msg := api.Message{Target: d.Target, Caller: from, Argument: d.Argument, Trace: trace}
	if d.Token != "" { // a pending token that is used again replaces the older message
		m.cancel(token{from.ID, d.Token})
	}
	if err := api.CheckAddress(d.Target); err != nil {
		m.send(from, d.Send, trace) // there is no storing it: it is set aside, or dropped, at once
		return
	}
	m.newTimer(m.after(d.Delay), d.Token, msg)
}

// after is the time after a delay that is not negative.
func (m *Machine) after(delay int64) int64 {
	if due := m.now + delay; due >= m.now {
		return due
	}
	return math.MaxInt64
}

// newTimer makes a timer an effect of the next cut.
func (m *Machine) newTimer(due int64, token string, msg api.Message) {
	t := &timer{gen: m.gen, index: -1, Timer: statestore.Timer{
		TimerKey: statestore.TimerKey{Due: due, Number: m.draw()}, Token: token, Message: msg,
	}}
	m.timers.created = append(m.timers.created, t)
	m.effects++
	m.effectBytes += msg.Size()
	m.effect(false)
	m.holdTimer(t)
}

// timerOverhead is what a timer costs in memory beside its message: its place in the heap and in two maps.
const timerOverhead = 200

func (t *timer) size() int { return timerOverhead + len(t.Token) + t.Message.Size() }

// holdTimer puts a timer into memory.
func (m *Machine) holdTimer(t *timer) {
	m.timers.known[t.Number] = t
	if t.Token != "" {
		m.timers.tokens[token{t.Message.Caller.ID, t.Token}] = t
	}
	m.admit(t)
}

// dropTimer takes a timer out of memory.
func (m *Machine) dropTimer(t *timer) {
	delete(m.timers.known, t.Number)
	k := token{t.Message.Caller.ID, t.Token}
	if t.Token != "" && m.timers.tokens[k] == t {
		delete(m.timers.tokens, k)
	}
	if t.index >= 0 {
		heap.Remove(&m.timers.heap, t.index)
		m.timers.bytes -= t.size()
	}
}

// cancel removes what the token names and has not fired, in memory and in the store.
func (m *Machine) cancel(k token) {
	below := m.nextNumber
	if t := m.timers.tokens[k]; t != nil {
		t.ended = true
		m.dropTimer(t)
	}
	m.effect(false)
	w := &m.timers
	if e, ok := w.cancelled[k]; ok && e.gen == m.gen { // a token that is used again and again is one row
		w.cancels[e.at].Below = below
		w.cancelled[k] = ending{below: below, gen: m.gen, at: e.at}
		return
	}
	w.cancelled[k] = ending{below: below, gen: m.gen, at: len(w.cancels)}
	w.cancels = append(w.cancels, statestore.Cancel{SenderID: k.senderID, Token: k.token, Below: below})
	m.effects++
}

// complete reports whether everything that fires before the timer is in memory, so that it may fire.
func (w *timers) complete(k statestore.TimerKey) bool {
	return !w.more && !w.loading || k.Due < w.after.Due || k.Due == w.after.Due && k.Number <= w.after.Number
}

// horizon is the time before which everything is in memory, when no load is out.
func (w *timers) horizon() int64 {
	if w.more {
		return w.after.Due
	}
	return w.until
}

// ripe reports whether a timer may fire as soon as it is due, and which: not while too much is uncommitted.
func (m *Machine) ripe() (*timer, bool) {
	w := &m.timers
	if len(w.heap) == 0 || !w.complete(w.heap[0].TimerKey) || m.saturated() {
		return nil, false
	}
	return w.heap[0], true
}

// fire sends what is due, in its order. From here on it is an ordinary message of its sender.
func (m *Machine) fire() {
	for t, ok := m.ripe(); ok && t.Due <= m.now; t, ok = m.ripe() {
		t.ended = true
		m.dropTimer(t)
		if t.gen != m.gen { // the store has it, or will before this end is committed
			m.timers.ends = append(m.timers.ends, t.TimerKey)
		}
		if m.crowdedTimer(&t.Message) { // it has not fired: it can still be cancelled
			m.newTimer(m.now+m.cfg.BackoffMax, t.Token, t.Message)
			continue
		}
		m.stats.TimersFired++
		m.effect(false)
		m.send(t.Message.Caller, Send{Target: t.Message.Target, Argument: t.Message.Argument}, t.Message.Trace)
	}
}

// crowdedTimer reports whether a delayed message is for nobody, and its sender's dead letters have no room for it. It is put off
// then, so that it waits in the store and those behind it go on.
func (m *Machine) crowdedTimer(msg *api.Message) bool {
	reason, _ := m.aside(msg)
	return reason != "" && msg.Target.Type != ReplyType && m.deadFull(m.deadOf(originOf(msg)))
}

// enough reports whether there are so many timers in memory that those to be read can wait until some have fired. Some will: the first of
// them is complete.
func (w *timers) enough(m *Machine) bool {
	return (len(w.heap) >= m.cfg.TimersMax/2 || w.bytes >= m.cfg.TimerBytesMax/2) && len(w.heap) > 0 && w.complete(w.heap[0].TimerKey)
}

// windowTimers reads on in the window, and moves it when its end comes near.
func (m *Machine) windowTimers() {
	w := &m.timers
	far := w.horizon() > m.now+m.cfg.TimerAhead/2
	if w.loading || m.saturated() || far && !w.more || w.enough(m) {
		return
	}
	if !w.more {
		w.after = statestore.TimerKey{Due: w.until - 1, Number: math.MaxUint64}
		w.until = m.now + m.cfg.TimerAhead
		for _, t := range w.created { // created beyond the old end, inside the new one
			m.admit(t)
		}
		if m.inflight != nil {
			for _, t := range m.inflight.timers {
				m.admit(t)
			}
		}
	}
	m.forgetCancelled()
	w.loading = true
	w.limit = min(max(w.batch, timerFirst), m.cfg.TimerBatch, max(1, m.cfg.TimerBytesMax/4/max(w.mean, 1)))
	m.work.TimerLoad = &TimerLoad{ID: m.id(), After: w.after, Due: w.until, Limit: w.limit}
}

// pruneTimers leaves timers to the store that memory has no room for: the window is read again from the last one that stays.
// What the store does not have yet stays, and is known when a load answers it.
func (m *Machine) pruneTimers() {
	w := &m.timers
	if len(w.heap) <= m.cfg.TimersMax && w.bytes <= m.cfg.TimerBytesMax || len(w.heap) == 0 || w.loading {
		return
	}
	slices.SortFunc(w.heap, func(a, b *timer) int { return cmp.Or(cmp.Compare(a.Due, b.Due), compare(a.Number, b.Number)) })
	keep, bytes := 1, w.heap[0].size()
	for ; keep < min(len(w.heap), m.cfg.TimersMax/2) && bytes < m.cfg.TimerBytesMax/2; keep++ {
		bytes += w.heap[keep].size()
	}
	last := w.heap[keep-1].TimerKey
	live := w.heap[:keep]
	for _, t := range w.heap[keep:] {
		if t.gen > m.confirmedGen {
			live = append(live, t)
			continue
		}
		t.index = -1
		w.bytes -= t.size()
		m.dropTimer(t)
	}
	clear(w.heap[len(live):])
	w.heap = live // sorted, so it is a heap
	for i, t := range w.heap {
		t.index = i
	}
	if w.complete(last) {
		w.after, w.more = last, true
	}
}

// admit puts a timer that is due soon into the order of firing.
func (m *Machine) admit(t *timer) {
	if !t.ended && t.index < 0 && t.Due < m.timers.until {
		heap.Push(&m.timers.heap, t)
		m.timers.bytes += t.size()
	}
}

// forgetCancelled drops what no load can answer any more: its removal is committed, and no load is on its way.
func (m *Machine) forgetCancelled() {
	for k, e := range m.timers.cancelled {
		if e.gen <= m.confirmedGen {
			delete(m.timers.cancelled, k)
		}
	}
}

// TimersLoaded answers a TimerLoad.
func (m *Machine) TimersLoaded(id ID, found []statestore.Timer) {
	if !m.mine(id) {
		return
	}
	w := &m.timers
	w.loading = false
	w.more = len(found) >= w.limit
	w.learn(m, found)
	for i := range found {
		f := found[i]
		w.after = f.TimerKey
		if w.known[f.Number] != nil {
			continue
		}
		if f.Token != "" {
			if e, ok := w.cancelled[token{f.Message.Caller.ID, f.Token}]; ok && f.Number < e.below {
				continue
			}
		}
		m.holdTimer(&timer{Timer: f, index: -1})
	}
	m.fire()
}

// timerFirst is how many timers are read before anything is known of their sizes; each answer that is not large allows four times as many.
const timerFirst = 256

// learn takes notice of how large timers are, for the next load.
func (w *timers) learn(m *Machine, found []statestore.Timer) {
	if len(found) == 0 {
		return
	}
	bytes := 0
	for i := range found {
		bytes += found[i].Message.Size()
	}
	w.mean = max(bytes/len(found), w.mean-w.mean/4)
	w.batch = timerFirst
	if bytes <= m.cfg.TimerBytesMax/4 {
		w.batch = min(4*w.limit, m.cfg.TimerBatch)
	}
}

// timerHeap is timers in the order of firing.
type timerHeap []*timer

func (h timerHeap) Len() int { return len(h) }
func (h timerHeap) Less(i, j int) bool {
	if h[i].Due != h[j].Due {
		return h[i].Due < h[j].Due
	}
	return h[i].Number < h[j].Number
}
func (h timerHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}
func (h *timerHeap) Push(x any) {
	t := x.(*timer)
	t.index = len(*h)
	*h = append(*h, t)
}
func (h *timerHeap) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = -1
	return t
}
