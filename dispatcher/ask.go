package dispatcher

import (
	"context"
	"crypto/rand"
	"encoding/base64"
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
)

// ReplyType is the function type of the address that a function is called by when somebody outside waits for its reply.
var ReplyType = machine.ReplyType

// Ask is Send for a message whose sender waits for a reply, and answers it: what is first sent to the message's caller, an address that
// nobody can guess, once a commit holds it. The error is one of Send's, ErrNoReply when ctx ends first, or ErrReplyLost.
func (d *Dispatcher) Ask(ctx context.Context, msg api.Message) (api.TypedValue, error) {
	id := newReplyID()
	token, w := d.newWaiter()
	w.refused, w.answer = make(chan *Refusal, 1), make(chan api.TypedValue, 1)
	d.mu.Lock()
	d.asking[token] = w
	d.mu.Unlock()
	defer d.hangUp(token, id)
	d.inbox.post(func(m *machine.Machine) {
		if r := m.Ask(msg, id, token); r != nil {
			w.refused <- r
		}
	})
	if err := d.taken(ctx, msg.Target.Type, token, w); err != nil {
		return api.TypedValue{}, err
	}
	var lost error
	select {
	case v := <-w.answer:
		return v, nil
	case <-ctx.Done():
		lost = fmt.Errorf("%w: %w", ErrNoReply, context.Cause(ctx))
	case <-d.ctx.Done():
		<-d.looped // from here on it hands out nothing
		lost = fmt.Errorf("%w: %w", ErrReplyLost, context.Cause(d.ctx))
	}
	select {
	case v := <-w.answer: // meanwhile
		return v, nil
	default:
		return api.TypedValue{}, lost
	}
}

// answer hands a reply to who waits for it.
func (d *Dispatcher) answer(a *machine.Answer) {
	d.mu.Lock()
	w := d.asking[a.Token]
	delete(d.asking, a.Token)
	d.mu.Unlock()
	if w != nil {
		w.answer <- a.Value
	}
}

// hangUp is for who waits no longer.
func (d *Dispatcher) hangUp(token uint64, id string) {
	d.mu.Lock()
	delete(d.asking, token)
	d.mu.Unlock()
	d.inbox.post(func(m *machine.Machine) { m.Forget(id) })
}

// newReplyID is one that was never used and that nobody can guess.
func newReplyID() string {
	var random [18]byte
	_, _ = rand.Read(random[:]) // it never fails
	return base64.RawURLEncoding.EncodeToString(random[:])
}
