//go:build unix

package chaos

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

const (
	namespace = "chaos"
	textType  = "chaos/text"

	// What expires after accounts have been left alone for so long, and how much later it may still be seen: a call may be on its
	// way for a while.
	recentFor  = 2 * time.Second
	recentLate = 60 * time.Second
)

// application is the functions. It speaks the protocol itself and keeps nothing.
//
//	front    does what an event asks for
//	hop1,2   a chain to account
//	echo     says "undo" to who asks it, for cancellations
//	account  a count, a balance, and what checks that states expire; writes a result for each order to topic accounts
//	audit    counts its events; writes "count op" to topic audits
type application struct{ prefix string }

// serveApplication is the role of the test binary in which it serves the functions. It answers why it ended.
func serveApplication() error {
	listener, err := net.Listen("tcp", os.Getenv(applicationAddr))
	if err != nil {
		return err
	}
	return http.Serve(listener, &application{prefix: os.Getenv(applicationPrefix)})
}

func (a *application) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var call protocol.ToFunction
	if err := proto.Unmarshal(body, &call); err != nil || call.GetInvocation() == nil {
		http.Error(w, fmt.Sprintf("request: %v", err), http.StatusBadRequest)
		return
	}
	reply, err := a.answer(call.GetInvocation())
	if err == nil {
		body, err = proto.Marshal(reply)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", protocol.ContentType)
	_, _ = w.Write(body)
}

// effects gathers the reply of one call.
type effects struct {
	*protocol.FromFunction_InvocationResponse
	prefix string
}

func text(s string) *protocol.TypedValue {
	return &protocol.TypedValue{Typename: textType, HasValue: true, Value: []byte(s)}
}

func target(function, id string) *protocol.Address {
	return &protocol.Address{Namespace: namespace, Type: function, Id: id}
}

func (e *effects) send(function, id, argument string) {
	e.OutgoingMessages = append(e.OutgoingMessages, &protocol.FromFunction_Invocation{Target: target(function, id), Argument: text(argument)})
}

func (e *effects) delay(ms int, token, function, id, argument string) {
	e.DelayedInvocations = append(e.DelayedInvocations, &protocol.FromFunction_DelayedInvocation{
		DelayInMs: int64(ms), CancellationToken: token, Target: target(function, id), Argument: text(argument),
	})
}

func (e *effects) cancel(token string) {
	e.DelayedInvocations = append(e.DelayedInvocations, &protocol.FromFunction_DelayedInvocation{IsCancellationRequest: true, CancellationToken: token})
}

func (e *effects) write(topic, key, value string) error {
	record, err := proto.Marshal(&protocol.KafkaProducerRecord{Key: []byte(key), Topic: e.prefix + topic, ValueBytes: []byte(value)})
	if err != nil {
		return err
	}
	e.OutgoingEgresses = append(e.OutgoingEgresses, &protocol.FromFunction_EgressMessage{
		EgressNamespace: namespace, EgressType: "out",
		Argument: &protocol.TypedValue{Typename: protocol.TypeKafkaProducerRecord, HasValue: true, Value: record},
	})
	return nil
}

func (e *effects) keep(name, value string) {
	e.StateMutations = append(e.StateMutations, &protocol.FromFunction_PersistedValueMutation{
		MutationType: protocol.FromFunction_PersistedValueMutation_MODIFY, StateName: name, StateValue: text(value),
	})
}

type batch = protocol.ToFunction_InvocationBatchRequest

func (a *application) answer(b *batch) (*protocol.FromFunction, error) {
	e := &effects{FromFunction_InvocationResponse: &protocol.FromFunction_InvocationResponse{}, prefix: a.prefix}
	var err error
	switch b.Target.Type {
	case "front":
		err = front(b, e)
	case "hop1", "hop2":
		next := map[string]string{"hop1": "hop2", "hop2": "account"}[b.Target.Type]
		for _, in := range b.Invocations {
			e.send(next, b.Target.Id, string(in.Argument.GetValue()))
		}
	case "echo":
		for _, in := range b.Invocations {
			e.send(in.Caller.GetType(), in.Caller.GetId(), string(in.Argument.GetValue()))
		}
	case "account":
		if missing := unknown(b, accountSpecs); missing != nil {
			return missing, nil
		}
		err = account(b, e, time.Now())
	case "audit":
		if missing := unknown(b, auditSpecs); missing != nil {
			return missing, nil
		}
		err = audit(b, e)
	default:
		err = fmt.Errorf("unknown function %q", b.Target.Type)
	}
	if err != nil {
		return nil, err
	}
	return &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: e.FromFunction_InvocationResponse}}, nil
}

const undo = "undo"

// front does what events ask for. Of a cancellation, every second one is in the reply that holds what it cancels, the others
// come back from echo.
func front(b *batch, e *effects) error {
	id := b.Target.Id
	for _, in := range b.Invocations {
		argument := string(in.Argument.GetValue())
		if op, ok := strings.CutSuffix(argument, " "+undo); ok && in.Caller != nil {
			e.cancel(op)
			continue
		}
		ev, err := parseEvent(argument)
		if err != nil {
			return err
		}
		delay := ev.n
		if ev.kind == kindCancel {
			delay = cancelledFor
		}
		ids, orders := ev.orders(id, 0)
		switch ev.kind {
		case kindAdd, kindSet, kindFan, kindWeigh:
			for i := range ids {
				e.send("account", ids[i], orders[i].String())
			}
		case kindChain:
			e.send("hop1", id, orders[0].String())
		case kindDelay, kindCancel, kindRace:
			orders[0].due = time.Now().UnixMilli() + int64(delay)
			token := ev.op
			if ev.kind == kindDelay {
				token = ""
			}
			e.delay(delay, token, "account", id, orders[0].String())
			switch {
			case ev.kind == kindRace:
				e.delay(delay, "", "echo", id, ev.op+" "+undo)
			case ev.kind == kindCancel && ev.n%2 == 0:
				e.cancel(ev.op)
			case ev.kind == kindCancel:
				e.send("echo", id, ev.op+" "+undo)
			}
		default:
			return fmt.Errorf("unknown kind %q", ev.kind)
		}
	}
	return nil
}

var (
	accountSpecs = []*protocol.FromFunction_PersistedValueSpec{
		{StateName: stateAccount, TypeTypename: textType},
		{StateName: stateWeight, TypeTypename: textType},
		{StateName: stateRecent, TypeTypename: textType, ExpirationSpec: &protocol.FromFunction_ExpirationSpec{
			Mode: protocol.FromFunction_ExpirationSpec_AFTER_WRITE, ExpireAfterMillis: recentFor.Milliseconds(),
		}},
	}
	auditSpecs = []*protocol.FromFunction_PersistedValueSpec{{StateName: stateAudit, TypeTypename: textType}}
)

const (
	stateAccount = "account" // "count balance written", the last in Unix milliseconds
	stateRecent  = "recent"  // "written", the same, until it expires
	stateWeight  = "weight"  // as many bytes as were asked for
	stateAudit   = "audit"   // "count"
)

// unknown asks for the states when the call does not have them all.
func unknown(b *batch, specs []*protocol.FromFunction_PersistedValueSpec) *protocol.FromFunction {
	for _, s := range specs {
		if _, ok := stateOf(b, s.StateName); !ok {
			return &protocol.FromFunction{Response: &protocol.FromFunction_IncompleteInvocationContext_{
				IncompleteInvocationContext: &protocol.FromFunction_IncompleteInvocationContext{MissingValues: specs},
			}}
		}
	}
	return nil
}

func stateOf(b *batch, name string) (value string, known bool) {
	for _, s := range b.State {
		if s.StateName == name {
			return string(s.StateValue.GetValue()), true
		}
	}
	return "", false
}

// balance is the state of an account.
type balance struct {
	count, amount int
	written       int64
}

func (b balance) String() string { return fmt.Sprintf("%d %d %d", b.count, b.amount, b.written) }

func parseBalance(text string) (b balance, err error) {
	if text == "" {
		return b, nil
	}
	_, err = fmt.Sscan(text, &b.count, &b.amount, &b.written)
	return b, err
}

func account(b *batch, e *effects, now time.Time) error {
	stored, _ := stateOf(b, stateAccount)
	state, err := parseBalance(stored)
	if err != nil {
		return err
	}
	recent, _ := stateOf(b, stateRecent)
	expiry := checkExpiry(state, recent, now)
	for _, in := range b.Invocations {
		o, err := parseOrder(string(in.Argument.GetValue()))
		if err != nil {
			return err
		}
		state.count++
		r := result{count: state.count, op: o.op, how: o.how, n: o.n, old: state.amount, new: apply(o.how, o.n, state.amount), wrong: expiry}
		if early := o.due - now.UnixMilli(); early > 0 {
			r.wrong = fmt.Sprintf("early-by-%dms", early)
		}
		state.amount = r.new
		if o.how == kindWeigh {
			e.keep(stateWeight, strings.Repeat("x", o.n<<10))
		}
		if err := e.write(topicAccounts, b.Target.Id, r.String()); err != nil {
			return err
		}
	}
	state.written = now.UnixMilli()
	e.keep(stateAccount, state.String())
	e.keep(stateRecent, strconv.FormatInt(state.written, 10))
	return nil
}

// checkExpiry says what is wrong with the state that expires, by what the other one says of the last call: "" for nothing. The
// gateway's clock is this one, and it has seen the last write after this function made it.
func checkExpiry(state balance, recent string, now time.Time) string {
	age := now.UnixMilli() - state.written
	switch {
	case state.written == 0 && recent != "", recent != "" && recent != strconv.FormatInt(state.written, 10):
		return "torn-state"
	case state.written != 0 && recent == "" && age < recentFor.Milliseconds():
		return fmt.Sprintf("expired-after-%dms", age)
	case recent != "" && age > (recentFor+recentLate).Milliseconds():
		return fmt.Sprintf("not-expired-after-%dms", age)
	}
	return ""
}

func audit(b *batch, e *effects) error {
	stored, _ := stateOf(b, stateAudit)
	count := 0
	if stored != "" {
		var err error
		if count, err = strconv.Atoi(stored); err != nil {
			return err
		}
	}
	for _, in := range b.Invocations {
		ev, err := parseEvent(string(in.Argument.GetValue()))
		if err != nil {
			return err
		}
		count++
		if err := e.write(topicAudits, b.Target.Id, fmt.Sprintf("%d %s", count, ev.op)); err != nil {
			return err
		}
	}
	e.keep(stateAudit, strconv.Itoa(count))
	return nil
}
