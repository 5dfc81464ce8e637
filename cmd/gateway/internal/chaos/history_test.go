//go:build unix

package chaos

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// accountModel is an account as its clients see it: an order goes in with an event, its result is what came out.
var accountModel = porcupine.Model{
	Init: func() any { return balance{} },
	Step: func(state, in, out any) (bool, any) {
		s, o, r := state.(balance), in.(order), out.(result)
		next := balance{count: s.count + 1, amount: apply(o.how, o.n, s.amount)}
		return r.count == next.count && r.old == s.amount && r.new == next.amount, next
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%v -> %v", in, out) },
}

// historyMax bounds the search in one history.
const historyMax = 20 * time.Second

// linearizable says what is wrong with the history of one account, "" for nothing. called is when an event was handed to Kafka.
func linearizable(outputs []output, called func(op string) (time.Duration, bool)) string {
	var history []porcupine.Operation
	for _, o := range outputs {
		op, _, _ := strings.Cut(o.op, "/") // of a fan
		at, ok := called(op)
		if !ok {
			return fmt.Sprintf("nobody has sent %s", op)
		}
		history = append(history, porcupine.Operation{
			Input: order{op: o.op, how: o.how, n: o.n}, Output: o.result, Call: int64(at), Return: int64(o.at),
		})
	}
	switch porcupine.CheckOperationsTimeout(accountModel, history, historyMax) {
	case porcupine.Ok:
		return ""
	case porcupine.Unknown:
		return fmt.Sprintf("whether it is linearizable could not be found out in %v", historyMax)
	}
	return "it is not linearizable"
}

// histories checks all accounts. One operation is from the moment at which its event was handed to the client of Kafka until its
// output was read at read_committed.
func (a *arena) histories() (wrong []string) {
	began, operations := time.Now(), 0
	for _, id := range slices.Sorted(maps.Keys(a.out.accounts)) {
		operations += len(a.out.accounts[id])
		if text := linearizable(a.out.accounts[id], a.ledger.called); text != "" {
			wrong = append(wrong, fmt.Sprintf("history of account %s, %d operations: %s", id, len(a.out.accounts[id]), text))
		}
	}
	a.t.Logf("%d histories with %d operations, checked in %v", len(a.out.accounts), operations, time.Since(began).Round(time.Millisecond))
	return wrong
}
