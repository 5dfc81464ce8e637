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

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testfunction"
)

// count is a function that counts what comes to each id and answers with the count.
func count(batch *protocol.ToFunction_InvocationBatchRequest) (*protocol.FromFunction, error) {
	if len(batch.GetState()) == 0 {
		return testfunction.Missing("n", "test/count"), nil
	}
	n, out := uint64(0), &protocol.FromFunction_InvocationResponse{}
	if v := batch.GetState()[0].GetStateValue(); v.GetHasValue() {
		n = binary.BigEndian.Uint64(v.GetValue())
	}
	for _, i := range batch.GetInvocations() {
		n++
		out.OutgoingMessages = append(out.OutgoingMessages, &protocol.FromFunction_Invocation{
			Target: i.GetCaller(), Argument: &protocol.TypedValue{Typename: "test/text", HasValue: true, Value: strconv.AppendUint(nil, n, 10)},
		})
	}
	out.StateMutations = []*protocol.FromFunction_PersistedValueMutation{testfunction.Modified("n", "test/count", binary.BigEndian.AppendUint64(nil, n))}
	return testfunction.Done(out), nil
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
	functions := httptest.NewServer(testfunction.Func(count))
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
	client := http.Client{Timeout: testgateway.Patience}
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
