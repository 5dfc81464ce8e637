package machine

import (
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// source is one source's progress in memory, ahead of what is committed, and what it has brought in and not finished.
type source struct {
	id       api.Source
	progress statestore.Progress
	seen     int64       // offset after the last record that arrived
	routed   bool        // progress.Targets has been matched with the module's routes
	ways     []way       // of the routes, in their order
	feeds    []*function // that the module's routes name
	dirty    bool
	read     bool // it was begun, or has brought something, in this incarnation

	pending      int // messages that only the source can replay
	pendingBytes int
	full         bool
	hopes        bool // it is full, and may have room by the time alone: not while it is paused
	told         bool // what Work said last of full
	judged       bool // it stands in the machine's list of sources whose full has changed
	blocked      bool // a function that it feeds has used up its budget of kept messages
	paused       bool // an operator has paused its ingress

	dead *deadTotal // of its ingress

	waiting []fifo[*message] // per target: unfinished messages in order of offset; finished ones linger
	linger  int              // length of a waiting queue at which it is swept
}

// way is where records go by one of the routes.
type way struct {
	route  api.Route
	target int // in progress.Targets
	fn     *function
	open   bool // no message by it is set aside, whatever its id, as long as the id is one
}

func (m *Machine) source(id api.Source) *source {
	s := m.sources[id]
	if s == nil {
		s = &source{id: id, progress: statestore.Progress{Source: id}, dead: m.deadOf(api.OriginIngress(id.Ingress))}
		m.sources[id] = s
		_, s.paused = m.pauses.ingresses[id.Ingress]
		m.sourceList = append(m.sourceList, s)
		m.judgeSource(s)
	}
	return s
}

// match brings stored targets in line with the module's: a new target begins where the source is read from, a target that
// the module no longer names holds nothing back any more.
func (s *source) match(routes []api.Route) {
	position := s.progress.Position()
	targets := make([]statestore.TargetProgress, 0, len(routes))
	for _, r := range routes {
		i := slices.IndexFunc(s.progress.Targets, func(t statestore.TargetProgress) bool { return t.Key == r.Key })
		if i >= 0 {
			targets = append(targets, s.progress.Targets[i])
		} else {
			targets = append(targets, statestore.TargetProgress{Key: r.Key, Done: statestore.Ranges{Watermark: position}})
		}
	}
	slices.SortFunc(targets, func(a, b statestore.TargetProgress) int { return strings.Compare(a.Key, b.Key) })
	s.progress.Targets = targets
	s.progress.Start = max(s.progress.Start, position)
	s.waiting = make([]fifo[*message], len(targets))
	s.routed = true
}

// waysOf looks up once what each record would ask for anew.
func (m *Machine) waysOf(s *source, routes []api.Route) {
	s.ways, s.feeds = make([]way, len(routes)), make([]*function, len(routes))
	for i, r := range routes {
		f := m.function(r.Target)
		reason, _ := m.aside(&api.Message{Target: api.Address{Type: r.Target}})
		s.ways[i], s.feeds[i] = way{route: r, target: s.target(r.Key), fn: f, open: reason == ""}, f
	}
}

func (s *source) target(key string) int {
	i, ok := slices.BinarySearchFunc(s.progress.Targets, key, func(t statestore.TargetProgress, k string) int { return strings.Compare(t.Key, k) })
	if !ok {
		return -1
	}
	return i
}

// finishAll marks offsets finished for every target.
func (s *source) finishAll(from, to int64) {
	for i := range s.progress.Targets {
		s.progress.Targets[i].Done.Add(from, to)
	}
	if len(s.progress.Targets) == 0 {
		s.progress.Start = max(s.progress.Start, to)
	}
}

// finishedThrough reports whether no target needs any of the offsets any more. It does not look through long gaps.
func (s *source) finishedThrough(from, to int64) bool {
	for ; from < to && to-from <= 64; from++ {
		if !s.finishedAll(from) {
			return false
		}
	}
	return from == to
}

// finishedAll reports whether no target needs the offset any more.
func (s *source) finishedAll(offset int64) bool {
	if len(s.progress.Targets) == 0 {
		return offset < s.progress.Start
	}
	for i := range s.progress.Targets {
		if !s.progress.Targets[i].Done.Contains(offset) {
			return false
		}
	}
	return true
}

// Started tells the start position of a source, before its first record or because it is to be read from elsewhere. The token is
// Done when it is durable. What the source has brought in and not finished is kept as messages: offsets mean something else from
// now on, so it could neither be replayed nor marked as finished.
func (m *Machine) Started(p statestore.Progress, token uint64) {
	s := m.source(p.Source)
	s.read = true
	for t := range s.waiting {
		for _, msg := range s.waiting[t].all() {
			if msg.source == s {
				m.keep(msg)
			}
		}
		s.waiting[t] = fifo[*message]{}
	}
	s.progress = p.Clone()
	s.seen = s.progress.Position()
	s.routed = false
	m.touchSource(s)
	m.waitFor(token)
}

func (m *Machine) touchSource(s *source) {
	m.effect(false)
	if !s.dirty {
		s.dirty = true
		m.dirtySources = append(m.dirtySources, s)
	}
}

// Arrive brings records of one source, in rising order of offset.
func (m *Machine) Arrive(id api.Source, records []api.Record) {
	s := m.source(id)
	s.read = true
	for i := range records {
		m.arrive(s, &records[i])
	}
	m.judgeSource(s)
}

func (m *Machine) arrive(s *source, r *api.Record) {
	if !s.routed && len(r.Routes) > 0 { // one that is skipped, or passed unseen, says nothing of its topic's routes
		s.match(r.Routes)
		m.waysOf(s, r.Routes)
		s.seen = max(s.seen, s.progress.Position())
	}
	if r.Offset < s.seen { // it is at hand or finished: only Started makes a source be read again
		m.stats.RecordsSkipped++
		return
	}
	if r.Offset > s.seen { // markers, aborted and compacted records are never handed out
		if !s.finishedThrough(s.seen, r.Offset) {
			s.finishAll(s.seen, r.Offset)
			m.touchSource(s)
		}
	}
	s.seen = max(s.seen, r.Offset+1)
	m.stats.Records++
	if s.finishedAll(r.Offset) {
		m.stats.RecordsSkipped++
		return
	}
	if r.Dead != nil || len(r.Routes) == 0 {
		if r.Dead != nil {
			m.setAside(*r.Dead, s.dead)
		}
		s.finishAll(r.Offset, r.Offset+1)
		m.touchSource(s)
		return
	}
	for i := range r.Routes {
		w := way{route: r.Routes[i], target: -1}
		if i < len(s.ways) && s.ways[i].route == r.Routes[i] {
			w = s.ways[i]
		} else {
			w.target = s.target(w.route.Key)
		}
		m.arriveAt(s, r, &w)
	}
}

func (m *Machine) arriveAt(s *source, r *api.Record, w *way) {
	t := w.target
	if t < 0 || s.progress.Targets[t].Done.Contains(r.Offset) {
		return
	}
	msg := &message{
		Message: api.Message{Target: api.Address{Type: w.route.Target, ID: r.ID}, Argument: r.Value, Trace: r.Trace},
		number:  m.draw(), source: s, origin: s, offset: r.Offset, target: int32(t), arrived: m.now,
	}
	msg.size = msg.Size()
	s.pending++
	m.pending++
	s.pendingBytes += msg.size
	if !(w.open && api.CheckID(r.ID) == nil) && !m.deliverable(&msg.Message, s, r.Offset) {
		m.finish(msg)
		return
	}
	s.await(t, msg)
	m.deliver(msg)
}

// await remembers a message until it is finished. Those that finished behind one that does not are swept out now and then.
func (s *source) await(target int, msg *message) {
	q := &s.waiting[target]
	q.push(msg)
	if q.len() < max(s.linger, 1024) {
		return
	}
	live := make([]*message, 0, q.len()/2)
	for _, w := range q.all() {
		if w.source == s {
			live = append(live, w)
		}
	}
	q.set(live)
	s.linger = 2 * len(live)
}

// judgeSource says Full or Room when a bound was crossed. Room waits for half of it, so that it does not flutter.
func (m *Machine) judgeSource(s *source) {
	c := &m.cfg
	waits := s.blocked || s.paused || m.choke || m.deadFull(s.dead)
	full := waits || s.pending >= c.SourceMessagesMax || s.pendingBytes >= c.SourceBytesMax
	room := !waits && s.pending <= c.SourceMessagesMax/2 && s.pendingBytes <= c.SourceBytesMax/2
	if full != s.full && (full || room) {
		s.full = full
		if !s.judged {
			s.judged = true
			m.judged = append(m.judged, s)
		}
	}
	m.hope(s, s.full && !s.paused)
}

// hope counts the sources of which it is looked now and then whether they have room.
func (m *Machine) hope(s *source, hopes bool) {
	switch {
	case hopes && !s.hopes:
		m.hopes++
	case !hopes && s.hopes:
		m.hopes--
	}
	s.hopes = hopes
}

// tellSources says which sources are full now and which have room again: of each the last word only.
func (m *Machine) tellSources() {
	for _, s := range m.judged {
		s.judged = false
		if s.full == s.told {
			continue
		}
		s.told = s.full
		if s.full {
			m.work.Full = append(m.work.Full, s.id)
		} else {
			m.work.Room = append(m.work.Room, s.id)
		}
	}
	m.judged = m.judged[:0]
}

// judgeStore looks whether a bound of the store is reached, or is not any more.
func (m *Machine) judgeStore() {
	choke := m.choked()
	if choke == m.choke {
		return
	}
	m.choke = choke
	for _, s := range m.sourceList {
		m.judgeSource(s)
	}
}

// holdBack keeps the records that hold a watermark up for too long, so that their source can go on. What is kept leaves the
// source with the next commit.
func (m *Machine) holdBack() {
	m.heavy = m.overStored()
	m.judgeStore()
	for _, s := range m.sourceList {
		s.blocked = slices.ContainsFunc(s.feeds, m.overKept)
		for t := range s.waiting {
			m.holdBackTarget(s, t)
		}
		m.judgeSource(s)
	}
}

func (m *Machine) holdBackTarget(s *source, t int) {
	q := &s.waiting[t]
	for q.len() > 0 {
		msg := q.front()
		if msg.source != s { // finished, or kept already
			q.pop()
			continue
		}
		old := m.now-msg.arrived >= m.cfg.HoldMax
		wide := len(s.progress.Targets[t].Done.Above) >= m.cfg.RangesMax
		if !old && !wide {
			return
		}
		if m.overKept(m.function(msg.Target.Type)) {
			s.blocked = true
			return
		}
		m.keepThrough(m.cells[msg.Target], msg.number)
		if msg.source == s { // it was not found in its place: a successor has written to this mailbox, whose numbers are others
			m.keep(msg)
		}
	}
}
