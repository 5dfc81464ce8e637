//go:build unix

package requesttest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// functions are the application: shop/cart counts what comes to each id and answers its caller with the count; shop/relay hands its
// caller on to shop/answer of the same id, which answers it; shop/silent answers nobody.
type functions struct {
	url string

	mu   sync.Mutex
	hold chan struct{} // not nil: calls of cart wait until it is closed; guarded by mu
	seen chan string   // ids of cart's calls, as they arrive; has room for many
}

func serveFunctions(t *testing.T) *functions {
	t.Helper()
	f := &functions{seen: make(chan string, 100_000)}
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	t.Cleanup(f.release)
	f.url = server.URL
	return f
}

func (f *functions) block() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hold = make(chan struct{})
}

func (f *functions) release() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.hold != nil {
		close(f.hold)
		f.hold = nil
	}
}

func (f *functions) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var call protocol.ToFunction
	if err := proto.Unmarshal(body, &call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	batch := call.GetInvocation()
	if batch.GetTarget().GetType() == "fail" {
		http.Error(w, "no such luck", http.StatusInternalServerError)
		return
	}
	if batch.GetTarget().GetType() == "cart" {
		f.seen <- batch.GetTarget().GetId()
		f.mu.Lock()
		hold := f.hold
		f.mu.Unlock()
		if hold != nil {
			select {
			case <-hold:
			case <-r.Context().Done():
				return
			}
		}
	}
	answer, err := proto.Marshal(f.answer(batch))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(answer)
}

func (f *functions) answer(batch *protocol.ToFunction_InvocationBatchRequest) *protocol.FromFunction {
	out := &protocol.FromFunction_InvocationResponse{}
	send := func(to *protocol.Address, typeName string, value []byte) {
		out.OutgoingMessages = append(out.OutgoingMessages, &protocol.FromFunction_Invocation{
			Target: to, Argument: &protocol.TypedValue{Typename: typeName, HasValue: true, Value: value},
		})
	}
	target := batch.GetTarget()
	switch target.GetType() {
	case "cart":
		if len(batch.GetState()) == 0 {
			return &protocol.FromFunction{Response: &protocol.FromFunction_IncompleteInvocationContext_{
				IncompleteInvocationContext: &protocol.FromFunction_IncompleteInvocationContext{
					MissingValues: []*protocol.FromFunction_PersistedValueSpec{{StateName: "n", TypeTypename: "test/count"}},
				},
			}}
		}
		n := uint64(0)
		if v := batch.GetState()[0].GetStateValue(); v.GetHasValue() {
			n = binary.BigEndian.Uint64(v.GetValue())
		}
		for _, i := range batch.GetInvocations() {
			n++
			if i.GetCaller() != nil {
				send(i.GetCaller(), "test/count", fmt.Appendf(nil, `{"n":%d,"type":%q}`, n, i.GetArgument().GetTypename()))
			}
		}
		out.StateMutations = []*protocol.FromFunction_PersistedValueMutation{{
			MutationType: protocol.FromFunction_PersistedValueMutation_MODIFY, StateName: "n",
			StateValue: &protocol.TypedValue{Typename: "test/count", HasValue: true, Value: binary.BigEndian.AppendUint64(nil, n)},
		}}
	case "relay":
		for _, i := range batch.GetInvocations() {
			send(&protocol.Address{Namespace: "shop", Type: "answer", Id: target.GetId()}, "test/caller", []byte(i.GetCaller().GetId()))
		}
	case "answer":
		for _, i := range batch.GetInvocations() {
			send(&protocol.Address{Namespace: "io.stategate", Type: "reply", Id: string(i.GetArgument().GetValue())}, "test/bytes", []byte("answered by another"))
		}
	}
	return &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: out}}
}

// world is an application with a store, and gateways on it.
type world struct {
	*functions
	t                     *testing.T
	folder, module, store string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, folder: t.TempDir(), functions: serveFunctions(t)}
	w.module, w.store = filepath.Join(w.folder, "module.yaml"), "sqlite:"+filepath.Join(w.folder, "state.db")
	text := fmt.Sprintf(`kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/*
  urlPathTemplate: %[1]s/statefun
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: strict/*
  urlPathTemplate: %[1]s/statefun
  onFailure: deadLetter
  transport: {type: io.statefun.transports.v1/async, timeouts: {call: 200ms}}
---
kind: io.stategate.http.v1/ingress
spec:
  id: shop/api
  functions: [shop/cart, shop/relay, shop/silent]
  maxBodySize: 1MiB
  timeout: 20s
  routes:
    - path: /carts/{id}/items
      target: shop/cart
      id: "{id}"
      valueType: shop/AddItem
---
kind: io.stategate.http.v1/ingress
spec: {id: shop/impatient, functions: [shop/answer, shop/*], timeout: 3s}
---
kind: io.stategate.http.v1/ingress
spec: {id: shop/patient, functions: [strict/*], timeout: 1m}
`, w.url)
	if err := os.WriteFile(w.module, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return w
}

// gateway is one of those on the store, and where it listens.
type gateway struct {
	*testgateway.Gateway
	url string
}

func (w *world) newGateway(name string, args ...string) *gateway {
	w.t.Helper()
	address, err := testgateway.FreeAddr()
	if err != nil {
		w.t.Fatal(err)
	}
	args = append([]string{"--module", w.module, "--store", w.store, "--listen", address, "--lease", "1s"}, args...)
	return &gateway{testgateway.New(w.t, w.folder, name, nil, args...), "http://" + address}
}

func (g *gateway) active(t *testing.T) *gateway {
	t.Helper()
	g.Open()
	g.opened(t)
	return g
}

// opened waits until requests are answered by one that works.
func (g *gateway) opened(t *testing.T) {
	t.Helper()
	testgateway.Poll(t, g.url+" to answer", func() (bool, string) {
		a := g.do("GET", "/v1/call/shop/cart/x", "")
		return a.code == http.StatusMethodNotAllowed, fmt.Sprint(a)
	})
}

// answer is what came back; code 0: nothing did.
type answer struct {
	code int
	body string
	head http.Header
}

var client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}

func (g *gateway) do(method, path, body string, headers ...string) answer {
	req, err := http.NewRequest(method, g.url+path, strings.NewReader(body))
	if err != nil {
		return answer{body: err.Error()}
	}
	for _, h := range headers {
		k, v, _ := strings.Cut(h, ": ")
		req.Header.Set(k, v)
	}
	resp, err := client.Do(req)
	if err != nil {
		return answer{body: err.Error()}
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{body: err.Error()}
	}
	return answer{resp.StatusCode, string(text), resp.Header}
}

func (g *gateway) post(path, body string, headers ...string) answer {
	return g.do("POST", path, body, headers...)
}
