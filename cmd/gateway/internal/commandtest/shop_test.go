//go:build unix

package commandtest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testfunction"
)

// What messages make shop/cart do. Anything else is counted and answered.
const (
	poison = "poison"   // fail
	later  = "later"    // send itself a message in an hour
	lost   = "lost"     // "lost N": send N messages to shop/gone, and to shop/never where "lost N M", which nobody serves
	slow   = "slow"     // answer when the test lets it
	write  = "receipt " // "receipt X": write X to the egress
)

// shop is an application without Kafka, in a folder.
type shop struct {
	t      *testing.T
	folder string
	hold   chan struct{} // closed: slow calls are answered
	calls  atomic.Int64
}

const moduleText = `
kind: io.stategate.http.v1/ingress
spec: {id: shop/api, functions: [shop/*]}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: shop/cart, urlPathTemplate: "${FUNCTIONS}"}
---
kind: io.stategate.log.v1/egress
spec: {id: shop/receipts}
`

func newShop(t *testing.T) (*shop, string) {
	t.Helper()
	s := &shop{t: t, folder: t.TempDir(), hold: make(chan struct{})}
	server := httptest.NewServer(testfunction.Func(s.putIntoCart))
	t.Cleanup(server.Close)
	s.module(moduleText)
	return s, server.URL
}

func (s *shop) module(text string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.folder, "module.yaml"), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) putIntoCart(batch *protocol.ToFunction_InvocationBatchRequest) (*protocol.FromFunction, error) {
	s.calls.Add(1)
	if len(batch.GetState()) == 0 {
		return testfunction.Missing("items", protocol.TypeInt), nil
	}
	var items protocol.IntWrapper
	if v := batch.GetState()[0].GetStateValue(); v.GetHasValue() {
		if err := proto.Unmarshal(v.GetValue(), &items); err != nil {
			return nil, err
		}
	}
	out := &protocol.FromFunction_InvocationResponse{}
	for _, i := range batch.GetInvocations() {
		var text protocol.StringWrapper
		if err := proto.Unmarshal(i.GetArgument().GetValue(), &text); err != nil {
			return nil, err
		}
		if err := s.take(batch.GetTarget(), text.GetValue(), i.GetArgument(), out); err != nil {
			return nil, err
		}
		items.Value++
		if i.GetCaller().GetNamespace() == "io.stategate" { // a request waits
			out.OutgoingMessages = append(out.OutgoingMessages, &protocol.FromFunction_Invocation{Target: i.GetCaller(), Argument: i.GetArgument()})
		}
	}
	value, err := proto.Marshal(&items)
	if err != nil {
		return nil, err
	}
	out.StateMutations = []*protocol.FromFunction_PersistedValueMutation{testfunction.Modified("items", protocol.TypeInt, value)}
	return testfunction.Done(out), nil
}

func (s *shop) take(self *protocol.Address, text string, argument *protocol.TypedValue, out *protocol.FromFunction_InvocationResponse) error {
	word, rest, _ := strings.Cut(text, " ")
	if self.GetType() != "cart" {
		return nil
	}
	switch word {
	case poison:
		return fmt.Errorf("%s cannot be read", text)
	case slow:
		<-s.hold
	case later:
		out.DelayedInvocations = append(out.DelayedInvocations, &protocol.FromFunction_DelayedInvocation{
			DelayInMs: time.Hour.Milliseconds(), Target: self, CancellationToken: "token of " + self.GetId(), Argument: argument,
		})
	case lost:
		for of, number := range strings.Fields(rest) {
			n, err := strconv.Atoi(number)
			if err != nil {
				return err
			}
			for i := range n {
				out.OutgoingMessages = append(out.OutgoingMessages, &protocol.FromFunction_Invocation{
					Target: &protocol.Address{Namespace: "shop", Type: []string{"gone", "never"}[of], Id: fmt.Sprintf("%s-%d", self.GetId(), i)}, Argument: argument,
				})
			}
		}
	case strings.TrimSpace(write):
		out.OutgoingEgresses = append(out.OutgoingEgresses, &protocol.FromFunction_EgressMessage{EgressNamespace: "shop", EgressType: "receipts", Argument: argument})
	}
	return nil
}

// gateway is one of those of the shop.
type gateway struct {
	*testgateway.Gateway
	t      *testing.T
	events string // HOST:PORT
	env    []string
}

func (s *shop) newGateway(name, functions string, args ...string) *gateway {
	s.t.Helper()
	events, err := testgateway.FreeAddr()
	if err != nil {
		s.t.Fatal(err)
	}
	args = append([]string{"--module", filepath.Join(s.folder, "module.yaml"), "--store", "sqlite:" + filepath.Join(s.folder, "store.db"), "--listen", events, "--lease", "20s"}, args...)
	g := &gateway{Gateway: testgateway.New(s.t, s.folder, name, []string{"FUNCTIONS=" + functions}, args...), t: s.t, events: events}
	g.env = testgateway.CleanEnviron("STATEGATE_URL="+g.Admin(), "NO_PROXY=*", "no_proxy=*")
	return g
}

var client = &http.Client{Timeout: time.Minute}

// post sends a text by HTTP and wants it taken.
func (g *gateway) post(path, text string) {
	g.t.Helper()
	resp, err := client.Post("http://"+g.events+path, "text/plain", strings.NewReader(text))
	if err != nil {
		g.t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode >= 300 {
		g.t.Fatalf("POST %s: %d %s", path, resp.StatusCode, body)
	}
}

// said is what became of a command.
type said struct {
	code           int
	stdout, stderr string
	rss            int64 // bytes that it held, at most
}

// call types a command.
func (g *gateway) call(args ...string) said {
	g.t.Helper()
	cmd := exec.CommandContext(g.t.Context(), testgateway.Binary(g.t), args...)
	cmd.Env = g.env
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		g.t.Fatal(err)
	}
	return said{cmd.ProcessState.ExitCode(), out.String(), problems.String(), maxRSS(cmd.ProcessState)}
}

// does types a command that must end well and say what is wanted.
func (g *gateway) does(want, line string) string {
	g.t.Helper()
	s := g.call(strings.Fields(line)...)
	if s.code != 0 || !strings.Contains(s.stdout, want) {
		g.t.Errorf("$ gateway %s\n%s%sexit %d; want %q", line, s.stdout, s.stderr, s.code, want)
	}
	return s.stdout
}

// refuses types a command that must end so, and say what is wanted on standard error.
func (g *gateway) refuses(code int, want, line string) {
	g.t.Helper()
	s := g.call(strings.Fields(line)...)
	if s.code != code || !strings.Contains(s.stderr, want) {
		g.t.Errorf("$ gateway %s\n%s%sexit %d, want %d; want %q", line, s.stdout, s.stderr, s.code, code, want)
	}
}

// reads types a command with -o json.
func (g *gateway) reads(line string, into any) {
	g.t.Helper()
	s := g.call(append(strings.Fields(line), "-o", "json")...)
	if err := json.Unmarshal([]byte(s.stdout), into); err != nil || s.code != 0 {
		g.t.Errorf("$ gateway %s -o json\n%s%sexit %d, %v", line, s.stdout, s.stderr, s.code, err)
	}
}

// until types a command until it says what is wanted.
func (g *gateway) until(want, line string) string {
	g.t.Helper()
	var last said
	testgateway.Poll(g.t, want+" from: gateway "+line, func() (bool, string) {
		last = g.call(strings.Fields(line)...)
		return last.code == 0 && strings.Contains(last.stdout, want), last.stdout + last.stderr
	})
	return last.stdout
}

// untilNothing types "stuck" until nothing is.
func (g *gateway) untilNothing() {
	g.t.Helper()
	testgateway.Poll(g.t, "nothing to be stuck", func() (bool, string) {
		s := g.call("stuck")
		return s.code == 0 && s.stdout == "" && s.stderr == "nothing is stuck\n", s.stdout + s.stderr
	})
}

// admin is where the admin side of the gateway listens, HOST:PORT.
func (g *gateway) admin() string { return g.Args[slices.Index(g.Args, "--admin")+1] }
