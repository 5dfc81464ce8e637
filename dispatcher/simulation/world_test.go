package simulation_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// The world of a life: records in sources, functions whose answers follow from what they are sent, and sinks. It survives
// every crash, and it is drawn as a whole before the first step, so that what must happen is known without the machine.

// node is one message of the world. Each is sent once at most, so it must be found once in the log of its target.
type node struct {
	id     int
	target api.Address
	acts   []act

	parent *node // nil: it is a record
	source int
	offset int64
	twin   bool // its record reaches the target twice
	stray  bool // nobody can take it: it must become a dead letter
	absent bool // its record was taken out, to make a life smaller
	wrong  bool // its function fails on it, always, and sets it aside in the end

	event  bool // it is no record: a client sends it
	client int
	turn   int // among its client's events
	fate   fate
	asks   bool   // its client wants a reply
	caller string // id by which it is called, when it was sent last
}

type actKind uint8

const (
	actSend actKind = iota
	actDelay
	actCancel
	actOutput
)

// act is one effect of a node's call.
type act struct {
	kind   actKind
	child  *node
	delay  int64
	token  string
	egress string
}

// source is a partition as its server keeps it.
type source struct {
	id      api.Source
	start   int64
	records []api.Record
	end     int64 // offset after the last record
	since   int   // it is there from this step on
	most    int   // of records, that any member was brought
}

type world struct {
	rng     *rand.Rand
	nodes   []*node
	roots   map[string]*node // by record value and function type
	sources []*source
	clients []*client
	types   []api.FunctionType
	ids     []string
	ttlW    int64
	ttlI    int64
	budget  int                       // nodes that may still be made
	asides  map[api.FunctionType]bool // functions that set aside what they keep failing on
	oneSpec bool
}

const (
	stateLog    = "log"
	stateWrite  = "w"
	stateInvoke = "i"
	typeLog     = "sim/log"
	typeMark    = "sim/mark"

	egressOnce  = "sim/once"  // exactly once
	egressLane  = "sim/lane"  // exactly once, too
	egressLeast = "sim/least" // at least once
	egressNone  = "sim/none"  // without an outbox
	egressLost  = "sim/undeclared"
)

var strayType = api.FunctionType{Namespace: "sim", Name: "undeclared"}

// messagesMin is how many messages a world sends at least: a life with fewer than 100 does not count.
const messagesMin = 140

func newWorld(rng *rand.Rand) *world {
	w := &world{rng: rng, roots: map[string]*node{}, budget: 60 + rng.IntN(160), oneSpec: rng.IntN(2) == 0}
	w.ttlW, w.ttlI = 1+rng.Int64N(300), 1+rng.Int64N(300)
	for i := range 1 + rng.IntN(4) {
		w.types = append(w.types, api.FunctionType{Namespace: "sim", Name: "f" + strconv.Itoa(i)})
	}
	for i := range 1 + rng.IntN(12) {
		w.ids = append(w.ids, string(rune('a'+i)))
	}
	for i := 0; i < 1+w.rng.IntN(4) || len(w.nodes) < messagesMin; i++ {
		w.sources = append(w.sources, w.newSource(i))
	}
	return w
}

// spoil draws functions that set aside what they keep failing on, and messages on which they do.
func (w *world) spoil(rng *rand.Rand) {
	w.asides = map[api.FunctionType]bool{}
	for _, t := range w.types {
		w.asides[t] = rng.IntN(3) == 0
	}
	for _, n := range w.nodes {
		n.wrong = rng.IntN(10) == 0 && w.asides[n.target.Type] && !n.twin && !n.stray
	}
}

// spare are functions that a module may lack for a while: what arrives then is set aside, once for each record.
func (w *world) spare() (all []api.FunctionType) {
	for _, t := range w.types {
		if !slices.ContainsFunc(w.nodes, func(n *node) bool { return n.twin && n.target.Type == t }) {
			all = append(all, t)
		}
	}
	return all
}

// truncate leaves each source its first records, and each client its first events.
func (w *world) truncate(records int) {
	for i, s := range w.sources {
		if len(s.records) <= records {
			continue
		}
		from := s.records[records].Offset
		s.records, s.end = s.records[:records], from
		for _, n := range w.nodes {
			if n.parent == nil && n.source == i && n.offset >= from {
				n.absent = true
			}
		}
	}
	for _, c := range w.clients {
		for _, n := range c.events[min(records, len(c.events)):] {
			n.absent = true
		}
		c.events = c.events[:min(records, len(c.events))]
	}
}

func (w *world) newSource(i int) *source {
	s := &source{id: api.Source{Ingress: "sim/in", Topic: "t" + strconv.Itoa(i%2), Partition: int32(i)}, start: w.rng.Int64N(3)}
	var routes []api.Route
	for _, t := range w.types {
		if w.rng.IntN(2) == 0 {
			routes = append(routes, api.Route{Key: t.String(), Target: t})
		}
	}
	if len(routes) == 0 {
		routes = append(routes, api.Route{Key: w.types[0].String(), Target: w.types[0]})
	}
	if w.rng.IntN(5) == 0 {
		routes = append(routes, api.Route{Key: routes[0].Key + "#2", Target: routes[0].Target})
	}
	if w.rng.IntN(8) == 0 {
		routes = append(routes, api.Route{Key: strayType.String(), Target: strayType})
	}
	offset := s.start
	for range 5 + w.rng.IntN(60) {
		if w.rng.IntN(6) == 0 {
			offset += 1 + w.rng.Int64N(3) // markers and the like
		}
		s.records = append(s.records, w.newRecord(i, s, routes, offset))
		offset++
	}
	s.end = offset
	return s
}

func (w *world) newRecord(i int, s *source, routes []api.Route, offset int64) api.Record {
	value := fmt.Sprintf("r%d/%d", i, offset)
	if w.rng.IntN(25) == 0 {
		dead := api.DeadLetter{Kind: api.DeadRecord, From: s.id.Ingress, Reason: "null key", Source: s.id, Offset: offset, Value: []byte(value)}
		return api.Record{Offset: offset, Dead: &dead}
	}
	if w.rng.IntN(25) == 0 {
		return api.Record{Offset: offset} // the module says that it is skipped, or an ingress passes what nobody is shown
	}
	r := api.Record{Offset: offset, ID: w.anyID(), Value: typed("sim/record", value), Routes: routes}
	for _, route := range routes {
		target := api.Address{Type: route.Target, ID: r.ID}
		if strings.HasSuffix(route.Key, "#2") {
			continue
		}
		twin := slices.ContainsFunc(routes, func(o api.Route) bool { return o.Key == route.Key+"#2" })
		var n *node
		if twin { // it does nothing: what it sent would not be told apart
			n = &node{id: len(w.nodes), target: target, twin: true}
			w.nodes = append(w.nodes, n)
		} else {
			n = w.newNode(nil, target, 0)
		}
		n.source, n.offset, n.stray = i, offset, route.Target == strayType
		w.roots[value+" "+route.Target.String()] = n
	}
	return r
}

// anyID prefers the first ids, so that some are hot.
func (w *world) anyID() string { return w.ids[w.rng.IntN(1+w.rng.IntN(len(w.ids)))] }

func (w *world) newNode(parent *node, target api.Address, depth int) *node {
	n := &node{id: len(w.nodes), target: target, parent: parent}
	w.nodes = append(w.nodes, n)
	w.budget--
	if target.Type == strayType {
		return n
	}
	for w.rng.IntN(3) > 0 && len(n.acts) < 5 {
		n.acts = append(n.acts, w.newAct(n, depth))
	}
	return n
}

func (w *world) newAct(n *node, depth int) act {
	token := []string{"", "", "t1", "t2"}[w.rng.IntN(4)]
	switch k := w.rng.IntN(10); {
	case k < 3 && depth < 6 && w.budget > 0:
		a := act{kind: actSend}
		target := api.Address{Type: w.types[w.rng.IntN(len(w.types))], ID: w.anyID()}
		switch w.rng.IntN(12) {
		case 0:
			target = n.target
		case 1:
			target.Type = strayType
		}
		a.child = w.newNode(n, target, depth+1)
		a.child.stray = target.Type == strayType
		return a
	case k < 5 && depth < 6 && w.budget > 0:
		a := act{kind: actDelay, token: token, delay: []int64{0, 1, 5, 20, 100, 700}[w.rng.IntN(6)]}
		target := api.Address{Type: w.types[w.rng.IntN(len(w.types))], ID: w.anyID()}
		if w.rng.IntN(15) == 0 {
			target.Type = strayType
		}
		a.child = w.newNode(n, target, depth+1)
		a.child.stray = target.Type == strayType
		return a
	case k < 6 && token != "":
		return act{kind: actCancel, token: token}
	}
	egress := []string{egressOnce, egressOnce, egressOnce, egressLane, egressLeast, egressNone, egressLost}[w.rng.IntN(7)]
	return act{kind: actOutput, egress: egress}
}

func typed(name, value string) api.TypedValue {
	return api.TypedValue{TypeName: name, HasValue: true, Value: []byte(value)}
}

// node finds what a message is.
func (w *world) node(m *api.Message) *node {
	if n := w.roots[string(m.Argument.Value)+" "+m.Target.Type.String()]; n != nil {
		return n
	}
	id, err := strconv.Atoi(strings.TrimPrefix(string(m.Argument.Value), "n"))
	if err != nil || id < 0 || id >= len(w.nodes) {
		panic(fmt.Sprintf("message %q is none of this world's", m.Argument.Value))
	}
	return w.nodes[id]
}

func (n *node) argument() api.TypedValue { return typed("sim/node", "n"+strconv.Itoa(n.id)) }

// times is how often the node must be called.
func (n *node) times() int {
	if n.twin {
		return 2
	}
	return 1
}

// mark is what the node writes into the expiring states; some marks are so large that stores keep them apart.
func (n *node) mark() string {
	text := strconv.Itoa(n.id)
	if n.id%9 == 0 {
		text += strings.Repeat(" ", statestore.StateApartAbove)
	}
	return text
}

// writes reports whether the node's call sets the expiring states.
func (n *node) writes() bool { return n.id%3 == 0 }

// ttl is the time to live of a state.
func (w *world) ttl(name string) int64 {
	if name == stateWrite {
		return w.ttlW
	}
	return w.ttlI
}

func (w *world) specs() []statestore.StateSpec {
	return []statestore.StateSpec{
		{Name: stateLog, TypeName: typeLog},
		{Name: stateWrite, TypeName: typeMark, Expiration: statestore.ExpireAfterWrite, TTL: w.ttlW},
		{Name: stateInvoke, TypeName: typeMark, Expiration: statestore.ExpireAfterInvoke, TTL: w.ttlI},
	}
}

// missing lists the states that a call should have carried.
func (w *world) missing(c *machine.Call) []statestore.StateSpec {
	missing := slices.DeleteFunc(w.specs(), func(s statestore.StateSpec) bool {
		return slices.ContainsFunc(c.States, func(have machine.CallState) bool { return have.Name == s.Name })
	})
	if w.oneSpec && len(missing) > 1 {
		missing = missing[:1]
	}
	return missing
}

// answer is what a healthy function replies. It follows from the call alone.
func (w *world) answer(c *machine.Call) *machine.Reply {
	if missing := w.missing(c); len(missing) > 0 {
		return &machine.Reply{Incomplete: true, Missing: missing}
	}
	reply := &machine.Reply{}
	log := slices.Clone(callState(c, stateLog).Value.Value)
	for i := range c.Messages {
		n := w.node(&c.Messages[i])
		log = binary.BigEndian.AppendUint16(log, uint16(n.id))
		for at, a := range n.acts {
			w.act(reply, n, at, &a)
		}
		if caller := c.Messages[i].Caller; caller.Type == machine.ReplyType {
			reply.Sends = append(reply.Sends, n.answers(caller)...)
		}
		if n.writes() {
			for _, name := range []string{stateWrite, stateInvoke} {
				reply.Mutations = append(reply.Mutations, machine.Mutation{Name: name, Value: typed(typeMark, n.mark())})
			}
		}
		if n.id%17 == 5 {
			reply.Mutations = append(reply.Mutations, machine.Mutation{Name: stateInvoke, Delete: true})
		}
	}
	reply.Mutations = append(reply.Mutations, machine.Mutation{Name: stateLog, Value: api.TypedValue{TypeName: typeLog, HasValue: true, Value: log}})
	return reply
}

func (w *world) act(reply *machine.Reply, n *node, at int, a *act) {
	switch a.kind {
	case actSend:
		reply.Sends = append(reply.Sends, machine.Send{Target: a.child.target, Argument: a.child.argument()})
	case actDelay:
		reply.Delayed = append(reply.Delayed, machine.Delayed{
			Send: machine.Send{Target: a.child.target, Argument: a.child.argument()}, Delay: a.delay, Token: a.token,
		})
	case actCancel:
		reply.Delayed = append(reply.Delayed, machine.Delayed{Cancel: true, Token: a.token})
	case actOutput:
		reply.Outputs = append(reply.Outputs, machine.Output{Egress: a.egress, Value: typed("sim/out", outputName(n, at))})
	}
}

func outputName(n *node, at int) string { return fmt.Sprintf("%d.%d", n.id, at) }

// garbage is a reply that must fail as a whole; there are six kinds.
func (w *world) garbage(c *machine.Call, kind int) *machine.Reply {
	bad := w.answer(c)
	if bad.Incomplete {
		bad.Missing = []statestore.StateSpec{}
	}
	switch kind {
	case 0:
		bad = &machine.Reply{Incomplete: true}
	case 1:
		bad = &machine.Reply{Incomplete: true, Missing: []statestore.StateSpec{{Name: stateLog, TypeName: "sim/other"}, {Name: "new", TypeName: "sim/other"}}}
		if !slices.ContainsFunc(c.States, func(s machine.CallState) bool { return s.Name == stateLog }) {
			bad = &machine.Reply{Incomplete: true}
		}
	case 2:
		bad.Delayed = append(bad.Delayed, machine.Delayed{Send: machine.Send{Target: c.Target}, Delay: -1})
	case 3:
		bad.Delayed = append(bad.Delayed, machine.Delayed{Cancel: true})
	case 4:
		bad.Mutations = append(bad.Mutations, machine.Mutation{Name: "never declared", Value: typed(typeLog, "x")})
	case 5:
		bad.Mutations = append(bad.Mutations, machine.Mutation{Name: stateLog, Value: typed("sim/other", "x")})
	}
	return bad
}

func callState(c *machine.Call, name string) machine.CallState {
	for _, s := range c.States {
		if s.Name == name {
			return s
		}
	}
	return machine.CallState{}
}

func decodeLog(b []byte) []int {
	log := make([]int, 0, len(b)/2)
	for ; len(b) >= 2; b = b[2:] {
		log = append(log, int(binary.BigEndian.Uint16(b)))
	}
	return log
}
