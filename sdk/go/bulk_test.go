package stategate

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/sdk/go/internal/protocol"
)

// bulkRequest is a bulk of one message for each id of a.b/st, the calls numbered from 1.
func bulkRequest(ids ...string) []byte {
	var bulk protocol.ToFunctions
	for i, id := range ids {
		bulk.Calls = append(bulk.Calls, &protocol.ToFunctions_Call{Number: uint32(i + 1), ToFunction: callOf("a.b/st", id)})
	}
	return encoded(&bulk)
}

func callOf(function, id string) *protocol.ToFunction {
	return &protocol.ToFunction{Request: &protocol.ToFunction_Invocation_{Invocation: &protocol.ToFunction_InvocationBatchRequest{
		Target: To(function, id).wire(), Invocations: []*protocol.ToFunction_Invocation{argument(String.Of(id))},
	}}}
}

func encoded(m proto.Message) []byte {
	b, err := proto.Marshal(m)
	if err != nil {
		panic(err)
	}
	return b
}

func postBulk(h http.Handler, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/statefun", bytes.NewReader(body))
	r.Header.Set("Content-Type", bulkContentType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// answersOf are the answers of a response by their number; each number comes once.
func answersOf(t testing.TB, w *httptest.ResponseRecorder) map[uint32]*protocol.FromFunctions_Answer {
	t.Helper()
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != bulkContentType {
		t.Fatalf("got %d, %s: %q", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
	var all protocol.FromFunctions
	if err := proto.Unmarshal(w.Body.Bytes(), &all); err != nil {
		t.Fatal(err)
	}
	answers := map[uint32]*protocol.FromFunctions_Answer{}
	for _, a := range all.Answers {
		if answers[a.Number] != nil {
			t.Fatalf("call %d is answered twice", a.Number)
		}
		answers[a.Number] = a
	}
	return answers
}

type bulkVector struct {
	Name, Message, Hex string
	JSON               json.RawMessage
}

func (v bulkVector) bytes(t testing.TB) []byte {
	b, err := hex.DecodeString(v.Hex)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// bulkVectors are the vectors of testdata/protocol that are of a message.
func bulkVectors(t testing.TB, file, message string) (vectors []bulkVector) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "protocol", file))
	if err != nil {
		t.Fatal(err)
	}
	var all []bulkVector
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, v := range all {
		if v.Message == message {
			vectors = append(vectors, v)
		}
	}
	if len(vectors) == 0 {
		t.Fatalf("%s has no %s", file, message)
	}
	return vectors
}

func TestBulkIsAnnounced(t *testing.T) {
	good := request(nil, argument(Int.Of(1)))
	for name, c := range map[string]struct {
		max   int
		offer []string
		body  []byte
		want  string
	}{
		"offered":           {0, []string{"1"}, good, "1; calls=256"},
		"own bound":         {7, []string{"1"}, good, "1; calls=7"},
		"not offered":       {0, nil, good, ""},
		"later versions":    {0, []string{"2, 3"}, good, ""},
		"among others":      {0, []string{"3 ,1, 2"}, good, "1; calls=256"},
		"in several lines":  {0, []string{"3", "1"}, good, "1; calls=256"},
		"with a parameter":  {0, []string{"2;a=b, 1 ;a=b"}, good, "1; calls=256"},
		"no version":        {0, []string{"11, x1, , ;1"}, good, ""},
		"off":               {1, []string{"1"}, good, ""},
		"a call that fails": {0, []string{"1"}, good[:1], ""},
	} {
		h, err := NewHandler(Config{Functions: []Function{nothing}, BulkCallsMax: c.max, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(c.body))
		r.Header.Set("Content-Type", contentType)
		r.Header["Stategate-Bulk"] = c.offer
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got := strings.Join(w.Header().Values("Stategate-Bulk"), "|"); got != c.want {
			t.Errorf("%s: announced %q, want %q", name, got, c.want)
		}
	}
	w := postBulk(newHandler(t, nothing), bulkRequest("k"))
	if got, want := w.Header().Get("Stategate-Bulk"), "1; calls=256"; got != want {
		t.Errorf("a bulk is answered with %q, want %q", got, want)
	}
	if got := w.Header().Get("X-Accel-Buffering"); got != "no" {
		t.Errorf("a front is told %q of buffering", got)
	}
	if _, err := NewHandler(Config{Functions: []Function{nothing}, BulkCallsMax: -1}); err == nil || !strings.Contains(err.Error(), "BulkCallsMax") {
		t.Errorf("a negative BulkCallsMax: got %v", err)
	}
}

// A bulk that is refused has run no call.
func TestBulkRefused(t *testing.T) {
	type refusal struct {
		max  int
		body []byte
		want int
	}
	cases := map[string]refusal{
		"as many as may be": {3, bulkRequest("a", "b", "c"), http.StatusOK},
		"one more":          {3, bulkRequest("a", "b", "c", "d"), http.StatusBadRequest},
		"more by far":       {3, bytes.Repeat([]byte{0x0a, 0}, 1000), http.StatusBadRequest},
		"off":               {1, bulkRequest("a"), http.StatusUnsupportedMediaType},
		"too large":         {0, bulkRequest("a", strings.Repeat("b", 4096)), http.StatusRequestEntityTooLarge},
		"an ordinary call":  {0, request(nil, argument(Int.Of(1))), http.StatusOK}, // an unknown field, and no calls
	}
	for _, v := range bulkVectors(t, "bulk-refused.json", "ToFunctions") {
		cases[v.Name] = refusal{0, v.bytes(t), http.StatusBadRequest}
	}
	for _, v := range bulkVectors(t, "broken.json", "ToFunctions") {
		cases[v.Name] = refusal{0, v.bytes(t), http.StatusBadRequest}
	}
	for name, c := range cases {
		var ran atomic.Int64
		h, err := NewHandler(Config{BulkCallsMax: c.max, RequestBytesMax: 4096, Logger: slog.New(slog.DiscardHandler), Functions: []Function{
			{Type: "a.b/st", Call: func(context.Context, *Invocation) error { ran.Add(1); return nil }}}})
		if err != nil {
			t.Fatal(err)
		}
		w := postBulk(h, c.body)
		if w.Code != c.want {
			t.Errorf("%s: got %d %q, want %d", name, w.Code, w.Body, c.want)
		}
		if w.Code != http.StatusOK && (ran.Load() > 0 || w.Header().Get("Stategate-Bulk") != "") {
			t.Errorf("%s: %d calls have run; announced %q", name, ran.Load(), w.Header().Get("Stategate-Bulk"))
		}
	}
}

// Each call of a bulk is answered as it is answered alone.
func TestBulkVectors(t *testing.T) {
	h := newHandler(t, Function{Type: "a.b/st", States: []State{ValueSpec[int32]{Name: "seen", Type: Int}}, Call: func(_ context.Context, in *Invocation) error {
		n, _, err := seen.Get(in)
		seen.Set(in, n+1)
		in.Send(To("a.b/next", in.Self().ID), in.Argument())
		return err
	}})
	for _, v := range bulkVectors(t, "bulk.json", "ToFunctions") {
		var want protocol.ToFunctions
		if err := protojson.Unmarshal(v.JSON, &want); err != nil {
			t.Fatal(err)
		}
		answers := answersOf(t, postBulk(h, v.bytes(t)))
		if len(answers) != len(want.Calls) {
			t.Errorf("%s: %d answers to %d calls", v.Name, len(answers), len(want.Calls))
		}
		for _, call := range want.Calls {
			sameAsAlone(t, h, answers[call.Number], encoded(call.ToFunction))
		}
	}
}

func sameAsAlone(t *testing.T, h http.Handler, got *protocol.FromFunctions_Answer, body []byte) {
	t.Helper()
	r := post(t, h, body)
	alone := text(t, r)
	if r.StatusCode != http.StatusOK {
		f := got.GetFailure()
		if int(f.GetStatus()) != r.StatusCode || f.GetReason()+"\n" != strings.ToValidUTF8(alone, "\uFFFD") {
			t.Errorf("call %d: got %v, alone %s %q", got.GetNumber(), got, r.Status, alone)
		}
		return
	}
	var want protocol.FromFunction
	if err := proto.Unmarshal([]byte(alone), &want); err != nil {
		t.Fatal(err)
	}
	if got.GetFromFunction() == nil || !proto.Equal(got.GetFromFunction(), &want) {
		t.Errorf("call %d: got %v, alone %v", got.GetNumber(), got, &want)
	}
}

// What a handler writes has the bytes of the vectors.
func TestBulkAnswerVectors(t *testing.T) {
	count := ValueSpec[int32]{Name: "seen", Type: Int}
	h := newHandler(t, Function{Type: "a.b/st", States: []State{count}, Call: func(_ context.Context, in *Invocation) error {
		if n, _, _ := count.Get(in); n != 0 {
			count.Set(in, n+1)
		}
		return nil
	}})
	ask := func(states []*protocol.ToFunction_PersistedValue) []byte {
		return request(states, argument(String.Of("hi")))
	}
	unserved := encoded(callOf("a.b/größer", "k"))
	written := map[string][]byte{
		"one-answer":                  ask(state("seen", Int.Of(7).wire())),
		"no-effects":                  ask(state("seen", nil)),
		"incomplete":                  ask(nil),
		"failure-reason-beyond-ascii": unserved,
	}
	for _, v := range bulkVectors(t, "bulk.json", "FromFunctions") {
		var decoded, want protocol.FromFunctions
		if err := errors.Join(protojson.Unmarshal(v.JSON, &want), proto.Unmarshal(v.bytes(t), &decoded)); err != nil {
			t.Errorf("%s: %v", v.Name, err)
		}
		call, ok := written[v.Name]
		if !ok {
			continue
		}
		delete(written, v.Name)
		got, _ := h.appendAnswer(context.Background(), nil, bulkCall{number: 1, request: call}, nil)
		if hex.EncodeToString(got) != v.Hex {
			t.Errorf("%s: got %x, want %s", v.Name, got, v.Hex)
		}
	}
	if len(written) > 0 {
		t.Errorf("bulk.json has no %v", written)
	}
}

// misbehave does what its id says.
func misbehave(_ context.Context, in *Invocation) error {
	switch in.Self().ID {
	case "error":
		return errors.New("no stock")
	case "not UTF-8":
		return errors.New("no \xff stock")
	case "panic":
		panic("boom")
	case "goexit":
		runtime.Goexit()
	}
	in.Send(in.Self(), in.Argument())
	return nil
}

// The failure of a call is its own.
func TestBulkFailuresAreAlone(t *testing.T) {
	h := newHandler(t, Function{Type: "a.b/st", Call: misbehave})
	bulk := protocol.ToFunctions{}
	want := map[uint32]string{}
	add := func(call *protocol.ToFunction, failure string) {
		number := uint32(len(bulk.Calls) + 1)
		bulk.Calls = append(bulk.Calls, &protocol.ToFunctions_Call{Number: number, ToFunction: call})
		want[number] = failure
	}
	for range 20 {
		for id, failure := range map[string]string{
			"error": "500 call a.b/st/error, message 1 of 1: no stock", "not UTF-8": "500 call a.b/st/not UTF-8, message 1 of 1: no \uFFFD stock",
			"panic": "500 call a.b/st/panic, message 1 of 1: panic: boom", "goexit": "500 call: the function has ended its goroutine", "good": "",
		} {
			add(callOf("a.b/st", id), failure)
		}
		add(callOf("a.b/other", "k"), `404 function "a.b/other" is not served here`)
		add(&protocol.ToFunction{}, "400 parse request: it has no target")
	}
	body := encoded(&bulk)
	body = append(body, 0x0a, 0x05, 0x08, 0xe7, 0x07, 0x12, 0x00) // 999 with an empty message: as an empty body
	want[999] = "400 parse request: it has no target"
	body = append(body, 0x0a, 0x06, 0x08, 0xe8, 0x07, 0x12, 0x01, 0xff) // 1000 with a broken one
	want[1000] = "400 parse request: "
	answers := answersOf(t, postBulk(h, body))
	if len(answers) != len(want) {
		t.Errorf("%d answers to %d calls", len(answers), len(want))
	}
	for number, failure := range want {
		a := answers[number]
		got := ""
		if f := a.GetFailure(); f != nil {
			got = fmt.Sprint(f.Status, " ", f.Reason)
		}
		if !strings.HasPrefix(got, failure) || (failure == "") != (got == "") || failure == "" && len(a.GetFromFunction().GetInvocationResult().GetOutgoingMessages()) != 1 {
			t.Errorf("call %d: got %v, want %q", number, a, failure)
		}
	}
}

// panickingLog panics at what it is told.
type panickingLog struct{ slog.Handler }

func (panickingLog) Enabled(context.Context, slog.Level) bool  { return true }
func (panickingLog) Handle(context.Context, slog.Record) error { panic("the log is full") }
func (l panickingLog) WithAttrs([]slog.Attr) slog.Handler      { return l }
func (l panickingLog) WithGroup(string) slog.Handler           { return l }

func TestBulkWithALogThatPanics(t *testing.T) {
	h := newHandler(t, Function{Type: "a.b/st", Call: misbehave})
	h.logger = slog.New(panickingLog{})
	answers := answersOf(t, postBulk(h, bulkRequest("good", "error", "good")))
	if len(answers) != 3 || answers[2].GetFailure().GetStatus() != 500 || answers[3].GetFromFunction() == nil {
		t.Errorf("got %v", answers)
	}
}

func TestBulkFailuresAreLogged(t *testing.T) {
	var mu sync.Mutex
	var log bytes.Buffer
	h := newHandler(t, Function{Type: "a.b/st", Call: misbehave})
	h.logger = slog.New(slog.NewTextHandler(writerFunc(func(b []byte) (int, error) {
		mu.Lock()
		defer mu.Unlock()
		return log.Write(b)
	}), nil))
	postBulk(h, bulkRequest("good", "error", "panic", "goexit"))
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	all := strings.Join(lines, "\n")
	if len(lines) != 3 || !strings.Contains(all, "a.b/st/error") || !strings.Contains(all, "a.b/st/panic") || !strings.Contains(all, "bulk_test.go") || !strings.Contains(all, "ended its goroutine") {
		t.Errorf("got %s", all)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(b []byte) (int, error) { return f(b) }

// FuzzBulk: a bulk is refused as a whole, without a call, or each call is answered once, and as it is answered alone.
func FuzzBulk(f *testing.F) {
	h := newHandler(f, Function{Type: "a.b/st", States: []State{ValueSpec[int32]{Name: "seen", Type: Int}}, Call: func(_ context.Context, in *Invocation) error {
		if _, ok := in.Caller(); ok {
			in.Reply(in.Argument())
		}
		n, _, err := seen.Get(in)
		seen.Set(in, n+1)
		return err
	}})
	h.bulkCallsMax = 16
	for _, file := range []string{"bulk.json", "bulk-refused.json", "broken.json"} {
		for _, v := range bulkVectors(f, file, "ToFunctions") {
			f.Add(v.bytes(f))
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := postBulk(h, body)
		var bulk protocol.ToFunctions
		whole := proto.Unmarshal(body, &bulk) == nil
		numbers := map[uint32]bool{0: true}
		good := len(bulk.Calls) <= h.bulkCallsMax
		for _, call := range bulk.Calls {
			good = good && !numbers[call.Number]
			numbers[call.Number] = true
		}
		if w.Code != http.StatusOK {
			if w.Code != http.StatusBadRequest || whole && good {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
			return
		}
		if whole && !good {
			t.Fatalf("bad numbers are answered with %s", w.Body)
		}
		answers := answersOf(t, w)
		if !whole { // a call that is broken itself has failed alone
			return
		}
		if len(answers) != len(bulk.Calls) {
			t.Fatalf("%d answers to %d calls", len(answers), len(bulk.Calls))
		}
		for _, call := range bulk.Calls {
			sameAsAlone(t, h, answers[call.Number], encoded(call.ToFunction))
		}
	})
}

// TestAnnouncedWhereAnswersCanLeave: behind a writer that cannot flush all answers would wait for the last one.
func TestAnnouncedWhereAnswersCanLeave(t *testing.T) {
	h := &Handler{bulkCallsMax: 256}
	type plain struct{ http.ResponseWriter }
	type middle struct{ lookThrough }
	for name, c := range map[string]struct {
		wrap func(http.ResponseWriter) http.ResponseWriter
		want string
	}{
		"a flusher":           {func(w http.ResponseWriter) http.ResponseWriter { return w }, "1; calls=256"},
		"one behind another":  {func(w http.ResponseWriter) http.ResponseWriter { return middle{lookThrough{w}} }, "1; calls=256"},
		"none":                {func(w http.ResponseWriter) http.ResponseWriter { return plain{w} }, ""},
		"none behind another": {func(w http.ResponseWriter) http.ResponseWriter { return middle{lookThrough{plain{w}}} }, ""},
	} {
		w := httptest.NewRecorder()
		h.announce(c.wrap(w))
		if got := w.Header().Get("Stategate-Bulk"); got != c.want {
			t.Errorf("%s: announced %q, want %q", name, got, c.want)
		}
	}
}

// lookThrough is a writer of a middleware that lets others look through it.
type lookThrough struct{ inner http.ResponseWriter }

func (w lookThrough) Header() http.Header         { return w.inner.Header() }
func (w lookThrough) Write(b []byte) (int, error) { return w.inner.Write(b) }
func (w lookThrough) WriteHeader(status int)      { w.inner.WriteHeader(status) }
func (w lookThrough) Unwrap() http.ResponseWriter { return w.inner }
