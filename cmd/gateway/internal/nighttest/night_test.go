//go:build unix

package nighttest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

// Sections of the runbook.
const (
	nobodyWorks   = "StategateNobodyWorks"
	endpointDown  = "StategateEndpointDown"
	functionStuck = "StategateFunctionStuck"
	ingressPaused = "StategateIngressPaused"
	egressTrouble = "StategateEgressTrouble"
	deadLetters   = "StategateDeadLetters"
)

// TestBadNight: everything that breaks in one night, one thing after the other. Each is found by "gateway stuck" and mended by what the runbook
// shows, and nothing is lost or doubled but what a decision says.
func TestBadNight(t *testing.T) {
	n := newNight(t)
	n.order("ada", "a1")
	n.order("bob", "b1")
	n.out.until("ada", "a1")
	n.out.until("bob", "b1")
	n.o.untilNothing()
	n.o.types("ok, active", first, "gateway status")
	n.o.types("active", nobodyWorks, "gateway members")
	t.Run("endpoint down", n.endpointDown)
	t.Run("poisoned key", n.poisonedKey)
	t.Run("dead letters", n.deadLetters)
	t.Run("egress broker away", n.brokerAway)
	t.Run("slow database", n.slowDatabase)
	t.Run("lost cursor, all that is stored", n.lostCursorStored)
	t.Run("lost cursor, what is new", n.lostCursorNew)
	n.audited()
	if !t.Failed() {
		n.o.book.checkUsed()
	}
	n.g.Stop()
}

// in lets the parts of a night belong to their subtests.
func (n *night) in(t *testing.T) func() {
	was := n.t
	n.t, n.o.t, n.o.book.t, n.out.t = t, t, t, t
	return func() { n.t, n.o.t, n.o.book.t, n.out.t = was, was, was, was }
}

// The server of functions is gone. It is one thing that is stuck, however much waits for it. While it is paused nothing reaches it,
// also when it answers again.
func (n *night) endpointDown(t *testing.T) {
	defer n.in(t)()
	n.functions.stop()
	n.order("ada", "a2", "a3")
	n.order("bob", "b2")
	said := n.o.until("endpoint_down", first, "gateway stuck")
	if strings.Count(said, "endpoint_down") != 1 {
		t.Errorf("an endpoint is down, and that is told more than once:\n%s", said)
	}
	n.o.types("down", endpointDown, "gateway functions shop/cart")
	n.o.types("", endpointDown, "gateway functions pause")
	n.functions.start()
	n.o.until("paused", first, "gateway stuck")
	n.o.types("paused", endpointDown, "gateway functions shop/cart")
	if got := n.out.has("ada"); len(got) != 1 {
		t.Errorf("ada has receipts of %q: a function that is paused was called", got)
	}
	n.o.types("", endpointDown, "gateway functions resume")
	n.out.until("ada", "a1", "a2", "a3")
	n.out.until("bob", "b1", "b2")
	n.o.untilNothing()
}

// One order cannot be read. It holds up its own address and nobody else, is set aside, and is read when the function can.
func (n *night) poisonedKey(t *testing.T) {
	defer n.in(t)()
	n.order("ada", poison, "a4")
	n.order("bob", "b3")
	n.out.until("bob", "b1", "b2", "b3")
	// What to do is known once a commit holds the number of the message.
	if said := n.o.until("gateway addresses skip shop/cart ada --message", first, "gateway stuck"); !strings.Contains(said, "poisoned") {
		t.Errorf("why it is stuck is not in\n%s", said)
	}
	n.o.types("the order of ada cannot be read", functionStuck, "gateway addresses show")
	n.o.until("", functionStuck, "gateway addresses retry") // neither is done while a call is out
	n.o.until("", functionStuck, "gateway addresses skip", n.front("ada"))
	n.out.until("ada", "a1", "a2", "a3", "a4")
	n.o.types("skipped by an operator", functionStuck, "gateway deadletters --function")
	n.functions.deploy(true)
	n.o.types("replayed 1 dead letter", functionStuck, "gateway deadletters replay")
	n.out.until("ada", "a1", "a2", "a3", "a4", poison)
	n.o.untilNothing()
}

// front is the number of the message at the front of an address, once it is known.
func (n *night) front(id string) (number uint64) {
	n.t.Helper()
	testgateway.Poll(n.t, "the number of the message at the front of "+id, func() (bool, string) {
		var view struct {
			Mailbox struct{ Front *struct{ Number uint64 } }
		}
		n.o.answers("gateway addresses show shop/cart "+id, &view)
		if view.Mailbox.Front != nil {
			number = view.Mailbox.Front.Number
		}
		return number != 0, fmt.Sprintf("%+v", view)
	})
	return number
}

// What nobody wants is discarded.
func (n *night) deadLetters(t *testing.T) {
	defer n.in(t)()
	n.functions.deploy(false)
	n.order("bob", poison)
	n.o.until("poisoned", first, "gateway stuck")
	n.o.untilLine("", fmt.Sprintf("gateway addresses skip shop/cart bob --message %d", n.front("bob")))
	n.o.types("function", ingressPaused, "gateway deadletters totals")
	n.o.types("shop/cart", deadLetters, "gateway deadletters totals")
	n.o.types("shop/cart bob", deadLetters, "gateway deadletters --function")
	var all []struct{ Number uint64 }
	n.o.answers("gateway deadletters", &all)
	if len(all) != 1 {
		t.Fatalf("%d dead letters, want one", len(all))
	}
	n.o.types("skipped by an operator", deadLetters, "gateway deadletters show", all[0].Number)
	n.o.types("discarded 1 dead letter", deadLetters, "gateway deadletters discard")
	n.o.types("replayed 0 dead letters", deadLetters, "gateway deadletters replay")
	n.functions.deploy(true)
	n.o.types("shop/orders", ingressPaused, "gateway ingresses shop/orders")
	n.o.untilNothing()
}

// Kafka takes no receipts. They are kept, and delivered once when it does.
func (n *night) brokerAway(t *testing.T) {
	defer n.in(t)()
	n.broker.Set(testserver.Road{Stalled: true}, testserver.Road{Stalled: true})
	n.broker.Cut()
	n.order("ada", "a5")
	n.order("bob", "b4")
	n.o.until("egress_away", first, "gateway stuck")
	n.o.types("outputs", egressTrouble, "gateway egresses shop/receipts")
	n.broker.Set(testserver.Road{}, testserver.Road{})
	n.broker.Cut()
	n.out.until("ada", "a1", "a2", "a3", "a4", poison, "a5")
	n.out.until("bob", "b1", "b2", "b3", "b4")
	n.o.untilNothing()
}

// Each answer of PostgreSQL takes long. Everything goes on, slowly, and says why.
func (n *night) slowDatabase(t *testing.T) {
	defer n.in(t)()
	slow := testserver.Road{Delay: 700 * time.Millisecond}
	n.database.Set(slow, slow)
	n.order("ada", "a6")
	n.o.until("store_slow", first, "gateway stuck")
	n.out.until("ada", "a1", "a2", "a3", "a4", poison, "a5", "a6")
	n.database.Set(testserver.Road{}, testserver.Road{})
	n.order("ada", "a7")
	n.out.until("ada", "a1", "a2", "a3", "a4", poison, "a5", "a6", "a7")
	n.o.untilNothing()
}

// The cursor is gone: the lane stands still. What is stored is delivered by decision; as nothing of it was, nothing comes twice.
func (n *night) lostCursorStored(t *testing.T) {
	defer n.in(t)()
	before := n.out.has("ada")
	n.loseCursor()
	n.order("ada", "a8")
	n.order("ada", "a9")
	if said := n.o.until("lane_halted", first, "gateway stuck"); !strings.Contains(said, "gateway egresses decide shop/receipts") {
		t.Errorf("what to do is not in\n%s", said)
	}
	n.untilStored(2)
	if said := n.o.types("shop/receipts", egressTrouble, "gateway egresses shop/receipts"); !strings.Contains(said, "cursor") {
		t.Errorf("why the lane stands still is not in\n%s", said)
	}
	if got := n.out.has("ada"); !slices.Equal(got, before) {
		t.Fatalf("a lane that stands still delivers: %q", got[len(before):])
	}
	n.o.types("goes on", egressTrouble, "gateway egresses decide shop/receipts --deliver stored")
	n.untilDelivered("ada", "a9")
	n.o.untilNothing()
	n.order("ada", "a10")
	n.untilDelivered("ada", "a10")
}

// The same, and what is stored is not wanted: only what comes from now on is delivered.
func (n *night) lostCursorNew(t *testing.T) {
	defer n.in(t)()
	n.loseCursor()
	n.order("bob", "lost")
	n.o.until("lane_halted", first, "gateway stuck")
	n.untilStored(1)
	n.o.types("goes on", egressTrouble, "gateway egresses decide shop/receipts --deliver new")
	n.order("bob", "b5")
	n.untilDelivered("bob", "b5")
	if got := n.out.has("bob"); slices.Contains(got, "lost") {
		t.Errorf("bob has receipts of %q: what was stored is delivered", got)
	}
	n.o.untilNothing()
}

// untilStored waits until so many outputs wait.
func (n *night) untilStored(outputs float64) {
	n.t.Helper()
	testgateway.Poll(n.t, "outputs in the outbox", func() (bool, string) {
		n.g.MustRun()
		got := n.g.Samples().Sum("stategate_outbox_records", nil)
		return got >= outputs, fmt.Sprint(got)
	})
}

// untilDelivered waits for a receipt of somebody, once: others may come before it.
func (n *night) untilDelivered(id, want string) {
	n.t.Helper()
	testgateway.Poll(n.t, "the receipt of "+want, func() (bool, string) {
		got := n.out.has(id)
		return slices.Contains(got, want), fmt.Sprint(got)
	})
}

// audited: all that was done is written down, the newest first, with who did it.
func (n *night) audited() {
	n.t.Helper()
	var acts []struct{ What, On, By string }
	n.o.answers("gateway audit", &acts)
	var did []string
	for _, a := range slices.Backward(acts) {
		if !strings.Contains(a.By, "@") {
			n.t.Errorf("%s of %s was done by %q: want the user", a.What, a.On, a.By)
		}
		did = append(did, a.What)
	}
	want := []string{"pause", "resume", "retry", "skip", "replay", "skip", "discard", "decide", "decide"}
	if !slices.Equal(did, want) {
		n.t.Errorf("written down are %q, want %q", did, want)
	}
}
