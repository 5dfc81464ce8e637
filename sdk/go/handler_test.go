package stategate

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/sdk/go/internal/protocol"
)

var seen = ValueSpec[int32]{Name: "seen", Type: Int, Expiration: ExpireAfterWrite(5 * time.Second)}

func newHandler(t testing.TB, functions ...Function) *Handler {
	t.Helper()
	h, err := NewHandler(Config{Functions: functions, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// post sends a body and answers the status, the content type and the body that came back.
func post(t testing.TB, h http.Handler, body []byte) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/statefun", bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func text(t testing.TB, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// request is one call of a.b/st with id k.
func request(states []*protocol.ToFunction_PersistedValue, invocations ...*protocol.ToFunction_Invocation) []byte {
	b, err := proto.Marshal(&protocol.ToFunction{Request: &protocol.ToFunction_Invocation_{
		Invocation: &protocol.ToFunction_InvocationBatchRequest{
			Target: &protocol.Address{Namespace: "a.b", Type: "st", Id: "k"}, State: states, Invocations: invocations,
		},
	}})
	if err != nil {
		panic(err)
	}
	return b
}

func argument(v TypedValue) *protocol.ToFunction_Invocation {
	return &protocol.ToFunction_Invocation{Argument: v.wire()}
}

func state(name string, v *protocol.TypedValue) []*protocol.ToFunction_PersistedValue {
	return []*protocol.ToFunction_PersistedValue{{StateName: name, StateValue: v}}
}

// call posts a request that must succeed.
func call(t testing.TB, h http.Handler, body []byte) *protocol.FromFunction {
	t.Helper()
	r := post(t, h, body)
	b := text(t, r)
	if r.StatusCode != http.StatusOK || r.Header.Get("Content-Type") != contentType {
		t.Fatalf("got %s, %s, %q, want 200 and a reply", r.Status, r.Header.Get("Content-Type"), b)
	}
	var reply protocol.FromFunction
	if err := proto.Unmarshal([]byte(b), &reply); err != nil {
		t.Fatal(err)
	}
	return &reply
}

func wantReply(t testing.TB, got *protocol.FromFunction, want string) {
	t.Helper()
	var w protocol.FromFunction
	if err := prototext.Unmarshal([]byte(want), &w); err != nil {
		t.Fatalf("want: %v", err)
	}
	if !proto.Equal(got, &w) {
		t.Errorf("got reply\n%s\nwant\n%s", prototext.Format(got), prototext.Format(&w))
	}
}

// The bytes are StateFun's own: what its Go SDK answers to the same request.
func TestGoldenExchange(t *testing.T) {
	const (
		noState    = "a206340a0c0a03612e62120273741a016b1a2412220a18696f2e737461746566756e2e74797065732f737472696e6710011a040a026869"
		unset      = "a2063c0a0c0a03612e62120273741a016b12060a047365656e1a2412220a18696f2e737461746566756e2e74797065732f737472696e6710011a040a026869"
		incomplete = "aa06260a240a047365656e120508011088271a15696f2e737461746566756e2e74797065732f696e74"
		modified   = "a206580a23080112047365656e1a190a15696f2e737461746566756e2e74797065732f696e7410011a31120c0a03612e62120273741a016b1a210a18696f2e737461746566756e2e74797065732f737472696e6710011a030a0178"
		deleted    = "a2063b0a0612047365656e1a31120c0a03612e62120273741a016b1a210a18696f2e737461746566756e2e74797065732f737472696e6710011a030a0178"
	)
	change := func(in *Invocation) { seen.Set(in, 0) }
	h := newHandler(t, Function{Type: "a.b/st", States: []State{seen}, Call: func(_ context.Context, in *Invocation) error {
		change(in)
		in.SendAfter(0, in.Self(), String.Of("x"))
		return nil
	}})
	exchange := func(sent, want string) {
		t.Helper()
		b, err := hex.DecodeString(sent)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString([]byte(text(t, post(t, h, b)))); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
	exchange(noState, incomplete)
	exchange(unset, modified)
	change = func(in *Invocation) { seen.Delete(in) }
	exchange(unset, deleted)
}

func TestMissingStates(t *testing.T) {
	other := ValueSpec[string]{Name: "other", Type: String, Expiration: ExpireAfterInvoke(1500 * time.Microsecond)}
	plain := ValueSpec[[]byte]{Name: "plain", Type: Bytes("a.b/raw")}
	h := newHandler(t, Function{Type: "a.b/st", States: []State{seen, other, plain}, Call: func(context.Context, *Invocation) error {
		t.Error("called without its states")
		return nil
	}})
	got := call(t, h, request(state("seen", nil), argument(String.Of("hi"))))
	wantReply(t, got, `incomplete_invocation_context {
		missing_values { state_name: "other" type_typename: "io.statefun.types/string" expiration_spec { mode: AFTER_INVOKE expire_after_millis: 2 } }
		missing_values { state_name: "plain" type_typename: "a.b/raw" }
	}`)
}

func TestNoEffects(t *testing.T) {
	h := newHandler(t, Function{Type: "a.b/st", States: []State{seen}, Call: func(_ context.Context, in *Invocation) error {
		_, _, err := seen.Get(in) // reading is no effect
		return err
	}})
	extra := append(state("seen", Int.Of(3).wire()), state("of-an-older-version", nil)...)
	for name, body := range map[string][]byte{"message": request(extra, argument(String.Of("hi"))), "empty batch": request(extra)} {
		if got, want := text(t, post(t, h, body)), "\xa2\x06\x00"; got != want {
			t.Errorf("%s: got %x, want %x", name, got, want)
		}
	}
}

func TestBatch(t *testing.T) {
	var got []string
	h := newHandler(t, Function{Type: "a.b/st", States: []State{seen}, Call: func(_ context.Context, in *Invocation) error {
		s, err := String.From(in.Argument())
		if err != nil {
			return err
		}
		n, ok, err := seen.Get(in)
		if err != nil {
			return err
		}
		got = append(got, s)
		if s == "forget" {
			seen.Delete(in)
			return nil
		}
		if !ok {
			n = 100
		}
		seen.Set(in, n+1)
		in.Send(To("a.b/next", s), Int.Of(n+1))
		return nil
	}})
	reply := call(t, h, request(state("seen", Int.Of(7).wire()),
		argument(String.Of("one")), argument(String.Of("two")), argument(String.Of("forget")), argument(String.Of("three"))))
	if want := "one two forget three"; strings.Join(got, " ") != want {
		t.Errorf("called with %v, want %v", got, want)
	}
	wantReply(t, reply, `invocation_result {
		state_mutations { mutation_type: MODIFY state_name: "seen" state_value { typename: "io.statefun.types/int" has_value: true value: "\x0d\x65\x00\x00\x00" } }
		outgoing_messages { target { namespace: "a.b" type: "next" id: "one" } argument { typename: "io.statefun.types/int" has_value: true value: "\x0d\x08\x00\x00\x00" } }
		outgoing_messages { target { namespace: "a.b" type: "next" id: "two" } argument { typename: "io.statefun.types/int" has_value: true value: "\x0d\x09\x00\x00\x00" } }
		outgoing_messages { target { namespace: "a.b" type: "next" id: "three" } argument { typename: "io.statefun.types/int" has_value: true value: "\x0d\x65\x00\x00\x00" } }
	}`)
}

func TestEffects(t *testing.T) {
	h := newHandler(t, Function{Type: "a.b/st", Call: func(_ context.Context, in *Invocation) error {
		in.Reply(Bool.Of(true))
		in.SendAfterToken(time.Second+time.Nanosecond, "tok", To("a.b/st", "k"), Long.Of(0))
		in.Cancel("tok")
		in.SendKafka("a.b/out", KafkaRecord{Topic: "topic", Key: []byte{0xff}, Value: []byte("v")})
		in.SendEgress("a.b/any", Bytes("a.b/raw").Of(nil))
		return nil
	}})
	got := call(t, h, request(nil, &protocol.ToFunction_Invocation{
		Caller: To("io.stategate/reply", "17").wire(), Argument: String.Of("hi").wire(),
	}))
	wantReply(t, got, `invocation_result {
		outgoing_messages { target { namespace: "io.stategate" type: "reply" id: "17" } argument { typename: "io.statefun.types/bool" has_value: true value: "\x08\x01" } }
		delayed_invocations { delay_in_ms: 1001 cancellation_token: "tok" target { namespace: "a.b" type: "st" id: "k" } argument { typename: "io.statefun.types/long" has_value: true } }
		delayed_invocations { is_cancellation_request: true cancellation_token: "tok" }
		outgoing_egresses { egress_namespace: "a.b" egress_type: "out" argument {
			typename: "type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord" has_value: true value: "\x0a\x01\xff\x12\x01v\x1a\x05topic" } }
		outgoing_egresses { egress_namespace: "a.b" egress_type: "any" argument { typename: "a.b/raw" has_value: true } }
	}`)
}

func TestFailedCalls(t *testing.T) {
	undeclared := ValueSpec[int32]{Name: "undeclared", Type: Int}
	cases := map[string]struct {
		call func(in *Invocation) error
		want string
	}{
		"error":                {func(*Invocation) error { return errors.New("no stock") }, "no stock"},
		"panic":                {func(*Invocation) error { panic("boom") }, "panic: boom"},
		"runtime error":        {func(in *Invocation) error { _ = in.Self().ID[9]; return nil }, "index out of range"},
		"reply to nobody":      {func(in *Invocation) error { in.Reply(Int.Of(1)); return nil }, "no caller"},
		"no function type":     {func(in *Invocation) error { in.Send(To("greeter", "k"), Int.Of(1)); return nil }, "want namespace/name"},
		"string not UTF-8":     {func(in *Invocation) error { in.Send(in.Self(), String.Of("\xff")); return nil }, "UTF-8"},
		"id not UTF-8":         {func(in *Invocation) error { in.Send(To("a.b/st", "\xff"), Int.Of(1)); return nil }, "UTF-8"},
		"negative delay":       {func(in *Invocation) error { in.SendAfter(-1, in.Self(), Int.Of(1)); return nil }, "negative"},
		"send without a token": {func(in *Invocation) error { in.SendAfterToken(1, "", in.Self(), Int.Of(1)); return nil }, "token is empty"},
		"cancel no token":      {func(in *Invocation) error { in.Cancel(""); return nil }, "token is empty"},
		"egress":               {func(in *Invocation) error { in.SendEgress("out", Int.Of(1)); return nil }, "want namespace/name"},
		"no topic":             {func(in *Invocation) error { in.SendKafka("a.b/out", KafkaRecord{}); return nil }, "no topic"},
		"empty Type":           {func(in *Invocation) error { in.Send(in.Self(), Type[int]{}.Of(1)); return nil }, "needs a Name"},
		"undeclared state":     {func(in *Invocation) error { undeclared.Set(in, 1); return nil }, `state "undeclared" is not in the States`},
		"argument's type":      {func(in *Invocation) error { _, err := Int.From(in.Argument()); return err }, "io.statefun.types/string"},
		"state's type": {func(in *Invocation) error {
			_, _, err := (ValueSpec[string]{Name: "seen", Type: String}).Get(in)
			return err
		}, `state "seen": decode`},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			h := newHandler(t, Function{Type: "a.b/st", States: []State{seen}, Call: func(_ context.Context, in *Invocation) error {
				seen.Set(in, 1)
				return c.call(in)
			}})
			r := post(t, h, request(state("seen", nil), argument(String.Of("hi"))))
			got := text(t, r)
			if r.StatusCode != http.StatusInternalServerError || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain") {
				t.Errorf("got %s, %s, want 500 and plain text", r.Status, r.Header.Get("Content-Type"))
			}
			if !strings.Contains(got, c.want) || !strings.Contains(got, "a.b/st/k") {
				t.Errorf("got %q, want the address and %q", got, c.want)
			}
		})
	}
}

// A state of a type that the function does not expect must not be read as something else, nor as unset.
func TestStateOfAnotherType(t *testing.T) {
	h := newHandler(t, Function{Type: "a.b/st", States: []State{seen}, Call: func(_ context.Context, in *Invocation) error {
		_, _, err := seen.Get(in)
		return err
	}})
	for name, v := range map[string]*protocol.TypedValue{"another type": String.Of("7").wire(), "broken bytes": {Typename: Int.Name, HasValue: true, Value: []byte{0x0d, 1}}} {
		if r := post(t, h, request(state("seen", v), argument(String.Of("hi")))); r.StatusCode != http.StatusInternalServerError {
			t.Errorf("%s: got %s, want 500", name, r.Status)
		}
	}
}

func TestPanicIsLogged(t *testing.T) {
	var log bytes.Buffer
	h, err := NewHandler(Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), Functions: []Function{{
		Type: "a.b/st", Call: func(context.Context, *Invocation) error { panic("boom") },
	}}})
	if err != nil {
		t.Fatal(err)
	}
	got := text(t, post(t, h, request(nil, argument(String.Of("hi")))))
	if strings.Contains(got, "handler_test.go") || !strings.Contains(log.String(), "handler_test.go") {
		t.Errorf("the stack is in the answer %q or not in the log %q", got, log.String())
	}
}

// A function that ends its goroutine, which is the server's, fails like one that panics. The gateway must not take it for a server that
// went away.
func TestGoroutineEnded(t *testing.T) {
	var log bytes.Buffer
	h, err := NewHandler(Config{Logger: slog.New(slog.NewTextHandler(&log, nil)), Functions: []Function{{Type: "a.b/st", Call: misbehave}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(h)
			server.EnableHTTP2 = http2
			server.StartTLS()
			defer server.Close()
			for _, id := range []string{"goexit", "good", "goexit"} {
				body, err := proto.Marshal(callOf("a.b/st", id))
				if err != nil {
					t.Fatal(err)
				}
				r, err := server.Client().Post(server.URL, contentType, bytes.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				got := make([]byte, 1000)
				n, err := io.ReadFull(r.Body, got)
				r.Body.Close()
				if id == "good" {
					if r.StatusCode != http.StatusOK {
						t.Errorf("after it: got %s", r.Status)
					}
					continue
				}
				if r.StatusCode != http.StatusInternalServerError || string(got[:n]) != "call: the function has ended its goroutine" || !http2 && err != io.ErrUnexpectedEOF {
					t.Errorf("got %s, %q, %v", r.Status, got[:n], err)
				}
			}
		})
	}
	if n := strings.Count(log.String(), "ended its goroutine"); n != 4 {
		t.Errorf("logged %d times: %s", n, log.String())
	}
}

// Once the gateway has gone, the rest of the batch is not called.
func TestGatewayGone(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	calls := 0
	h := newHandler(t, Function{Type: "a.b/st", Call: func(context.Context, *Invocation) error {
		calls++
		cancel()
		return nil
	}})
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(request(nil, argument(Int.Of(1)), argument(Int.Of(2))))).WithContext(ctx)
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if calls != 1 || w.Code != http.StatusInternalServerError {
		t.Errorf("got %d calls and %d, want 1 and 500", calls, w.Code)
	}
}

// Unset is: no value, or one without has_value. An empty value with has_value is a value.
func TestUnset(t *testing.T) {
	for name, c := range map[string]struct {
		value *protocol.TypedValue
		want  bool
	}{
		"no value":          {nil, false},
		"without has_value": {&protocol.TypedValue{Typename: Int.Name, Value: []byte{0x0d, 7, 0, 0, 0}}, false},
		"empty":             {Int.Of(0).wire(), true},
	} {
		var got bool
		h := newHandler(t, Function{Type: "a.b/st", States: []State{seen}, Call: func(_ context.Context, in *Invocation) (err error) {
			_, got, err = seen.Get(in)
			return err
		}})
		call(t, h, request(state("seen", c.value), argument(String.Of("hi"))))
		if got != c.want {
			t.Errorf("%s: is it set? got %v, want %v", name, got, c.want)
		}
	}
}
