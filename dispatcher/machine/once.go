package machine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// What is sent under a key takes effect once, however often it is sent: by anybody, through any member, after any crash. Each key has a
// record: an address of the reserved type OnceType with states of its own, whose function is below. So a record is loaded, cached, kept,
// written in the commit of its effects, and expires as the state of any function does.
//
// An event under a key is a message to its record, and names the address that it is for as its caller. The first one becomes the
// message that it stands for; those that come again become nothing and are answered with the same. The reply goes to the record, too:
// the address that is the message's caller says which record, and with which nonce, which nobody can guess.

// OnceType is the function type of the records of keys. Nobody else can send to it.
var OnceType = api.FunctionType{Namespace: "io.stategate", Name: "once"}

// Once is what an event that has a key brings along.
type Once struct {
	Key    string // of its record: a digest of address and key
	Digest string // of all that must be the same when it comes again, KeyBytes long
	Nonce  string // drawn anew for each attempt, NonceBytes long; nobody can guess it
}

// Lengths of what records and messages to them hold.
const (
	NonceBytes = 24
	KeyBytes   = 64
)

// Outcome says what a token of Once is answered.
type Outcome uint8

const (
	Replied      Outcome = iota // with a reply
	Accepted                    // the event is durable: whoever sends it does not want a reply
	Conflict                    // the key was used for something else; nothing has happened
	Crowded                     // too many keys are kept; nothing has happened
	DeadLettered                // of an event without a key: it is a dead letter, and takes effect only when that is replayed
)

const (
	onceAsk   = "ask"   // state: the nonce, the digest
	onceReply = "reply" // state: whether it has a value in the first byte of the type's name
	onceSum   = "sum"   // state of the record of records: how many there are, and how many bytes
)

// onceTotal is the id of the record of records; no key is so short.
const onceTotal = "total"

// onces is what the function of the records remembers.
type onces struct {
	ready   fifo[*cell]
	learned bool                // the states of records are known to be as they are now
	total   *cell               // the record of records; nil before the first key
	waiting map[string][]string // nonces of attempts that wait for the reply, by record
}

func (m *Machine) onceSpecs() []statestore.StateSpec {
	return []statestore.StateSpec{
		{Name: onceAsk, Expiration: statestore.ExpireAfterWrite, TTL: m.cfg.OnceTTL},
		{Name: onceReply, Expiration: statestore.ExpireAfterWrite, TTL: m.cfg.OnceTTL},
		{Name: onceSum},
	}
}

// AskOnce is Ask, and SendOnce is Event, for an event that has a key. Beside Done there is an answer under the token: what came of it.
func (m *Machine) AskOnce(msg api.Message, o Once, token uint64) *Refusal {
	return m.once(msg, o, "c", token)
}

// SendOnce is AskOnce for a sender that wants no reply.
func (m *Machine) SendOnce(msg api.Message, o Once, token uint64) *Refusal {
	return m.once(msg, o, "s", token)
}

func (m *Machine) once(msg api.Message, o Once, verb string, token uint64) *Refusal {
	if r := m.refuseEvent(&msg); r != nil {
		return r
	}
	if len(o.Key) != KeyBytes || len(o.Digest) != KeyBytes || len(o.Nonce) != NonceBytes || len(msg.Argument.TypeName) > api.TypeNameBytesMax-1-NonceBytes-KeyBytes {
		return &Refusal{"bad value", fmt.Sprintf("key, digest or nonce of a wrong length, or a type name of %d bytes", len(msg.Argument.TypeName))}
	}
	record := msg
	record.Target, record.Caller = api.Address{Type: OnceType, ID: o.Key}, msg.Target
	record.Argument.TypeName = verb + o.Nonce + o.Digest + msg.Argument.TypeName
	m.replies.attempts[o.Nonce] = token
	m.bring(event{msg: record, token: token}, m.function(msg.Target.Type))
	return nil
}

// ForgetOnce tells that nobody waits for what came of an attempt.
func (m *Machine) ForgetOnce(o Once) {
	delete(m.replies.attempts, o.Nonce)
	left := slices.DeleteFunc(m.onces.waiting[o.Key], func(nonce string) bool { return nonce == o.Nonce })
	if len(left) == 0 {
		delete(m.onces.waiting, o.Key)
		return
	}
	m.onces.waiting[o.Key] = left
}

// onceCaller is the address that answers a record.
func onceCaller(key, nonce string) api.Address {
	return api.Address{Type: ReplyType, ID: key + "." + nonce}
}

// replyOnce takes a message to the record of a key, if the address is one's.
func (m *Machine) replyOnce(s *Send, trace *api.Trace) bool {
	key, nonce, ok := strings.Cut(s.Target.ID, ".")
	if !ok || len(key) != KeyBytes || len(nonce) != NonceBytes {
		return false
	}
	if len(s.Argument.TypeName) > api.TypeNameBytesMax-1-NonceBytes {
		m.stats.RepliesDropped++
		return true
	}
	msg := &message{Message: api.Message{Target: api.Address{Type: OnceType, ID: key}, Argument: s.Argument, Trace: trace}}
	msg.Argument.TypeName = "r" + nonce + s.Argument.TypeName
	m.put(msg)
	return true
}

// readyOnce is makeReady for a record.
func (m *Machine) readyOnce(c *cell) {
	if !c.queued {
		c.queued = true
		m.onces.ready.push(c)
	}
}

// runOnces lets the function of the records take what waits for it. Nothing of it is done outside.
func (m *Machine) runOnces() {
	if m.onces.ready.len() == 0 {
		return
	}
	if !m.onceCounts() {
		return
	}
	for n := m.onces.ready.len(); n > 0 && !m.saturated(); n-- {
		c := m.onces.ready.pop()
		c.queued = false
		if c.phase != ready || c.mail.len() == 0 {
			continue
		}
		m.expire(c)
		for c.mail.len() > 0 {
			m.takeOnce(c, &c.mail.front().Message)
			msg := c.mail.pop()
			m.mailBytes -= msg.size
			m.finish(msg)
		}
		m.proceed(c)
	}
}

// onceCounts reports whether it is known how many records there are, and has that loaded.
func (m *Machine) onceCounts() bool {
	if m.onces.total == nil {
		m.onces.total = m.cell(api.Address{Type: OnceType, ID: onceTotal})
		m.onces.total.pins++ // as long as this memory lives
	}
	return m.onces.total.phase != loading
}

// takeOnce is the function of the records.
func (m *Machine) takeOnce(c *cell, msg *api.Message) {
	verb, rest := msg.Argument.TypeName[:1], msg.Argument.TypeName[1:]
	nonce := rest[:NonceBytes]
	at, known := findValue(c.values, onceAsk)
	if known && len(c.values[at].Value) != NonceBytes+KeyBytes {
		m.spoiltOnce(verb, nonce)
		return
	}
	if verb == "r" {
		_, replied := findValue(c.values, onceReply)
		if !known || replied || string(c.values[at].Value[:NonceBytes]) != nonce {
			m.stats.RepliesDropped++
			return
		}
		m.stats.Replies++
		m.effect(false)
		v := msg.Argument
		v.TypeName = rest[NonceBytes:]
		m.keepOnce(c, onceReply, v)
		for _, waits := range m.onces.waiting[c.address.ID] {
			m.answerOnce(waits, Answer{Value: v})
		}
		delete(m.onces.waiting, c.address.ID)
		return
	}
	digest, v := rest[NonceBytes:NonceBytes+KeyBytes], msg.Argument
	v.TypeName = rest[NonceBytes+KeyBytes:]
	switch {
	case !known && m.onceFull():
		m.answerOnce(nonce, Answer{Outcome: Crowded})
		return
	case !known:
		m.beginOnce(c, api.Message{Target: msg.Caller, Argument: v, Trace: msg.Trace}, verb == "c", nonce, digest)
	case string(c.values[at].Value[NonceBytes:]) != digest:
		m.answerOnce(nonce, Answer{Outcome: Conflict})
		return
	}
	if verb == "s" {
		m.answerOnce(nonce, Answer{Outcome: Accepted})
		return
	}
	if at, ok := findValue(c.values, onceReply); ok {
		if c.values[at].TypeName == "" {
			m.spoiltOnce(verb, nonce)
			return
		}
		kept := c.values[at]
		m.answerOnce(nonce, Answer{Value: api.TypedValue{TypeName: kept.TypeName[1:], HasValue: kept.TypeName[:1] == "1", Value: kept.Value}})
		return
	}
	if _, waits := m.replies.attempts[nonce]; waits {
		m.onces.waiting[c.address.ID] = append(m.onces.waiting[c.address.ID], nonce)
	}
}

// spoiltOnce is takeOnce for a record that this program has not written so. What was done under its key is not known, so nothing is
// done again until it expires.
func (m *Machine) spoiltOnce(verb, nonce string) {
	if verb == "r" {
		m.stats.RepliesDropped++
		return
	}
	m.answerOnce(nonce, Answer{Outcome: Conflict})
}

// beginOnce is the first attempt: its record, and the message that it stands for.
func (m *Machine) beginOnce(c *cell, msg api.Message, call bool, nonce, digest string) {
	if !m.onces.learned {
		m.onces.learned = true
		_ = m.learn(c.fn, m.onceSpecs()) // they are few and short
	}
	m.effect(false)
	if len(c.values) > 0 { // a reply that has outlived what asked for it
		m.countOnce(-1, -c.weight)
		m.setValues(c, nil)
	}
	m.keepOnce(c, onceAsk, api.TypedValue{HasValue: true, Value: []byte(nonce + digest)})
	m.countOnce(1, c.weight)
	if call {
		msg.Caller = onceCaller(c.address.ID, nonce)
	}
	if m.deliverable(&msg, nil, 0) {
		m.put(&message{Message: msg})
	}
}

// keepOnce sets a state of a record.
func (m *Machine) keepOnce(c *cell, name string, v api.TypedValue) {
	before := c.weight
	flag := "0"
	if v.HasValue {
		flag = "1"
	}
	values := c.ownValues()
	at, found := findValue(values, name)
	value := statestore.StateValue{Name: name, TypeName: flag + v.TypeName, Value: v.Value, Touched: m.now, Changed: true}
	if found {
		values[at] = value
	} else {
		values = slices.Insert(values, at, value)
	}
	m.setValues(c, values)
	if name == onceReply {
		m.countOnce(0, c.weight-before)
	}
}

// answerOnce answers an attempt with the next cut, if somebody waits for it.
func (m *Machine) answerOnce(nonce string, a Answer) {
	token, ok := m.replies.attempts[nonce]
	if !ok {
		return
	}
	delete(m.replies.attempts, nonce)
	a.Token = token
	m.effectBytes += len(a.Value.Value) + len(a.Value.TypeName)
	m.replies.answers = append(m.replies.answers, a)
	m.effect(true)
}

// onceSums is how many records there are, and how many bytes.
func (m *Machine) onceSums() (records, bytes int64) {
	if at, ok := findValue(m.onces.total.values, onceSum); ok {
		n, b, _ := strings.Cut(string(m.onces.total.values[at].Value), " ")
		records, bytes = whole(n), whole(b)
	}
	return records, bytes
}

func (m *Machine) onceFull() bool {
	records, bytes := m.onceSums()
	return records >= m.cfg.OnceMax || bytes >= m.cfg.OnceBytesMax
}

func (m *Machine) countOnce(records int64, bytes int) {
	n, b := m.onceSums()
	text := fmt.Sprintf("%d %d", max(n+records, 0), max(b+int64(bytes), 0))
	m.keepOnce(m.onces.total, onceSum, api.TypedValue{HasValue: true, Value: []byte(text)})
}

// whole reads a number that countOnce has written; anything else is none.
func whole(digits string) (n int64) {
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0
		}
		n = n*10 + int64(d-'0')
	}
	return n
}

// expiredOnce counts what has expired of a record.
func (m *Machine) expiredOnce(c *cell, before int) {
	gone := int64(0)
	if len(c.values) == 0 {
		gone = -1
	}
	m.countOnce(gone, c.weight-before)
}
