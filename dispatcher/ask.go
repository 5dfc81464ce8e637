package dispatcher

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

var (
	// ErrNoReply says that the message is durable and takes effect, and that its reply has not come in time.
	ErrNoReply = errors.New("the message is taken, and its reply has not come")
	// ErrReplyLost says that the message is durable and takes effect, and that nobody will ever be handed its reply.
	ErrReplyLost = errors.New("the message is taken, and its reply is lost")
	// ErrSetAside says that the message is a dead letter, for good: it has had no effect, and has one only if somebody replays it. Its reason
	// is behind it.
	ErrSetAside = errors.New("the message is set aside")
)

// ReplyType is the function type of the address that a function is called by when somebody outside waits for its reply.
var ReplyType = machine.ReplyType

// Ask is Send for a message whose sender waits for a reply, and answers it: what is first sent to the message's caller, an address that
// nobody can guess, once a commit holds it. The error is one of Send's, ErrNoReply when ctx ends first, ErrReplyLost, or
// ErrSetAside.
func (d *Dispatcher) Ask(ctx context.Context, msg api.Message) (api.TypedValue, error) {
	id := newReplyID()
	a, err := d.ask(ctx, msg.Target.Type, func(m *machine.Machine, token uint64) *Refusal { return m.Ask(msg, id, token) },
		func(m *machine.Machine) { m.Forget(id) })
	if err == nil && a.Outcome == machine.DeadLettered {
		err = fmt.Errorf("%w: %s", ErrSetAside, a.Reason)
	}
	return a.Value, err
}

// ErrKeyUsed says that the key was used for something else; nothing has happened.
var ErrKeyUsed = errors.New("the key was used for another message")

// Once is Ask, or Send when no reply is wanted, for a message that has a key: what is sent to one address under one key takes effect once
// within a day, whoever sends it and how often, and all are answered with the same reply. The error is one of theirs, or ErrKeyUsed; after
// any of them the same may be sent again.
func (d *Dispatcher) Once(ctx context.Context, msg api.Message, key string, reply bool) (api.TypedValue, error) {
	o, take := onceOf(&msg, key, reply), (*machine.Machine).SendOnce
	if reply {
		take = (*machine.Machine).AskOnce
	}
	a, err := d.ask(ctx, msg.Target.Type, func(m *machine.Machine, token uint64) *Refusal { return take(m, msg, o, token) },
		func(m *machine.Machine) { m.ForgetOnce(o) })
	switch {
	case err != nil:
	case a.Outcome == machine.Conflict:
		err = ErrKeyUsed
	case a.Outcome == machine.Crowded:
		err = fmt.Errorf("%w: too many keys are remembered", ErrNotSent)
	}
	return a.Value, err
}

// onceOf names the record of a key, and what must be the same when it comes again.
func onceOf(msg *api.Message, key string, reply bool) machine.Once {
	digest := func(parts ...string) string {
		h := sha256.New()
		for _, part := range parts {
			var n [8]byte
			binary.BigEndian.PutUint64(n[:], uint64(len(part)))
			h.Write(n[:])
			h.Write([]byte(part))
		}
		return hex.EncodeToString(h.Sum(nil))
	}
	to, v := msg.Target, msg.Argument
	return machine.Once{
		Key:    digest(to.Type.Namespace, to.Type.Name, to.ID, key),
		Digest: digest(v.TypeName, fmt.Sprint(v.HasValue, reply), string(v.Value)),
		Nonce:  newReplyID(),
	}
}

// ask tells the machine of a message that is answered, and waits for the answer.
func (d *Dispatcher) ask(ctx context.Context, to api.FunctionType, tell func(*machine.Machine, uint64) *Refusal, forget func(*machine.Machine)) (a machine.Answer, err error) {
	token, w := d.newWaiter()
	w.refused, w.answer = make(chan *Refusal, 1), make(chan machine.Answer, 1)
	d.mu.Lock()
	d.asking[token] = w
	d.mu.Unlock()
	defer d.hangUp(token, forget)
	d.inbox.post(func(m *machine.Machine) {
		if r := tell(m, token); r != nil {
			w.refused <- r
		}
	})
	if err := d.taken(ctx, to, token, w); err != nil {
		return a, err
	}
	var lost error
	select {
	case a = <-w.answer:
		return a, nil
	case <-ctx.Done():
		lost = fmt.Errorf("%w: %w", ErrNoReply, context.Cause(ctx))
	case <-d.ctx.Done():
		<-d.looped // from here on it hands out nothing
		lost = fmt.Errorf("%w: %w", ErrReplyLost, context.Cause(d.ctx))
	}
	select {
	case a = <-w.answer: // meanwhile
		return a, nil
	default:
		return a, lost
	}
}

// answer hands a reply to who waits for it.
func (d *Dispatcher) answer(a *machine.Answer) {
	d.mu.Lock()
	w := d.asking[a.Token]
	delete(d.asking, a.Token)
	d.mu.Unlock()
	if w != nil {
		w.answer <- *a
	}
}

// hangUp is for who waits no longer.
func (d *Dispatcher) hangUp(token uint64, forget func(*machine.Machine)) {
	d.mu.Lock()
	delete(d.asking, token)
	d.mu.Unlock()
	d.inbox.post(forget)
}

// newReplyID is one that was never used and that nobody can guess.
func newReplyID() string {
	var random [18]byte
	_, _ = rand.Read(random[:]) // it never fails
	return base64.RawURLEncoding.EncodeToString(random[:])
}
