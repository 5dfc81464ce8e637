package dispatcher

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// A reply is read by hand, straight into the machine's words: the generated messages cost several times as much, and are copied from
// once more. What is accepted and what it means is what the generated code says, and a fuzz test compares the two: unknown fields and
// those of another wire type are skipped, of a single field the last one counts, parts of one message that comes twice are merged.

// decoder reads one reply.
type decoder struct {
	call  *machine.Call // that it answers; its texts come back
	words *words        // of the function
	reply *machine.Reply

	problem error  // the first thing that the wire allows and the gateway does not, in what counts
	block   []byte // room for small values
}

// decodeReply reads the body of a reply; nothing of what it answers is b. Zero bytes are a reply without effects. More effects than
// protocol.EffectsMax are an error, found before they take memory. Beyond the wire it judges only what the machine cannot see any more:
// an unknown kind of mutation, and names that no store can hold. Who has no use for the reply any more may recycle it.
func decodeReply(b []byte, call *machine.Call, w *words) (*machine.Reply, error) {
	if len(b) > 2*protocol.EffectsMax { // an effect has two bytes at least
		if err := countEffects(b); err != nil {
			return nil, fmt.Errorf("decode reply: %w", err)
		}
	}
	d := decoder{call: call, words: w, reply: replies.Get().(*machine.Reply)}
	err := d.response(b)
	if err != nil {
		err = fmt.Errorf("decode reply: %w", err)
	} else {
		err = d.problem
	}
	if err != nil {
		recycle(d.reply)
		return nil, err
	}
	return d.reply, nil
}

const (
	resultKey     = 100<<3 | packed
	incompleteKey = 101<<3 | packed
)

// countEffects fails when there are too many: each field of a length inside one of the alternatives is one.
func countEffects(b []byte) error {
	n := 0
	all := fields{rest: b}
	for all.next() {
		if all.key != resultKey && all.key != incompleteKey {
			continue
		}
		effects := fields{rest: all.content}
		for effects.next() {
			if effects.key&7 == packed {
				n++
			}
		}
		if effects.err != nil {
			return effects.err
		}
	}
	if n > protocol.EffectsMax {
		return tooMany(n)
	}
	return all.err
}

func tooMany(n int) error {
	return fmt.Errorf("it has %d effects: at most %d are allowed", n, protocol.EffectsMax)
}

// response reads a FromFunction: of two alternatives the last one counts.
func (d *decoder) response(b []byte) error {
	f := fields{rest: b}
	for f.next() {
		var err error
		switch f.key {
		case resultKey:
			if d.reply.Incomplete {
				d.empty(false)
			}
			err = d.result(f.content)
		case incompleteKey:
			if !d.reply.Incomplete {
				d.empty(true)
			}
			err = d.incomplete(f.content)
		}
		if err != nil {
			return err
		}
	}
	return f.err
}

// empty forgets what the other alternative has said.
func (d *decoder) empty(incomplete bool) {
	empty(d.reply)
	d.reply.Incomplete = incomplete
	d.problem = nil
}

// result reads an InvocationResponse.
func (d *decoder) result(b []byte) error {
	r := d.reply
	f := fields{rest: b}
	for f.next() {
		var err error
		switch f.key {
		case 1<<3 | packed:
			r.Mutations = more(r.Mutations, len(f.content), len(f.rest))
			err = d.mutation(f.content, &r.Mutations[len(r.Mutations)-1])
		case 2<<3 | packed:
			r.Sends = more(r.Sends, len(f.content), len(f.rest))
			err = d.send(f.content, len(f.rest), &r.Sends[len(r.Sends)-1])
		case 3<<3 | packed:
			r.Delayed = more(r.Delayed, len(f.content), len(f.rest))
			err = d.delayed(f.content, len(f.rest), &r.Delayed[len(r.Delayed)-1])
		case 4<<3 | packed:
			r.Outputs = more(r.Outputs, len(f.content), len(f.rest))
			err = d.output(f.content, len(f.rest), &r.Outputs[len(r.Outputs)-1])
		}
		if err != nil {
			return err
		}
	}
	return f.err
}

// growthMax bounds the room that is made on the word of one effect's size.
const growthMax = 64

// more adds an effect. What stands behind it is taken for effects of its size.
func more[T any](list []T, size, behind int) []T {
	if n := len(list); n > 0 && n == cap(list) {
		small := list
		list = slices.Grow(list, min(1+behind/(size+2), growthMax))
		clear(small) // it may be a reply's room for one, which lives on
	}
	var one T
	return append(list, one)
}

// mutation reads a PersistedValueMutation.
func (d *decoder) mutation(b []byte, m *machine.Mutation) (err error) {
	var kind int32
	f := fields{rest: b}
	for f.next() && err == nil {
		switch f.key {
		case 1<<3 | varint:
			kind = int32(f.varint)
		case 2<<3 | packed:
			m.Name, err = d.words.text(f.content)
		case 3<<3 | packed:
			err = d.value(f.content, &m.Value)
		}
	}
	if err != nil || f.err != nil {
		return f.end(err)
	}
	switch protocol.FromFunction_PersistedValueMutation_MutationType(kind) {
	case protocol.FromFunction_PersistedValueMutation_DELETE:
		m.Delete, m.Value = true, api.TypedValue{}
	case protocol.FromFunction_PersistedValueMutation_MODIFY:
		m.Value.Value = alone(m.Value.Value)
	default:
		m.Value.Value = nil
		d.complain("reply has a mutation of state %q of the unknown kind %d", short(m.Name), kind)
	}
	return nil
}

// complain keeps the first problem.
func (d *decoder) complain(format string, args ...any) {
	if d.problem == nil {
		d.problem = fmt.Errorf(format, args...)
	}
}

// send reads an Invocation. behind is how much stands behind it in its list.
func (d *decoder) send(b []byte, behind int, s *machine.Send) (err error) {
	f := fields{rest: b}
	for f.next() && err == nil {
		switch f.key {
		case 1<<3 | packed:
			err = d.address(f.content, &s.Target)
		case 2<<3 | packed:
			err = d.value(f.content, &s.Argument)
		}
	}
	s.Argument.Value = d.keep(s.Argument.Value, behind)
	return f.end(err)
}

// delayed reads a DelayedInvocation.
func (d *decoder) delayed(b []byte, behind int, s *machine.Delayed) (err error) {
	f := fields{rest: b}
	for f.next() && err == nil {
		switch f.key {
		case 1<<3 | varint:
			s.Delay = int64(f.varint)
		case 2<<3 | packed:
			err = d.address(f.content, &s.Target)
		case 3<<3 | packed:
			err = d.value(f.content, &s.Argument)
		case 10<<3 | varint:
			s.Cancel = protowire.DecodeBool(f.varint)
		case 11<<3 | packed:
			s.Token, err = text(f.content)
		}
	}
	s.Argument.Value = d.keep(s.Argument.Value, behind)
	return f.end(err)
}

// output reads an EgressMessage.
func (d *decoder) output(b []byte, behind int, o *machine.Output) (err error) {
	var namespace, name []byte
	f := fields{rest: b}
	for f.next() && err == nil {
		switch f.key {
		case 1<<3 | packed:
			namespace, err = f.content, check(f.content)
		case 2<<3 | packed:
			name, err = f.content, check(f.content)
		case 3<<3 | packed:
			err = d.value(f.content, &o.Value)
		}
	}
	if err = f.end(err); err != nil {
		return err // before the name becomes a word: it may be no text
	}
	o.Egress = d.words.pair(namespace, name)
	o.Value.Value = d.keep(o.Value.Value, behind)
	return nil
}

// address reads an Address onto one that may hold a part of it.
func (d *decoder) address(b []byte, a *api.Address) (err error) {
	f := fields{rest: b}
	for f.next() && err == nil {
		switch f.key {
		case 1<<3 | packed:
			a.Type.Namespace, err = d.words.text(f.content)
		case 2<<3 | packed:
			a.Type.Name, err = d.words.text(f.content)
		case 3<<3 | packed:
			a.ID, err = d.id(f.content)
		}
	}
	return f.end(err)
}

// id is mostly the function's own, or that of whoever called it.
func (d *decoder) id(b []byte) (string, error) {
	if string(b) == d.call.Target.ID {
		return d.call.Target.ID, nil
	}
	if len(d.call.Messages) > 0 && string(b) == d.call.Messages[0].Caller.ID {
		return d.call.Messages[0].Caller.ID, nil
	}
	return text(b)
}

// value reads a TypedValue onto one that may hold a part of it. Its bytes are still those of the reply.
func (d *decoder) value(b []byte, v *api.TypedValue) (err error) {
	f := fields{rest: b}
	for f.next() && err == nil {
		switch f.key {
		case 1<<3 | packed:
			v.TypeName, err = d.words.text(f.content)
		case 2<<3 | varint:
			v.HasValue = protowire.DecodeBool(f.varint)
		case 3<<3 | packed:
			v.Value = f.content
		}
	}
	return f.end(err)
}

const (
	smallBytes = 128 // of values that share memory with others of their reply
	blockBytes = 512
)

// keep takes a value out of the reply's bytes. Small ones of one reply share memory: none holds more than a block by it. behind bounds
// what may still want to share.
func (d *decoder) keep(v []byte, behind int) []byte {
	if len(v) > smallBytes {
		return alone(v)
	}
	if len(v) == 0 {
		return nil
	}
	if cap(d.block)-len(d.block) < len(v) {
		d.block = make([]byte, 0, min(blockBytes, len(v)+behind))
	}
	from := len(d.block)
	d.block = append(d.block, v...)
	return d.block[from:len(d.block):len(d.block)]
}

// alone is for what is kept for long, and may hold nothing beside itself.
func alone(v []byte) []byte { return append([]byte(nil), v...) }

// incomplete reads an IncompleteInvocationContext.
func (d *decoder) incomplete(b []byte) error {
	f := fields{rest: b}
	for f.next() {
		if f.key != 1<<3|packed {
			continue
		}
		spec, err := d.missing(f.content)
		if err != nil {
			return err
		}
		d.reply.Missing = append(d.reply.Missing, spec)
	}
	return f.err
}

// missing reads a PersistedValueSpec.
func (d *decoder) missing(b []byte) (spec statestore.StateSpec, err error) {
	var mode int32
	var ttl int64
	f := fields{rest: b}
	for f.next() && err == nil {
		switch f.key {
		case 1<<3 | packed:
			spec.Name, err = d.words.text(f.content)
		case 2<<3 | packed:
			err = expiration(f.content, &mode, &ttl)
		case 3<<3 | packed:
			spec.TypeName, err = d.words.text(f.content)
		}
	}
	if err = f.end(err); err != nil {
		return spec, err
	}
	switch {
	case spec.Name == "" || len(spec.Name) > api.NameBytesMax:
		d.complain("function declares a state %q: a name has 1 to %d bytes", short(spec.Name), api.NameBytesMax)
	case len(spec.TypeName) > api.TypeNameBytesMax:
		d.complain("function declares state %q with a type name of %d bytes: at most %d are allowed", spec.Name, len(spec.TypeName), api.TypeNameBytesMax)
	}
	if ttl <= 0 {
		return spec, nil
	}
	switch protocol.FromFunction_ExpirationSpec_ExpireMode(mode) { // unknown modes count as none
	case protocol.FromFunction_ExpirationSpec_AFTER_WRITE:
		spec.Expiration, spec.TTL = statestore.ExpireAfterWrite, ttl
	case protocol.FromFunction_ExpirationSpec_AFTER_INVOKE:
		spec.Expiration, spec.TTL = statestore.ExpireAfterInvoke, ttl
	}
	return spec, nil
}

// expiration reads an ExpirationSpec.
func expiration(b []byte, mode *int32, ttl *int64) error {
	f := fields{rest: b}
	for f.next() {
		switch f.key {
		case 1<<3 | varint:
			*mode = int32(f.varint)
		case 2<<3 | varint:
			*ttl = int64(f.varint)
		}
	}
	return f.err
}

// short cuts hostile text for an error message.
func short(s string) string {
	if len(s) <= 64 {
		return s
	}
	return s[:64] + "..."
}
