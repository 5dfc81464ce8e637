package simulation_test

import (
	"slices"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/dispatcher/machine"
)

// Some events have a client that wants a reply: the first message that the call of the event sends to its caller. It may be handed over
// when a commit holds what the call has done, not before; and it must be handed over then, once, if the incarnation lives. Where the event
// is set aside the client is told that instead, with the commit that holds the dead letter. It waits beside everything else that it does.

// asker waits for the reply to one event.
type asker struct {
	node *node
	id   string
	gone bool // it waits no longer: a reply that is on its way may come still
}

// hand brings an event to the machine, as one whose sender waits for a reply or not.
func (inc *incarnation) hand(n *node, token uint64) *machine.Refusal {
	msg := n.message()
	if !n.asks {
		return inc.m.Event(msg, token)
	}
	msg.Caller = api.Address{}
	refusal := inc.m.Ask(msg, n.caller, token)
	if refusal == nil {
		inc.askers[token] = asker{node: n, id: n.caller}
	}
	return refusal
}

// answers are what a function sends to a caller outside: the reply, another one, and one for a client that is not there.
func (n *node) answers(caller api.Address) []machine.Send {
	nobody := api.Address{Type: machine.ReplyType, ID: "nobody"}
	return []machine.Send{
		{Target: nobody, Argument: typed("sim/answer", "for nobody")},
		{Target: caller, Argument: typed("sim/answer", n.eventText())},
		{Target: caller, Argument: typed("sim/answer", "too late")},
	}
}

func withoutAnswers(r *machine.Reply) *machine.Reply {
	plain := *r
	plain.Sends = slices.DeleteFunc(slices.Clone(r.Sends), func(s machine.Send) bool { return s.Target.Type == machine.ReplyType })
	return &plain
}

// judgeCaller finds events that a function could not answer.
func (inc *incarnation) judgeCaller(n *node, m *api.Message) {
	if m.Caller.Type != machine.ReplyType || m.Caller.ID != n.caller {
		inc.failf("address", "event %s has the caller %v, want %s", n.eventText(), m.Caller, n.caller)
	}
}

// takeAnswers judges what is handed to clients.
func (inc *incarnation) takeAnswers(w *machine.Work) {
	for _, a := range w.Answers {
		k, ok := inc.askers[a.Token]
		if !ok {
			inc.failf("reply", "%v hands a reply to token %d, which waits for none", inc, a.Token)
		}
		delete(inc.askers, a.Token)
		n := k.node
		if a.Outcome == machine.DeadLettered {
			inc.takeAside(&a, k)
			continue
		}
		inc.tell("%v: the client of event %s is handed %s", inc, n.eventText(), a.Value.Value)
		inc.seen.replies++
		if string(a.Value.Value) != n.eventText() {
			inc.failf("reply", "%v hands %q to the client of event %s", inc, a.Value.Value, n.eventText())
		}
		if inc.owner == inc && !inc.durable.ran(n) {
			inc.failf("release", "%v hands over the reply to event %s, and the store does not have what its call has done", inc, n.eventText())
		}
		if inc.tokens[a.Token] != nil {
			inc.failf("release", "%v hands over the reply to event %s before it says that the event is durable", inc, n.eventText())
		}
	}
	if inc.commit != nil || inc.owner != inc {
		return
	}
	for _, k := range inc.askers {
		if !k.gone && inc.durable.ran(k.node) {
			inc.failf("reply", "%v: what the call of event %s has done is confirmed, and its client is not handed the reply", inc, k.node.eventText())
		}
		if !k.gone && inc.durable.unheard[k.id] {
			inc.failf("reply", "%v: event %s is set aside for good, and its client is not told", inc, k.node.eventText())
		}
	}
}

// takeAside judges that a client is told that its event is set aside.
func (inc *incarnation) takeAside(a *machine.Answer, k asker) {
	inc.tell("%v: the client of event %s is told that it is set aside: %s", inc, k.node.eventText(), a.Reason)
	inc.seen.unheard++
	if inc.owner == inc && !inc.durable.unheard[k.id] || a.Reason == "" {
		inc.failf("release", "%v tells the client of event %s that it is set aside (%q), and the store has no such dead letter", inc, k.node.eventText(), a.Reason)
	}
	if inc.tokens[a.Token] != nil {
		inc.failf("release", "%v tells what became of event %s before it says that the event is durable", inc, k.node.eventText())
	}
}

// forget is a client that waits no longer for a reply.
func (inc *incarnation) forget(token uint64) {
	if k, ok := inc.askers[token]; ok {
		k.gone = true
		inc.askers[token] = k
		inc.m.Forget(k.id)
	}
}
