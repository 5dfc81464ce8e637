//go:build unix

package app

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stategate/stategate/api/protocol"
)

// TestHostileStates: a state of 20 MB and a function that declares as many states as there may be are kept through a restart, and
// one that goes on declaring states is stopped at the bound.
func TestHostileStates(t *testing.T) {
	t.Parallel()
	a := newArena(t, "", nil)
	big := make([]byte, 20<<20)
	for i := range big {
		big[i] = byte(i * i >> 8)
	}
	a.functions.misbehave("big", "big", bigState(a, big))
	a.functions.misbehave("greedy", "greedy", greedy)
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
	if err := a.stop(); err != nil {
		t.Fatal(err)
	}
	a.start(t)
	a.around(t, func() {
		call("big", 3)
		sum := fmt.Sprintf("%x", sha256.Sum256(big))
		a.topics.want(t, "said", "big", "unset", sum, sum)
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
