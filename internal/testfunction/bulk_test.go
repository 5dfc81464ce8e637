package testfunction

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/stategate/stategate/api/protocol"
)

// toFunction is a call of a counting function whose state is n; n 0: its state is known and unset.
func toFunction(name, id string, n uint64, invocations int) *protocol.ToFunction {
	batch := &protocol.ToFunction_InvocationBatchRequest{
		Target: &protocol.Address{Namespace: "test", Type: name, Id: id},
		State:  []*protocol.ToFunction_PersistedValue{{StateName: state}},
	}
	if n > 0 {
		value := binary.LittleEndian.AppendUint64([]byte{9}, n)
		batch.State[0].StateValue = &protocol.TypedValue{Typename: protocol.TypeLong, HasValue: true, Value: value}
	}
	for range invocations {
		batch.Invocations = append(batch.Invocations, &protocol.ToFunction_Invocation{Argument: &protocol.TypedValue{Typename: "test/event", HasValue: true, Value: []byte("x")}})
	}
	return &protocol.ToFunction{Request: &protocol.ToFunction_Invocation_{Invocation: batch}}
}

func bulkOf(calls ...*protocol.ToFunction) *protocol.ToFunctions {
	bulk := &protocol.ToFunctions{}
	for i, c := range calls {
		bulk.Calls = append(bulk.Calls, &protocol.ToFunctions_Call{Number: uint32(i + 1), ToFunction: c})
	}
	return bulk
}

func post(ctx context.Context, t *testing.T, url, contentType string, m proto.Message) *http.Response {
	t.Helper()
	body, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set(bulkHeader, "2, 1")
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = response.Body.Close() })
	return response
}

func answersOf(t *testing.T, response *http.Response) map[uint32]*protocol.FromFunctions_Answer {
	t.Helper()
	body, err := io.ReadAll(response.Body)
	var all protocol.FromFunctions
	if err != nil || response.StatusCode != http.StatusOK || proto.Unmarshal(body, &all) != nil {
		t.Fatalf("status %d, %v: %q", response.StatusCode, err, body)
	}
	byNumber := map[uint32]*protocol.FromFunctions_Answer{}
	for _, a := range all.Answers {
		if byNumber[a.Number] != nil {
			t.Fatalf("number %d is answered twice", a.Number)
		}
		byNumber[a.Number] = a
	}
	return byNumber
}

func TestBulkIsAnnouncedWhereItIsKnown(t *testing.T) {
	h := &Handler{Bulk: 7}
	server := httptest.NewServer(h)
	defer server.Close()
	if got := post(t.Context(), t, server.URL, protocol.ContentType, toFunction("count", "a", 0, 1)).Header.Get(bulkHeader); got != "1; calls=7" {
		t.Errorf("announced %q", got)
	}
	response := post(t.Context(), t, server.URL, bulkContentType, bulkOf(toFunction("count", "a", 0, 1)))
	if got := response.Header.Get(bulkHeader); got != "1; calls=7" || response.Header.Get("Content-Type") != bulkContentType {
		t.Errorf("a bulk: announced %q with %q", got, response.Header.Get("Content-Type"))
	}
	h.ForgetBulk(true)
	if got := post(t.Context(), t, server.URL, protocol.ContentType, toFunction("count", "a", 0, 1)).Header.Get(bulkHeader); got != "" {
		t.Errorf("forgotten, and announced %q", got)
	}
	if got := post(t.Context(), t, server.URL, bulkContentType, bulkOf(toFunction("count", "a", 0, 1))).StatusCode; got != http.StatusUnsupportedMediaType {
		t.Errorf("forgotten, and answered %d", got)
	}
}

func TestBulkAnswersEachCallByItself(t *testing.T) {
	h := &Handler{Bulk: 10, SlowFor: time.Millisecond}
	h.SetDown("audit", true)
	for _, mode := range []string{"side by side", "quick"} {
		if mode == "quick" {
			h.SetDown("audit", false)
		}
		server := httptest.NewServer(h)
		before := h.Calls()
		got := answersOf(t, post(t.Context(), t, server.URL, bulkContentType, bulkOf(
			toFunction("count", "a", 4, 2), toFunction("count", "bad-a", 0, 1), toFunction("nothing", "a", 0, 1),
			toFunction("count", "slow-a", 0, 1), toFunction("hop0", "a", 0, 1), toFunction("audit", "a", 0, 1))))
		if len(got) != 6 {
			t.Fatalf("%s: %d answers", mode, len(got))
		}
		status := map[uint32]uint32{2: 500, 3: 500}
		if mode == "side by side" {
			status[6] = 503
		}
		for number := uint32(1); number <= 6; number++ {
			if want := status[number]; got[number].GetFailure().GetStatus() != want || (want == 0) != (got[number].GetFromFunction() != nil) {
				t.Errorf("%s: call %d: %v", mode, number, got[number])
			}
		}
		outputs := got[1].GetFromFunction().GetInvocationResult().GetOutgoingEgresses()
		if len(outputs) != 2 || !bytes.Contains(outputs[1].Argument.Value, []byte("6")) {
			t.Errorf("%s: outputs %v", mode, outputs)
		}
		if next := got[5].GetFromFunction().GetInvocationResult().GetOutgoingMessages(); len(next) != 1 || next[0].Target.Type != "hop1" {
			t.Errorf("%s: sent %v", mode, next)
		}
		if n := h.Calls() - before; n != int64(6-len(status)) {
			t.Errorf("%s: counted %d calls", mode, n)
		}
		server.Close()
	}
}

// A call that is never answered holds up no other of its bulk.
func TestBulkStreams(t *testing.T) {
	server := httptest.NewServer(&Handler{Bulk: 10})
	defer server.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	response := post(ctx, t, server.URL, bulkContentType, bulkOf(toFunction("count", "hang-a", 0, 1), toFunction("count", "b", 0, 1)))
	var read []byte
	piece := make([]byte, 4096)
	for {
		n, err := response.Body.Read(piece)
		if err != nil {
			t.Fatal(err)
		}
		read = append(read, piece[:n]...)
		var all protocol.FromFunctions
		if proto.Unmarshal(read, &all) == nil && len(all.Answers) == 1 {
			if a := all.Answers[0]; a.Number != 2 || a.GetFromFunction() == nil {
				t.Errorf("got %v", a)
			}
			return
		}
	}
}

func TestBulkRefused(t *testing.T) {
	server := httptest.NewServer(&Handler{Bulk: 2})
	defer server.Close()
	a, b, c := toFunction("count", "a", 0, 1), toFunction("count", "b", 0, 1), toFunction("count", "c", 0, 1)
	twice, zero := bulkOf(a, b), bulkOf(a, b)
	twice.Calls[1].Number = 1
	zero.Calls[1].Number = 0
	for _, tt := range []struct {
		name, want string
		bulk       *protocol.ToFunctions
	}{
		{"number twice", "comes twice", twice}, {"number 0", "is 0", zero}, {"address twice", "an address", bulkOf(a, a)}, {"too many", "3 calls", bulkOf(a, b, c)},
	} {
		response := post(t.Context(), t, server.URL, bulkContentType, tt.bulk)
		if text, _ := io.ReadAll(response.Body); response.StatusCode != http.StatusBadRequest || !strings.Contains(string(text), tt.want) {
			t.Errorf("%s: %d %s", tt.name, response.StatusCode, text)
		}
	}
}

// same says what is wrong with the quick answer to a call, beside the ordinary one.
func same(encoded []byte) error {
	var (
		in    invocations
		s     scratch
		h     = Handler{TopicPrefix: "t-"}
		call  protocol.ToFunction
		reply protocol.FromFunction
	)
	if in.read(encoded) != nil {
		return nil
	}
	got, ok := s.count(&in, h.TopicPrefix)
	if !ok || proto.Unmarshal(encoded, &call) != nil {
		return nil // it takes the ordinary way, and so does what is judged by it
	}
	if err := proto.Unmarshal(got, &reply); err != nil {
		return err
	}
	want, err := h.answer(call.GetInvocation())
	if err != nil {
		return err
	}
	if !proto.Equal(want, &reply) {
		return fmt.Errorf("want -, got +:\n%s", cmp.Diff(want, &reply, protocmp.Transform()))
	}
	return nil
}

func TestQuickCountIsCount(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 0))
	for range 500 {
		name := []string{"count", "audit", "quiet"}[random.IntN(3)]
		id := strings.Repeat("k", random.IntN(200))
		call := toFunction(name, id, random.Uint64N(1<<random.IntN(63)), 1+random.IntN(20))
		encoded, err := proto.Marshal(call)
		if err != nil {
			t.Fatal(err)
		}
		var in invocations
		if err := in.read(encoded); err != nil {
			t.Fatal(err)
		}
		if _, ok := new(scratch).count(&in, ""); !ok {
			t.Fatalf("seed %d: not counted: %v", seed, call)
		}
		if err := same(encoded); err != nil {
			t.Fatalf("seed %d: %v: %v", seed, call, err)
		}
	}
}

func FuzzQuickCount(f *testing.F) {
	for _, call := range []*protocol.ToFunction{toFunction("count", "a", 3, 2), toFunction("quiet", "", 0, 1), toFunction("hop0", "a", 0, 1)} {
		encoded, err := proto.Marshal(call)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encoded)
	}
	f.Add(protowire.AppendTag(nil, 100, protowire.StartGroupType))
	f.Fuzz(func(t *testing.T, encoded []byte) {
		if err := same(encoded); err != nil {
			t.Error(err)
		}
	})
}

func BenchmarkBulk(b *testing.B) {
	h := &Handler{Bulk: 1000}
	var calls []*protocol.ToFunction
	for i := range 1000 {
		calls = append(calls, toFunction("count", fmt.Sprint("key-", i), 5, 1))
	}
	body, err := proto.Marshal(bulkOf(calls...))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", bulkContentType)
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusOK {
			b.Fatal(w.Code)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/1000, "ns/call")
}
