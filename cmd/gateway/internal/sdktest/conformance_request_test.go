//go:build unix

package sdktest

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// What functions are asked, a test for each demand that the SDKs make of a runtime.

// The request is a POST of a definite length, of the exact content type.
func TestConformance01Post(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.hi(t, "k", "hi")
	c := s.handler.await(t, "k", 1)[0]
	if got := c.header["Content-Type"]; !slices.Equal(got, []string{"application/octet-stream"}) {
		t.Errorf("got content type %q", got)
	}
	if c.length <= 0 || int(c.length) != len(c.body) || c.chunked || c.protocol != "HTTP/1.1" || c.uri != "/st" {
		t.Errorf("got %s %s, length %d of %d bytes, chunked %t", c.protocol, c.uri, c.length, len(c.body), c.chunked)
	}
}

// A function gets one entry for each state that it has told of, set or not, whichever version of it told.
func TestConformance02States(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	two := incomplete(t, &spec{StateName: "second", TypeTypename: "x/y"})
	s.handler.script("k", raw(vector(t, "reply", "incomplete")),
		result(t, &effects{StateMutations: []*mutation{set("seen", value(protocol.TypeInt, "\x0d\x07\x00\x00\x00"))}}),
		noEffects, two, noEffects)
	s.hi(t, "k", "hi")
	calls := s.handler.await(t, "k", 2)
	same(t, "nothing is known", calls[0], vector(t, "request", "no-state"))
	same(t, "a state is known, and unset", calls[1], vector(t, "request", "state-unset"))
	s.settled(t, "k", 2)
	s.hi(t, "k", "hi")
	calls = s.settled(t, "k", 3)
	same(t, "the state is set", calls[2], vector(t, "request", "state-set"))
	s.hi(t, "k", "hi")
	calls = s.settled(t, "k", 5)
	same(t, "before a newer version has told", calls[3], vector(t, "request", "state-set"))
	want := map[string]bool{"seen": true, "second": false} // whether it has a value
	got := map[string]bool{}
	for _, state := range calls[4].batch.State {
		got[state.StateName] = state.StateValue != nil
	}
	if d := cmp.Diff(want, got); d != "" || len(calls[4].batch.State) != 2 {
		t.Errorf("two states (-want +got): %s", d)
	}
	s.hi(t, "other", "hi") // an older version ignores the state that it does not know
	if got := s.handler.await(t, "other", 1)[0].batch.State; len(got) != 2 || got[0].StateValue != nil || got[1].StateValue != nil {
		t.Errorf("another id gets states %v, want both unset", got)
	}
}

// Every value that is there says so, of no bytes too: arguments of ingresses and of functions, and states.
func TestConformance03HasValue(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.handler.script("k", raw(vector(t, "reply", "incomplete")), result(t, &effects{
		StateMutations:   []*mutation{set("seen", value(protocol.TypeInt, ""))},
		OutgoingMessages: []*message{{Target: to("a.b", "st", "k"), Argument: value("x/y", "")}},
	}))
	s.put(t, &kgo.Record{Topic: "in-st", Key: []byte("k"), Value: []byte{}})
	calls := s.handler.await(t, "k", 3)
	for i, typeName := range []string{protocol.TypeString, protocol.TypeString, "x/y"} {
		if got := calls[i].batch.Invocations[0].Argument; !got.GetHasValue() || got.Typename != typeName || len(got.Value) != 0 {
			t.Errorf("call %d has the argument %v, want an empty %s", i+1, got, typeName)
		}
	}
	if got := calls[2].batch.State[0].StateValue; !got.GetHasValue() || len(got.Value) != 0 {
		t.Errorf("got state %v, want one of no bytes", got)
	}
}

// The target is complete, whatever the id is, and an empty one is an id.
func TestConformance04Target(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	ids := []string{"k", "", "nul\x00nul", strings.Repeat("long", 1024), `"quoted" 'twice'`, "two\nlines\r", "grüße 😀", "a/b", "../..", "%2F", " "}
	for _, id := range ids {
		s.hi(t, id, "hi")
	}
	for _, id := range ids {
		c := s.handler.await(t, id, 1)[0]
		same(t, fmt.Sprintf("id %.20q", id), c, request(t, id, nil, "hi"))
		if got := c.batch.Target; got == nil || got.Namespace != "a.b" || got.Type != "st" {
			t.Errorf("id %.20q: got target %v", id, got)
		}
	}
}

// Messages of an ingress have no caller; those of a function have it, those that it sent to itself and later too.
func TestConformance05Caller(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.handler.script("k", result(t, &effects{
		OutgoingMessages:   []*message{{Target: to("c.d", "other", "j"), Argument: stringValue(t, "over")}},
		DelayedInvocations: []*later{{Target: to("a.b", "st", "k"), Argument: stringValue(t, "again"), DelayInMs: 1}},
	}))
	s.hi(t, "k", "hi")
	calls := s.handler.await(t, "k", 2)
	same(t, "of an ingress", calls[0], vector(t, "request", "no-state"))
	if got := calls[0].batch.Invocations[0].Caller; got != nil {
		t.Errorf("a message of an ingress has the caller %v", got)
	}
	for what, c := range map[string]*call{"delayed": calls[1], "to another": s.handler.await(t, "j", 1)[0]} {
		if d := cmp.Diff(to("a.b", "st", "k"), c.batch.Invocations[0].Caller, protocmp.Transform()); d != "" {
			t.Errorf("%s: caller (-want +got): %s", what, d)
		}
	}
}

// A state comes with the type that the function has told, and a reply that gives it another one is no reply.
func TestConformance06StateType(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.handler.script("k", incomplete(t, &spec{StateName: "own", TypeTypename: "my.types/thing"}),
		result(t, &effects{StateMutations: []*mutation{set("own", value("my.types/thing", "1"))}}),
		result(t, &effects{StateMutations: []*mutation{set("own", value("my.types/other", "2"))}}),
		noEffects)
	s.hi(t, "k", "a")
	s.settled(t, "k", 2)
	s.hi(t, "k", "b")
	calls := s.settled(t, "k", 4)
	for i := 2; i < 4; i++ {
		same(t, "the state is set", calls[i], request(t, "k", []*persisted{{StateName: "own", StateValue: value("my.types/thing", "1")}}, "b"))
	}
	// Another version that tells another type is never given the old bytes.
	s.handler.script("k", incomplete(t, &spec{StateName: "own", TypeTypename: "my.types/other"}), noEffects)
	s.hi(t, "k", "c")
	calls = s.settled(t, "k", 6)
	same(t, "told another type", calls[5], calls[4].body)
}

// The bytes of values are the function's own, of every type: none is written anew.
func TestConformance07Bytes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	names := map[string]string{"BooleanWrapper": "bool", "IntWrapper": "int", "LongWrapper": "long", "FloatWrapper": "float", "DoubleWrapper": "double", "StringWrapper": "string"}
	var specs []*spec
	for _, name := range names {
		specs = append(specs, &spec{StateName: name, TypeTypename: "io.statefun.types/" + name})
	}
	s.handler.script("specs", incomplete(t, specs...))
	s.hi(t, "specs", "hi")
	s.settled(t, "specs", 2)
	all := vectors(t, "type")
	for _, v := range all {
		s.handler.script(v.Name, result(t, &effects{
			StateMutations:   []*mutation{set(names[v.Message], value("io.statefun.types/"+names[v.Message], string(unhex(t, v.Hex))))},
			OutgoingMessages: []*message{{Target: to("a.b", "st", v.Name), Argument: value("io.statefun.types/"+names[v.Message], string(unhex(t, v.Hex)))}},
		}))
		s.hi(t, v.Name, "hi")
	}
	if len(all) < 10 {
		t.Fatalf("found %d vectors", len(all))
	}
	for _, v := range all {
		last := s.handler.await(t, v.Name, 2)[1].batch
		want := value("io.statefun.types/"+names[v.Message], string(unhex(t, v.Hex)))
		if d := cmp.Diff(want, last.Invocations[0].Argument, protocmp.Transform()); d != "" {
			t.Errorf("%s as argument (-want +got): %s", v.Name, d)
		}
		for _, state := range last.State {
			if state.StateName == names[v.Message] {
				if d := cmp.Diff(want, state.StateValue, protocmp.Transform()); d != "" {
					t.Errorf("%s as state (-want +got): %s", v.Name, d)
				}
			}
		}
	}
}

// A backlog goes in batches of a size, in order and one after the other; none is empty.
func TestConformance08Batch(t *testing.T) {
	t.Parallel()
	const most, waiting = 3, 10
	s := newStage(t, fmt.Sprint("maxNumBatchRequests: ", most))
	let := make(chan struct{})
	s.handler.script("k", held(let, noEffects))
	var want []string
	for i := range waiting + 1 {
		want = append(want, fmt.Sprint("m", i))
	}
	s.hi(t, "k", want[0])
	s.handler.await(t, "k", 1)
	s.hi(t, "k", want[1:]...)
	testgateway.Poll(t, "messages to wait", func() (bool, string) {
		v := s.view(t, "k")
		return v.Mailbox.Messages == waiting+1, fmt.Sprint(v.Mailbox)
	})
	close(let)
	calls := s.settled(t, "k", 5)
	var got []string
	var sizes []int
	for _, c := range calls {
		sizes = append(sizes, len(c.batch.Invocations))
		for _, in := range c.batch.Invocations {
			got = append(got, string(in.Argument.Value[2:]))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got messages %q, want %q", got, want)
	}
	if want := []int{1, 3, 3, 3, 1}; !slices.Equal(sizes, want) {
		t.Errorf("got batches of %v, want %v: the first at once, then at most %d each", sizes, want, most)
	}
}

// Headers are those of StateFun's transports: only the async one says what it accepts.
func TestConformance09Headers(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.hi(t, "k", "hi")
	s.send(t, "other", "j", "")
	async, okhttp := s.handler.await(t, "k", 1)[0].header, s.handler.await(t, "j", 1)[0].header
	if got := async["Accept"]; !slices.Equal(got, []string{"application/octet-stream"}) {
		t.Errorf("async accepts %q", got)
	}
	if got := okhttp["Accept"]; got != nil {
		t.Errorf("okhttp accepts %q, want nothing said", got)
	}
	for _, header := range []http.Header{async, okhttp} {
		if got := header.Get("User-Agent"); got != "statefun" {
			t.Errorf("got user agent %q", got)
		}
	}
}

// One address is called once at a time, whatever waits for it, and others go on meanwhile. A call that nobody waits for any more
// is given up before the next.
func TestConformance10OneCall(t *testing.T) {
	t.Parallel()
	s := newStage(t, "transport: {call: 2s}")
	let := make(chan struct{})
	s.handler.script("k", held(let, noEffects))
	s.hi(t, "k", "a", "b", "c")
	first := s.handler.await(t, "k", 1)[0]
	s.hi(t, "other", "x")
	s.handler.await(t, "other", 1)
	if n := len(s.handler.of("k")); n != 1 {
		t.Errorf("an address that is called is called %d times", n)
	}
	second := s.handler.await(t, "k", 2)[1] // after the time of a call
	select {
	case <-first.done:
	case <-t.Context().Done():
		t.Error("the first call is still waited for")
	}
	if got := string(second.batch.Invocations[0].Argument.Value[2:]); got != "a" {
		t.Errorf("after a time-out the first message is %q, want a", got)
	}
	testgateway.Poll(t, "the rest", func() (bool, string) { v := s.view(t, "k"); return v.Mailbox.Messages == 0, v.LastError })
}
