//go:build unix

package app

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
)

// TestHostileStates: a state of 20 MB and a function that declares as many states as there may be are kept through a restart, and
// one that goes on declaring states is stopped at the bound. Names of states and types are what the wire allows.
func TestHostileStates(t *testing.T) {
	t.Parallel()
	a := newArena(t, "", nil)
	big := make([]byte, 20<<20)
	for i := range big {
		big[i] = byte(i * i >> 8)
	}
	a.functions.misbehave("big", "big", bigState(a, big))
	a.functions.misbehave("greedy", "greedy", greedy)
	a.functions.misbehave("odd", "odd", oddStates(a))
	call := func(function string, n int) {
		a.say(t, fmt.Sprint(function, n), send(target("test", function, function)))
	}
	a.around(t, func() {
		call("big", 1)
		a.topics.want(t, "said", "big", "unset")
		call("big", 2)
		a.topics.want(t, "said", "big", "unset", fmt.Sprintf("%x", sha256.Sum256(big)))
	})
	a.around(t, func() {
		call("greedy", 1)
		hostileUntil(t, "it is stopped", func() bool {
			return strings.Contains(a.view(t, "test", "greedy", "greedy").LastError, "declares more than 1024 states")
		})
	})
	a.around(t, func() {
		call("odd", 1)
		a.topics.want(t, "said", "odd", fmt.Sprint("0 of ", len(oddNamesOfStates())))
	})
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	a.start(t)
	a.around(t, func() {
		call("big", 3)
		sum := fmt.Sprintf("%x", sha256.Sum256(big))
		a.topics.want(t, "said", "big", "unset", sum, sum)
		call("odd", 2)
		all := len(oddNamesOfStates())
		a.topics.want(t, "said", "odd", fmt.Sprint("0 of ", all), fmt.Sprint(all, " of ", all))
		a.functions.misbehave("greedy", "greedy", sated(a))
		a.topics.want(t, "said", "greedy", "1024 states")
	})
	a.finish(t)
}

// bigState says what it finds in its state, and fills it.
func bigState(a *arena, big []byte) script {
	const name, typeName = "blob", "test/blob"
	return func(w http.ResponseWriter, _ *http.Request, batch *batchRequest) {
		if len(batch.State) == 0 {
			respond(w, missing(&protocol.FromFunction_PersistedValueSpec{StateName: name, TypeTypename: typeName}))
			return
		}
		found := "unset"
		if v := batch.State[0].StateValue; v.GetHasValue() {
			found = fmt.Sprintf("%x", sha256.Sum256(v.Value))
		}
		respond(w, effects(write("test/out", kafkaRecord(a.prefix+"said", "big", []byte(found))),
			mutate(protocol.FromFunction_PersistedValueMutation_MODIFY, name, typed(typeName, big))))
	}
}

// greedy asks for more states each time.
func greedy(w http.ResponseWriter, _ *http.Request, batch *batchRequest) {
	var more []*protocol.FromFunction_PersistedValueSpec
	for i := range 128 {
		more = append(more, &protocol.FromFunction_PersistedValueSpec{StateName: fmt.Sprint("s", len(batch.State)+i), TypeTypename: "test/x"})
	}
	respond(w, missing(more...))
}

// sated says how many it got.
func sated(a *arena) script {
	return func(w http.ResponseWriter, _ *http.Request, batch *batchRequest) {
		respond(w, effects(write("test/out", kafkaRecord(a.prefix+"said", "greedy", fmt.Append(nil, len(batch.State), " states")))))
	}
}

// oddNamesOfStates are names that some store or index might trip over.
func oddNamesOfStates() []string {
	return []string{
		"\x00", "a\x00", "a", "A", " a", "a ", "'; DROP TABLE state; --", "😀", "e\u0301", "\u00e9", "\uffff", "a/b", "%s",
		strings.Repeat("n", api.NameBytesMax), strings.Repeat("n", api.NameBytesMax-1) + "\x00",
	}
}

// oddStates sets each of them to its own name, of a type with a name at the limit, and says how many it found so.
func oddStates(a *arena) script {
	typeName := strings.Repeat("\x00t", api.TypeNameBytesMax/2)
	return func(w http.ResponseWriter, _ *http.Request, batch *batchRequest) {
		var specs []*protocol.FromFunction_PersistedValueSpec
		var sets []effect
		for _, name := range oddNamesOfStates() {
			specs = append(specs, &protocol.FromFunction_PersistedValueSpec{StateName: name, TypeTypename: typeName})
			sets = append(sets, mutate(protocol.FromFunction_PersistedValueMutation_MODIFY, name, typed(typeName, []byte(name))))
		}
		if len(batch.State) == 0 {
			respond(w, missing(specs...))
			return
		}
		found := 0
		for _, s := range batch.State {
			if s.StateValue.GetTypename() == typeName && string(s.StateValue.GetValue()) == s.StateName {
				found++
			}
		}
		said := write("test/out", kafkaRecord(a.prefix+"said", "odd", fmt.Append(nil, found, " of ", len(batch.State))))
		respond(w, effects(append(sets, said)...))
	}
}
