//go:build unix

package deploytest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// count is a function that counts what comes to each id and answers with the count.
func count(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var call protocol.ToFunction
	if err != nil || proto.Unmarshal(body, &call) != nil {
		http.Error(w, "no call", http.StatusBadRequest)
		return
	}
	batch, out := call.GetInvocation(), &protocol.FromFunction{}
	if len(batch.GetState()) == 0 {
		out.Response = &protocol.FromFunction_IncompleteInvocationContext_{IncompleteInvocationContext: &protocol.FromFunction_IncompleteInvocationContext{
			MissingValues: []*protocol.FromFunction_PersistedValueSpec{{StateName: "n", TypeTypename: "test/count"}},
		}}
	} else {
		n := uint64(0)
		if v := batch.GetState()[0].GetStateValue(); v.GetHasValue() {
			n = binary.BigEndian.Uint64(v.GetValue())
		}
		done := &protocol.FromFunction_InvocationResponse{}
		for _, i := range batch.GetInvocations() {
			n++
			done.OutgoingMessages = append(done.OutgoingMessages, &protocol.FromFunction_Invocation{
				Target: i.GetCaller(), Argument: &protocol.TypedValue{Typename: "test/text", HasValue: true, Value: strconv.AppendUint(nil, n, 10)},
			})
		}
		done.StateMutations = []*protocol.FromFunction_PersistedValueMutation{{
			MutationType: protocol.FromFunction_PersistedValueMutation_MODIFY, StateName: "n",
			StateValue: &protocol.TypedValue{Typename: "test/count", HasValue: true, Value: binary.BigEndian.AppendUint64(nil, n)},
		}}
		out.Response = &protocol.FromFunction_InvocationResult{InvocationResult: done}
	}
	answer, err := proto.Marshal(out)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write(answer)
}

const keys = 20

// shop is a gateway whose function counts, and clients that count, too: of each key what they have sent, and what was answered.
type shop struct {
	t       *testing.T
	gateway *testgateway.Gateway
	events  string // where events come in

	mu             sync.Mutex
	sent, answered [keys]int // guarded by mu
	err            error     // of a client; guarded by mu
}

func newShop(t *testing.T, store string) *shop {
	t.Helper()
	functions := httptest.NewServer(http.HandlerFunc(count))
	t.Cleanup(functions.Close)
	folder := t.TempDir()
	events, err := testgateway.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	module := write(t, folder+"/module.yaml", "kind: io.statefun.endpoints.v2/http\nspec: {functions: shop/*, urlPathTemplate: \""+functions.URL+"\"}\n---\nkind: io.stategate.http.v1/ingress\nspec: {id: shop/api, functions: [shop/*]}\n")
	s := &shop{t: t, gateway: testgateway.New(t, folder, "gateway", nil, "--module", module, "--store", store, "--listen", events), events: events}
	return s
}

// call sends one event and answers the count of its key.
func (s *shop) call(key int) (int, error) {
	client := http.Client{Timeout: 30 * time.Second}
	resp, err := client.Post(fmt.Sprintf("http://%s/v1/call/shop/cart/k%d", s.events, key), "text/plain", strings.NewReader("x"))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s %v", resp.Status, body, err)
	}
	return strconv.Atoi(string(body))
}

// load sends events until it is ended; each key is sent by one client, so its answers count up.
func (s *shop) load() (end func()) {
	stop := make(chan struct{})
	var clients sync.WaitGroup
	for c := range 4 {
		clients.Go(func() {
			for key := c; ; key = (key + 4) % keys {
				select {
				case <-stop:
					return
				default:
				}
				s.mu.Lock()
				s.sent[key]++
				want := s.sent[key]
				s.mu.Unlock()
				n, err := s.call(key)
				if err == nil && n != want {
					err = fmt.Errorf("event %d of key %d is answered %d", want, key, n)
				}
				s.mu.Lock()
				if err != nil {
					s.err = err
					s.mu.Unlock()
					return
				}
				s.answered[key] = n
				s.mu.Unlock()
			}
		})
	}
	return func() { close(stop); clients.Wait() }
}

// counts are what is known now.
func (s *shop) counts() (sent, answered [keys]int, total int) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		s.t.Fatal(s.err)
	}
	for _, n := range s.answered {
		total += n
	}
	return s.sent, s.answered, total
}

// untilAnswered waits for so many answers more.
func (s *shop) untilAnswered(more int) {
	s.t.Helper()
	_, _, before := s.counts()
	testgateway.Poll(s.t, fmt.Sprintf("%d more answers", more), func() (bool, string) {
		_, _, total := s.counts()
		return total >= before+more, fmt.Sprintf("%d", total-before)
	})
}

// commandsOf are those of the block of sh below a heading of docs/OPERATIONS.md.
func commandsOf(t *testing.T, heading string) []string {
	t.Helper()
	section := regexp.MustCompile("(?ms)^### " + regexp.QuoteMeta(heading) + "\n.*?^```sh\n(.*?)^```").FindStringSubmatch(read(t, repository+"/docs/OPERATIONS.md"))
	if section == nil || strings.Contains(section[0][4:], "\n### ") {
		t.Fatalf("docs/OPERATIONS.md has no commands below %s", heading)
	}
	return strings.Split(strings.TrimSpace(section[1]), "\n")
}

// run runs the commands of a document; of the places in them each is another one here. The service is stopped and started by stop and start.
func runCommands(t *testing.T, commands []string, places *strings.Replacer, environ []string, stop, start func()) {
	t.Helper()
	for _, c := range commands {
		switch c, _, _ := strings.Cut(c, " #"); strings.TrimSpace(c) {
		case "systemctl stop stategate":
			stop()
		case "systemctl start stategate":
			start()
		default:
			cmd := exec.Command("sh", "-ec", places.Replace(c))
			cmd.Env = testgateway.CleanEnviron(environ...)
			if text, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", places.Replace(c), err, text)
			}
		}
	}
}
