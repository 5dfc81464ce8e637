//go:build unix

package documenttest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// refusal is the message that no function of the shop can use, and what they say then.
const refusal = "sold out"

// serveShop serves shop/cart, which counts the items that come to each id and answers its caller with the count and what came. It serves
// any other function, too; each fails for the message that it cannot use.
func serveShop(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var call protocol.ToFunction
	if err := proto.Unmarshal(body, &call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	reply, err := putIntoCart(call.GetInvocation())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer, err := proto.Marshal(reply)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", protocol.ContentType)
	_, _ = w.Write(answer)
}

func putIntoCart(batch *protocol.ToFunction_InvocationBatchRequest) (*protocol.FromFunction, error) {
	if len(batch.GetState()) == 0 {
		return &protocol.FromFunction{Response: &protocol.FromFunction_IncompleteInvocationContext_{
			IncompleteInvocationContext: &protocol.FromFunction_IncompleteInvocationContext{
				MissingValues: []*protocol.FromFunction_PersistedValueSpec{{StateName: "items", TypeTypename: "shop/count"}},
			},
		}}, nil
	}
	n := uint64(0)
	if v := batch.GetState()[0].GetStateValue(); v.GetHasValue() {
		n = binary.BigEndian.Uint64(v.GetValue())
	}
	out := &protocol.FromFunction_InvocationResponse{}
	for _, i := range batch.GetInvocations() {
		text := string(i.GetArgument().GetValue())
		if i.GetArgument().GetTypename() == protocol.TypeString {
			var wrapper protocol.StringWrapper
			if err := proto.Unmarshal(i.GetArgument().GetValue(), &wrapper); err != nil {
				return nil, err
			}
			text = wrapper.GetValue()
		}
		if text == refusal {
			return nil, fmt.Errorf("the item is %s", refusal)
		}
		n++
		if i.GetCaller() != nil {
			out.OutgoingMessages = append(out.OutgoingMessages, &protocol.FromFunction_Invocation{
				Target: i.GetCaller(), Argument: &protocol.TypedValue{Typename: "shop/receipt", HasValue: true, Value: []byte(receipt(n, i.GetArgument().GetTypename(), text))},
			})
		}
	}
	out.StateMutations = []*protocol.FromFunction_PersistedValueMutation{{
		MutationType: protocol.FromFunction_PersistedValueMutation_MODIFY, StateName: "items",
		StateValue: &protocol.TypedValue{Typename: "shop/count", HasValue: true, Value: binary.BigEndian.AppendUint64(nil, n)},
	}}
	return &protocol.FromFunction{Response: &protocol.FromFunction_InvocationResult{InvocationResult: out}}, nil
}

// receipt is what shop/cart answers to the item n of an id.
func receipt(n uint64, typeName, value string) string {
	return fmt.Sprintf(`{"items":%d,"type":%q,"value":%q}`, n, typeName, value)
}

// shop is the application in a folder: its module.yaml, its store, and gateways on it.
type shop struct {
	t      *testing.T
	folder string
}

func newShop(t *testing.T) *shop {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(serveShop))
	t.Cleanup(server.Close)
	s := &shop{t, t.TempDir()}
	text := fmt.Sprintf(`kind: io.statefun.endpoints.v2/http
spec: {functions: shop/*, urlPathTemplate: %[1]s}
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: shop/stock
  urlPathTemplate: %[1]s
  onFailure: deadLetter
  transport: {call: 200ms}
---
kind: io.stategate.http.v1/ingress
spec: {id: shop/api, functions: [shop/*]}
`, server.URL)
	if err := os.WriteFile(filepath.Join(s.folder, "module.yaml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

// gateway is one of those of the shop, and where it listens: in place of localhost:8080 and of 127.0.0.1:8081 of the documents.
type gateway struct {
	*testgateway.Gateway
	events, admin string
}

// newGateway makes one that is not started, as "gateway run" is started in the folder of the shop.
func (s *shop) newGateway(name string) *gateway {
	s.t.Helper()
	events, err := testgateway.FreeAddr()
	if err != nil {
		s.t.Fatal(err)
	}
	g := &gateway{testgateway.New(s.t, s.folder, name, environ(s.t, s.folder), "--listen", events, "--lease", "1s"), events, ""}
	g.admin = g.Args[slices.Index(g.Args, "--admin")+1]
	return g
}

// open starts the gateway of the shop and waits until it works and answers.
func (s *shop) open() *gateway {
	s.t.Helper()
	g := s.newGateway("gateway")
	g.Open()
	s.answers(g)
	return g
}

var client = &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}

// post sends a text and answers what came back, with code 0 when nothing did.
func (g *gateway) post(path, text string) (code int, body string) {
	resp, err := client.Post("http://"+g.events+path, "text/plain", strings.NewReader(text))
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(all)
}

// answers waits until requests are answered: by this gateway, or by the one that works behind it.
func (s *shop) answers(g *gateway) {
	s.t.Helper()
	testgateway.Poll(s.t, g.Name+" to answer", func() (bool, string) {
		code, body := g.post("/v1/call/shop/cart/first", "pen")
		return code == http.StatusOK, fmt.Sprint(code, " ", body)
	})
}
