//go:build unix

package sdktest

import (
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// goHandler stands where an application on the Go SDK would: it refuses what the SDK's handler refuses, with its statuses, and answers
// with bytes that a test gives, whose content type nobody sets but Go's server by looking at them. What it was asked stays.
type goHandler struct {
	mu      sync.Mutex
	calls   map[string][]*call  // by id, in the order in which they came; guarded by mu
	scripts map[string][]answer // by id: what is answered next; then noEffects; guarded by mu
	refused []string            // requests that the SDK's handler would not look at; guarded by mu
}

// call is one request.
type call struct {
	body     []byte
	batch    *protocol.ToFunction_InvocationBatchRequest
	header   http.Header
	length   int64
	chunked  bool
	protocol string
	uri      string
	done     <-chan struct{} // closed when nobody waits for the answer any more
}

// answer answers one call.
type answer func(w http.ResponseWriter, c *call)

func newGoHandler() *goHandler {
	return &goHandler{calls: map[string][]*call{}, scripts: map[string][]answer{}}
}

// script says how the next calls of an id are answered.
func (h *goHandler) script(id string, answers ...answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.scripts[id] = append(h.scripts[id], answers...)
}

// of is what an id was asked.
func (h *goHandler) of(id string) []*call {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]*call(nil), h.calls[id]...)
}

// await waits until an id was asked n times, and answers what.
func (h *goHandler) await(t *testing.T, id string, n int) []*call {
	t.Helper()
	var calls []*call
	testgateway.Poll(t, fmt.Sprintf("call %d of %q", n, id), func() (bool, string) {
		calls = h.of(id)
		return len(calls) >= n, fmt.Sprint(len(calls))
	})
	return calls
}

// refuse answers as the SDK's handler does to what it does not look at.
func (h *goHandler) refuse(w http.ResponseWriter, r *http.Request, why string, status int) {
	h.mu.Lock()
	h.refused = append(h.refused, fmt.Sprintf("%s %s: %s", r.Method, r.URL, why))
	h.mu.Unlock()
	http.Error(w, why, status)
}

func (h *goHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		h.refuse(w, r, "invalid request method", http.StatusMethodNotAllowed)
		return
	}
	if content := r.Header.Get("Content-Type"); content != "" && content != "application/octet-stream" {
		h.refuse(w, r, "invalid content type "+content, http.StatusUnsupportedMediaType)
		return
	}
	if r.Body == nil || r.ContentLength == 0 {
		h.refuse(w, r, "empty request body", http.StatusBadRequest)
		return
	}
	body, err := io.ReadAll(r.Body)
	var request protocol.ToFunction
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	if batch := request.GetInvocation(); err != nil || batch == nil || len(batch.Invocations) == 0 {
		h.refuse(w, r, fmt.Sprint("invalid request: ", err), http.StatusInternalServerError)
		return
	}
	c := &call{body: body, batch: request.GetInvocation(), header: r.Header, length: r.ContentLength, chunked: len(r.TransferEncoding) > 0,
		protocol: r.Proto, uri: r.RequestURI, done: r.Context().Done()}
	h.next(c)(w, c)
}

func (h *goHandler) next(c *call) answer {
	h.mu.Lock()
	defer h.mu.Unlock()
	id := c.batch.Target.Id
	h.calls[id] = append(h.calls[id], c)
	script := h.scripts[id]
	if len(script) == 0 {
		return noEffects
	}
	h.scripts[id] = script[1:]
	return script[0]
}

// raw answers bytes, whose type Go's server finds out.
func raw(b []byte) answer {
	return func(w http.ResponseWriter, _ *call) { _, _ = w.Write(b) }
}

// text is what http.Error writes.
func text(status int, words string) answer {
	return func(w http.ResponseWriter, _ *call) { http.Error(w, words, status) }
}

// typed answers with a content type of its own, "" for none.
func typed(status int, contentType string, b []byte) answer {
	return func(w http.ResponseWriter, _ *call) {
		if contentType == "" {
			w.Header()["Content-Type"] = nil
		} else {
			w.Header().Set("Content-Type", contentType)
		}
		w.WriteHeader(status)
		_, _ = w.Write(b)
	}
}

// held answers when it is let go. Whoever does not wait that long gets nothing.
func held(let <-chan struct{}, then answer) answer {
	return func(w http.ResponseWriter, c *call) {
		select {
		case <-let:
			then(w, c)
		case <-c.done:
		}
	}
}

// vector is a message of testdata/protocol.
func vector(t *testing.T, file, name string) []byte {
	t.Helper()
	for _, v := range vectors(t, file) {
		if v.Name == name {
			return unhex(t, v.Hex)
		}
	}
	t.Fatalf("testdata/protocol/%s.json has no %s", file, name)
	return nil
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// noEffects is what the SDKs of Go, JavaScript and Java answer when there is nothing to do.
func noEffects(w http.ResponseWriter, c *call) { raw([]byte{0xa2, 0x06, 0x00})(w, c) }

// result answers effects; replies that carry any begin with the bytes of their field, so their type is found.
func result(t *testing.T, r *protocol.FromFunction_InvocationResponse) answer {
	t.Helper()
	return raw(encode(t, &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: r}}))
}

// incomplete asks for states.
func incomplete(t *testing.T, specs ...*protocol.FromFunction_PersistedValueSpec) answer {
	t.Helper()
	return raw(encode(t, &protocol.FromFunction{Response: &protocol.FromFunction_IncompleteInvocationContext_{
		IncompleteInvocationContext: &protocol.FromFunction_IncompleteInvocationContext{MissingValues: specs}}}))
}

func encode(t *testing.T, m proto.Message) []byte {
	t.Helper()
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sniffed is the content type that Go's server would give the answer.
func sniffed(b []byte) string {
	kind, _, _ := mime.ParseMediaType(http.DetectContentType(b))
	return strings.ToLower(kind)
}
