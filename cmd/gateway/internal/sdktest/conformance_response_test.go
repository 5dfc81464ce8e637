//go:build unix

package sdktest

import (
	"cmp"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// What functions may answer, a test for each demand that the SDKs make of a runtime.

// Only 2xx with the content type of the protocol is an answer; all else is a failure whatever it holds, and the call is made again.
func TestConformance11Success(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	reply := func(id, said string) []byte {
		return encode(t, &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: &effects{OutgoingEgresses: []*egressed{s.record(t, id, said)}}}})
	}
	good := map[string]func(b []byte) answer{
		"as it is":         func(b []byte) answer { return raw(b) },
		"201":              func(b []byte) answer { return typed(201, "application/octet-stream", b) },
		"299":              func(b []byte) answer { return typed(299, "application/octet-stream", b) },
		"capitals":         func(b []byte) answer { return typed(200, "Application/Octet-Stream", b) },
		"parameters":       func(b []byte) answer { return typed(200, "application/octet-stream; charset=utf-8", b) },
		"one of several":   func(b []byte) answer { return typed(200, "text/x, application/octet-stream", b) },
		"no length, close": closing,
	}
	bad := map[string]func(b []byte) answer{
		"200 without a type": func(b []byte) answer { return typed(200, "", b) },
		"200 of another":     func(b []byte) answer { return typed(200, "application/protobuf", b) },
		"200 as text":        func(b []byte) answer { return typed(200, "text/plain", b) },
		"header Status":      func([]byte) answer { return statusHeader },
	}
	for _, status := range []int{301, 400, 404, 405, 415, 500} {
		bad[fmt.Sprint(status)] = func(b []byte) answer { return typed(status, "application/octet-stream", b) }
	}
	for name, give := range good {
		s.handler.script(name, give(reply(name, "good")))
		s.hi(t, name, "hi")
	}
	for name, give := range bad {
		s.handler.script(name, give(reply(name, "bad")), raw(reply(name, "then")))
		s.hi(t, name, "hi")
	}
	for name := range good {
		s.out.expect(t, "out", name, "good")
	}
	for name := range bad {
		s.out.expect(t, "out", name, "then")
		calls := s.settled(t, name, 2)
		same(t, name, calls[1], calls[0].body)
	}
	s.gateway.Stop()
	s.out.closed(t)
}

// closing answers as an HTTP/1.0 server does: without a length, up to the end of the connection.
func closing(b []byte) answer {
	return func(w http.ResponseWriter, _ *call) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = fmt.Fprintf(c, "HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n%s", b)
	}
}

// statusHeader is how a well-known Java server of StateFun tells of a failure: status 200, a header of that name, and nothing else.
func statusHeader(w http.ResponseWriter, _ *call) {
	w.Header()["Content-Type"] = nil
	w.Header().Set("Status", "500")
	w.Header().Set("Content-Length", "0")
}

// A body of no bytes (Python) and an empty result (the others) are calls that had no effects.
func TestConformance12NoEffects(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.handler.script("python", typed(200, "application/octet-stream", nil))
	s.handler.script("go", raw([]byte{0xa2, 0x06, 0x00}))
	for _, id := range []string{"python", "go"} {
		s.hi(t, id, "hi")
		s.settled(t, id, 1)
	}
}

// Compressed answers are read.
func TestConformance13Compressed(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	squeezed := func(encoding string, writer func(w io.Writer) io.WriteCloser) answer {
		b := encode(t, &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: &effects{OutgoingEgresses: []*egressed{s.record(t, encoding, strings.Repeat("x", 10_000))}}}})
		return func(w http.ResponseWriter, _ *call) {
			w.Header().Set("Content-Type", "application/octet-stream")
			w.Header().Set("Content-Encoding", encoding)
			z := writer(w)
			_, _ = z.Write(b)
			_ = z.Close()
		}
	}
	s.handler.script("gzip", squeezed("gzip", func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) }))
	s.handler.script("deflate", squeezed("deflate", func(w io.Writer) io.WriteCloser { return zlib.NewWriter(w) }))
	for _, id := range []string{"gzip", "deflate"} {
		s.hi(t, id, "hi")
		s.out.expect(t, "out", id, strings.Repeat("x", 10_000))
		calls := s.settled(t, id, 1)
		if got := calls[0].header.Get("Accept-Encoding"); !strings.Contains(got, id) {
			t.Errorf("accepted is %q, not %s", got, id)
		}
	}
}

// States may be told at any time, in every form that SDKs have, and the same messages come again with all of them. One that is told
// nothing new does not turn in a circle.
func TestConformance14Incomplete(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	named := func(name string, e *expiry) *spec {
		return &spec{StateName: name, TypeTypename: "x/y", ExpirationSpec: e}
	}
	s.handler.script("k",
		incomplete(t, named("zz", nil), named("empty", &expiry{}), named("none", &expiry{Mode: protocol.FromFunction_ExpirationSpec_NONE, ExpireAfterMillis: 1}),
			named("odd", &expiry{Mode: 9, ExpireAfterMillis: 1}), named("aa", nil), named("zz", nil)),
		result(t, &effects{StateMutations: []*mutation{set("zz", value("x/y", "1")), set("empty", value("x/y", "2")), set("none", value("x/y", "3")), set("odd", value("x/y", "4"))}}),
		incomplete(t, named("more", nil)), noEffects)
	s.hi(t, "k", "a")
	calls := s.settled(t, "k", 2)
	same(t, "first", calls[0], request(t, "k", nil, "a"))
	if got := names(calls[1]); !slices.Equal(got, []string{"aa", "empty", "none", "odd", "zz"}) || !proto.Equal(calls[1].batch.Invocations[0], calls[0].batch.Invocations[0]) {
		t.Errorf("with its states: got %q, %v", got, calls[1].batch.Invocations)
	}
	<-time.After(20 * time.Millisecond) // what is said to expire after 1 ms has mode none, or one that nobody knows
	s.hi(t, "k", "b")
	calls = s.settled(t, "k", 4)
	got := map[string]string{}
	for _, state := range calls[3].batch.State {
		got[state.StateName] = string(state.StateValue.GetValue())
	}
	if want := map[string]string{"zz": "1", "empty": "2", "none": "3", "odd": "4", "aa": "", "more": ""}; !maps.Equal(got, want) {
		t.Errorf("with a state that was told late: got %q, want %q", got, want)
	}
	for i, nothing := range []answer{raw(vector(t, "reply", "incomplete-nothing")), incomplete(t, named("zz", nil))} {
		id := fmt.Sprint("circle", i)
		s.handler.script(id, nothing, nothing, nothing, noEffects)
		began := time.Now()
		s.hi(t, id, "a")
		calls := s.settled(t, id, 4)
		if took := time.Since(began); took < 30*time.Millisecond {
			t.Errorf("told nothing new three times, it was asked again within %v", took)
		}
		same(t, "at last", calls[3], calls[0].body)
	}
}

// names are those of the states that a call carries, sorted.
func names(c *call) (names []string) {
	for _, state := range c.batch.State {
		names = append(names, state.StateName)
	}
	slices.Sort(names)
	return names
}

// Effects are applied in their order, together or not at all.
func TestConformance15Effects(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.handler.script("k", raw(vector(t, "reply", "incomplete")))
	s.hi(t, "k", "first")
	s.settled(t, "k", 2)
	all := func() *effects {
		return &effects{
			StateMutations: []*mutation{set("seen", value(protocol.TypeInt, "\x0d\x01\x00\x00\x00")), set("seen", value(protocol.TypeInt, "\x0d\x02\x00\x00\x00"))},
			OutgoingMessages: []*message{
				{Target: to("a.b", "st", "k"), Argument: stringValue(t, "self")},
				{Target: to("c.d", "other", "j"), Argument: stringValue(t, "1")},
				{Target: to("c.d", "other", "j"), Argument: stringValue(t, "2")},
			},
			DelayedInvocations: []*later{
				{Target: to("c.d", "other", "later"), Argument: stringValue(t, "gone"), DelayInMs: 1, CancellationToken: "t"},
				{IsCancellationRequest: true, CancellationToken: "t"},
				{Target: to("c.d", "other", "later"), Argument: stringValue(t, "kept"), DelayInMs: 2, CancellationToken: "t"},
			},
			OutgoingEgresses: []*egressed{s.record(t, "k", "1"), s.record(t, "k", "2")},
		}
	}
	broken := all()
	broken.DelayedInvocations = append(broken.DelayedInvocations, &later{Target: to("a.b", "st", "k"), DelayInMs: -1})
	s.handler.script("k", result(t, broken), result(t, all()), noEffects)
	s.hi(t, "k", "go")
	calls := s.settled(t, "k", 5)
	same(t, "a reply of which a part is bad changes nothing", calls[3], calls[2].body)
	if got := calls[4].batch.Invocations; len(got) != 1 || string(got[0].Argument.Value) != "\x0a\x04self" || got[0].Caller == nil {
		t.Errorf("the message to itself: got %v", got)
	}
	if got := calls[4].batch.State[0].StateValue.GetValue(); string(got) != "\x0d\x02\x00\x00\x00" {
		t.Errorf("after two changes of a state the message to itself finds %x", got)
	}
	s.state(t, "k", "seen", protocol.TypeInt+" \x0d\x02\x00\x00\x00")
	s.out.expect(t, "out", "k", "1", "2")
	heard := func(id string, want ...string) {
		t.Helper()
		var got []string
		testgateway.Poll(t, "messages to "+id, func() (bool, string) {
			got = nil
			for _, c := range s.handler.of(id) {
				for _, in := range c.batch.Invocations {
					got = append(got, string(in.Argument.Value[2:]))
				}
			}
			return len(got) >= len(want), fmt.Sprint(got)
		})
		if !slices.Equal(got, want) {
			t.Errorf("%s gets %q, want %q", id, got, want)
		}
	}
	heard("j", "1", "2")
	heard("later", "kept")
	s.gateway.Stop()
	s.out.closed(t)
	heard("j", "1", "2")
	heard("later", "kept")
}

// A state of no bytes is a state, deleting what is not there is nothing, and fields that nobody knows are left alone.
func TestConformance16Mutations(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	empty := result(t, &effects{StateMutations: []*mutation{set("seen", value(protocol.TypeInt, ""))}})
	gone := result(t, &effects{StateMutations: []*mutation{{MutationType: remove, StateName: "seen"}}})
	s.handler.script("k", raw(vector(t, "reply", "incomplete")), empty, gone, gone, empty, raw(vector(t, "reply", "unknown-fields")))
	for _, want := range []struct {
		calls int
		state string
	}{{2, protocol.TypeInt + " "}, {3, unset}, {4, unset}, {5, protocol.TypeInt + " "}, {6, unset}} {
		s.hi(t, "k", "hi")
		s.settled(t, "k", want.calls)
		s.state(t, "k", "seen", want.state)
	}
}

// A delay may be nothing at all, or as long as a number can say.
func TestConformance17Delays(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	at := func(ms int64, text string) *later {
		return &later{Target: to("a.b", "st", "k"), Argument: stringValue(t, text), DelayInMs: ms}
	}
	s.handler.script("k", result(t, &effects{DelayedInvocations: []*later{at(math.MaxInt64, "never"), at(0, "now"), at(math.MaxInt64-1, "hardly"), at(1, "soon")}}))
	s.hi(t, "k", "hi")
	var got []string
	testgateway.Poll(t, "what is due", func() (bool, string) {
		got = nil
		for _, c := range s.handler.of("k")[min(1, len(s.handler.of("k"))):] {
			for _, in := range c.batch.Invocations {
				got = append(got, string(in.Argument.Value[2:]))
			}
		}
		return len(got) == 2, fmt.Sprint(got)
	})
	if !slices.Equal(got, []string{"now", "soon"}) {
		t.Errorf("got %q", got)
	}
}

// What is for nobody is set aside alone: a function that no endpoint serves, an egress that is not there, a record that is none.
func TestConformance18Undeclared(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.handler.script("k", result(t, &effects{
		OutgoingMessages: []*message{{Target: to("x", "y", "z"), Argument: stringValue(t, "lost")}},
		OutgoingEgresses: []*egressed{
			{EgressNamespace: "no", EgressType: "egress", Argument: value("x/y", "lost")},
			{EgressNamespace: "e.f", EgressType: "out", Argument: value("x/y", "no record")},
			s.record(t, "k", "delivered"),
		},
	}))
	s.hi(t, "k", "hi")
	s.out.expect(t, "out", "k", "delivered")
	s.settled(t, "k", 1)
	var letters []deadLetter
	testgateway.Poll(t, "dead letters", func() (bool, string) {
		letters = s.deadLetters(t)
		return len(letters) == 3, fmt.Sprintf("%+v", letters)
	})
	var got []string
	for _, l := range letters {
		got = append(got, l.Kind+" "+cmp.Or(l.Target, l.From))
	}
	slices.Sort(got)
	if want := []string{"message x/y", "output e.f/out", "output no/egress"}; !slices.Equal(got, want) {
		t.Errorf("got dead letters %q, want %q", got, want)
	}
}

// The Java SDK writes any bytes as the key of a record; they are its key.
func TestConformance19KeyOfBytes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	record := encode(t, &protocol.KafkaProducerRecord{Key: []byte("\xff\x00\xfe"), ValueBytes: []byte("v"), Topic: s.prefix + "out"})
	s.handler.script("k", result(t, &effects{OutgoingEgresses: []*egressed{s.recordOf(record)}}))
	s.hi(t, "k", "hi")
	s.out.expect(t, "out", "\xff\x00\xfe", "v")
}

// A token that is still pending is used again: the later message replaces the earlier.
func TestConformance20Token(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	at := func(ms int64, text, token string) *later {
		return &later{Target: to("c.d", "other", text), Argument: stringValue(t, text), DelayInMs: ms, CancellationToken: token}
	}
	s.handler.script("k", result(t, &effects{DelayedInvocations: []*later{at(2000, "older", "t"), at(2000, "beside", "u")}}),
		result(t, &effects{DelayedInvocations: []*later{at(1, "newer", "t"), at(2500, "last", "")}}))
	s.hi(t, "k", "one")
	s.settled(t, "k", 1)
	s.hi(t, "k", "two")
	s.handler.await(t, "last", 1)
	s.handler.await(t, "newer", 1)
	s.handler.await(t, "beside", 1)
	if n := len(s.handler.of("older")); n != 0 {
		t.Error("a message came that was replaced")
	}
}

// What a function says of its failure is shown to people.
func TestConformance21Text(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	s.handler.script("go", text(500, "no function of that name"), held(t.Context().Done(), noEffects))
	s.handler.script("javascript", jsFailure, held(t.Context().Done(), noEffects))
	for id, want := range map[string]string{"go": "status 500 Internal Server Error: no function of that name", "javascript": "status 500 Internal Server Error"} {
		s.hi(t, id, "hi")
		s.handler.await(t, id, 2)
		if v := s.view(t, id); !strings.Contains(v.LastError, want) || v.Failure == nil {
			t.Errorf("%s: got %q, want %q", id, v.LastError, want)
		}
	}
}

// jsFailure is how the JavaScript SDK answers when a function has thrown: the protocol's content type, no length, nothing else.
func jsFailure(w http.ResponseWriter, _ *call) {
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Transfer-Encoding", "chunked")
	w.WriteHeader(500)
}

// A call that hangs is given up and made again, where StateFun gives up the whole application; others go on meanwhile.
func TestConformance22Timeout(t *testing.T) {
	t.Parallel()
	s := newStage(t, "transport: {call: 1s}")
	s.handler.script("k", held(t.Context().Done(), noEffects), result(t, &effects{OutgoingEgresses: []*egressed{s.record(t, "k", "done")}}))
	s.handler.script("other", result(t, &effects{OutgoingEgresses: []*egressed{s.record(t, "other", "done")}}))
	s.hi(t, "k", "hi")
	began := time.Now()
	s.handler.await(t, "k", 1)
	s.hi(t, "other", "hi")
	s.out.expect(t, "out", "other", "done")
	s.out.expect(t, "out", "k", "done")
	if took := time.Since(began); took < time.Second {
		t.Errorf("a call that hangs was given up after %v", took)
	}
	if all := s.out.all("out"); all[0].key != "other" {
		t.Errorf("a call that hangs has held up another id: %v", all)
	}
	s.settled(t, "k", 2)
}
