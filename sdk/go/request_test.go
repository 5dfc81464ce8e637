package stategate

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/sdk/go/internal/protocol"
)

var nothing = Function{Type: "a.b/st", Call: func(context.Context, *Invocation) error { return nil }}

func TestRefusedRequests(t *testing.T) {
	good := request(nil, argument(String.Of("hi")))
	elsewhere, err := proto.Marshal(&protocol.ToFunction{Request: &protocol.ToFunction_Invocation_{
		Invocation: &protocol.ToFunction_InvocationBatchRequest{Target: To("a.b/other", "k").wire()},
	}})
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string]struct {
		method, contentType string
		body                []byte
		want                int
	}{
		"good":              {http.MethodPost, contentType, good, http.StatusOK},
		"capitals":          {http.MethodPost, "Application/Octet-Stream", good, http.StatusOK},
		"parameters":        {http.MethodPost, contentType + "; v=1", good, http.StatusOK},
		"GET":               {http.MethodGet, "", nil, http.StatusMethodNotAllowed},
		"json":              {http.MethodPost, "application/json", []byte("{}"), http.StatusUnsupportedMediaType},
		"no content type":   {http.MethodPost, "", good, http.StatusUnsupportedMediaType},
		"odd content type":  {http.MethodPost, ";;;", good, http.StatusUnsupportedMediaType},
		"empty":             {http.MethodPost, contentType, nil, http.StatusBadRequest},
		"cut":               {http.MethodPost, contentType, good[:len(good)-1], http.StatusBadRequest},
		"noise":             {http.MethodPost, contentType, bytes.Repeat([]byte{0xff}, 1000), http.StatusBadRequest},
		"unknown function":  {http.MethodPost, contentType, elsewhere, http.StatusNotFound},
		"as large as may":   {http.MethodPost, contentType, request(nil, argument(Bytes("a/b").Of(make([]byte, 900)))), http.StatusOK},
		"too large":         {http.MethodPost, contentType, request(nil, argument(Bytes("a/b").Of(make([]byte, 1000)))), http.StatusRequestEntityTooLarge},
		"too large by far":  {http.MethodPost, contentType, make([]byte, 10<<20), http.StatusRequestEntityTooLarge},
		"noise without end": {http.MethodPost, contentType, bytes.Repeat([]byte{0x0b}, 1000), http.StatusBadRequest},
	}
	h, err := NewHandler(Config{Functions: []Function{nothing}, RequestBytesMax: 1000, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		for _, chunked := range []bool{false, true} {
			r := httptest.NewRequest(c.method, "/", bytes.NewReader(c.body))
			if chunked {
				r.ContentLength = -1
			}
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != c.want {
				t.Errorf("%s (chunked %v): got %d %q, want %d", name, chunked, w.Code, w.Body, c.want)
			}
			if w.Code != http.StatusOK && !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
				t.Errorf("%s: got a refusal of type %q, want plain text", name, w.Header().Get("Content-Type"))
			}
		}
	}
}

// endless is a body that never ends.
type endless struct{ read int }

func (e *endless) Read(b []byte) (int, error) {
	e.read += len(b)
	return len(b), nil
}

func TestBodyWithoutEnd(t *testing.T) {
	h := newHandler(t, nothing)
	h.requestBytesMax = 1 << 20
	for _, length := range []int64{-1, 1 << 60} {
		body := &endless{}
		r := httptest.NewRequest(http.MethodPost, "/", io.NopCloser(body))
		r.ContentLength = length
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusRequestEntityTooLarge || body.read > 4<<20 {
			t.Errorf("length %d: got %d after %d bytes, want 413 after about 1 MiB", length, w.Code, body.read)
		}
	}
}

func TestNewHandlerRefuses(t *testing.T) {
	call := func(context.Context, *Invocation) error { return nil }
	with := func(states ...State) []Function {
		return []Function{{Type: "a.b/st", States: states, Call: call}}
	}
	cases := map[string]struct {
		cfg  Config
		want string
	}{
		"no functions":      {Config{}, "no functions"},
		"type":              {Config{Functions: []Function{{Type: "st", Call: call}}}, "namespace/name"},
		"no Call":           {Config{Functions: []Function{{Type: "a.b/st"}}}, "no Call"},
		"twice":             {Config{Functions: []Function{nothing, nothing}}, "there twice"},
		"negative bound":    {Config{Functions: with(), RequestBytesMax: -1}, "RequestBytesMax"},
		"nil state":         {Config{Functions: with(nil)}, "a state is nil"},
		"state twice":       {Config{Functions: with(seen, seen)}, "declared twice"},
		"state's name":      {Config{Functions: with(ValueSpec[int32]{Type: Int})}, "no name"},
		"state name's text": {Config{Functions: with(ValueSpec[int32]{Name: "\xff", Type: Int})}, "UTF-8"},
		"state's type":      {Config{Functions: with(ValueSpec[int32]{Name: "n"})}, "Type has no Encode"},
		"state type's name": {Config{Functions: with(ValueSpec[[]byte]{Name: "n", Type: Bytes("raw")})}, "namespace/name"},
		"expiration":        {Config{Functions: with(ValueSpec[int32]{Name: "n", Type: Int, Expiration: ExpireAfterWrite(-time.Second)})}, "expires after"},
		"expiration of 0":   {Config{Functions: with(ValueSpec[int32]{Name: "n", Type: Int, Expiration: ExpireAfterInvoke(0)})}, "expires after"},
	}
	for name, c := range cases {
		if _, err := NewHandler(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}

func FuzzServeHTTP(f *testing.F) {
	h := newHandler(f, Function{Type: "a.b/st", States: []State{seen}, Call: func(_ context.Context, in *Invocation) error {
		if _, ok := in.Caller(); ok {
			in.Reply(in.Argument())
		}
		n, _, err := seen.Get(in)
		seen.Set(in, n+1)
		return err
	}})
	f.Add([]byte{})
	f.Add(request(nil))
	f.Add(request(state("seen", Int.Of(7).wire()), argument(String.Of("hi")), &protocol.ToFunction_Invocation{Caller: To("a/b", "c").wire()}))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := post(t, h, body)
		if b := text(t, r); r.StatusCode == http.StatusOK {
			if err := proto.Unmarshal([]byte(b), &protocol.FromFunction{}); err != nil {
				t.Errorf("got a reply that does not parse: %v", err)
			}
		}
	})
}

func BenchmarkServeHTTP(b *testing.B) {
	h := newHandler(b, Function{Type: "a.b/st", States: []State{seen}, Call: func(_ context.Context, in *Invocation) error {
		n, _, err := seen.Get(in)
		seen.Set(in, n+1)
		return err
	}})
	body := request(state("seen", Int.Of(7).wire()), argument(Bytes("a.b/raw").Of(make([]byte, 100))))
	b.ReportAllocs()
	for b.Loop() {
		if r := post(b, h, body); r.StatusCode != http.StatusOK {
			b.Fatal(r.Status)
		}
	}
}

// What a function keeps of a message stays as it was: the space of a request is used again, by the next one.
func TestValuesMayBeKept(t *testing.T) {
	type kept struct {
		value TypedValue
		self  Address
	}
	var all []kept
	h := newHandler(t, Function{Type: "a.b/st", Call: func(_ context.Context, in *Invocation) error {
		all = append(all, kept{in.Argument(), in.Self()})
		return nil
	}})
	for i := range 100 {
		id := fmt.Sprintf("%03d", i)
		if i%2 == 0 {
			post(t, h, encoded(callOf("a.b/st", id)))
		} else {
			postBulk(h, bulkRequest(id))
		}
	}
	for i, k := range all {
		if s, err := String.From(k.value); err != nil || s != fmt.Sprintf("%03d", i) || k.self.ID != s {
			t.Errorf("message %d: %v of %v, %v", i, s, k.self, err)
		}
	}
	if len(all) != 100 {
		t.Errorf("%d messages, want 100", len(all))
	}
}
