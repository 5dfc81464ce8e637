//go:build unix

package sdktest

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

// stage is a gateway whose function a.b/st, and any other of a.b and c.d, is a goHandler.
type stage struct {
	world
	handler *goHandler
	url     string
}

// stageModule is the application; what a test needs besides comes behind it.
const stageModule = `kind: io.statefun.endpoints.v2/http
spec:
  functions: a.b/*
  urlPathTemplate: %[1]s/{function.name}
  %[4]s
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: c.d/*
  urlPathTemplate: %[1]s/cd
  transport:
    type: io.statefun.transports.v1/okhttp
---
kind: io.statefun.kafka.v1/ingress
spec:
  id: e.f/in
  address: %[2]s
  consumerGroupId: %[3]sgroup
  startupPosition: {type: earliest}
  topics:
    - {topic: "%[3]sin-st", valueType: io.statefun.types/string, targets: [a.b/st]}
    - {topic: "%[3]sin-other", valueType: io.statefun.types/string, targets: [c.d/other]}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: e.f/out
  address: %[2]s
  deliverySemantic: {type: exactly-once, transactionTimeout: 15min}
`

// newStage starts everything. options are more lines of the spec of the endpoint a.b.
func newStage(t *testing.T, options ...string) *stage {
	t.Helper()
	broker, folder := testserver.Kafka(t).Addr(), t.TempDir()
	s := &stage{handler: newGoHandler()}
	s.prefix = fmt.Sprintf("%s-%x-", strings.ToLower(t.Name()), time.Now().UnixNano())
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	t.Cleanup(server.CloseClientConnections) // calls that are held end with them
	s.url = server.URL
	var err error
	if s.client, err = kgo.NewClient(kgo.SeedBrokers(broker), kgo.ProducerLinger(0)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.client.Close)
	s.createTopics(t, "in-st", "in-other", "out")
	module := filepath.Join(folder, "module.yaml")
	if err := os.WriteFile(module, fmt.Appendf(nil, stageModule, s.url, broker, s.prefix, strings.Join(options, "\n  ")), 0o644); err != nil {
		t.Fatal(err)
	}
	s.gateway = testgateway.New(t, folder, "gateway", nil, "--module", module, "--store", "sqlite:"+filepath.Join(folder, "stategate.db"))
	s.out = readOutputs(t, broker, s.prefix, "out")
	s.gateway.Open()
	t.Cleanup(func() {
		s.handler.mu.Lock()
		defer s.handler.mu.Unlock()
		for _, why := range s.handler.refused {
			t.Errorf("the SDK's handler refuses a request: %s", why)
		}
	})
	return s
}

// hi sends text to a.b/st, as the built-in type has it.
func (s *stage) hi(t *testing.T, id string, words ...string) {
	t.Helper()
	for _, word := range words {
		s.send(t, "st", id, string(encode(t, &protocol.StringWrapper{Value: word})))
	}
}

// request is what a.b/st must be asked for an id: one message from an ingress for each word, and states.
func request(t *testing.T, id string, state []*protocol.ToFunction_PersistedValue, words ...string) []byte {
	t.Helper()
	batch := &protocol.ToFunction_InvocationBatchRequest{Target: &protocol.Address{Namespace: "a.b", Type: "st", Id: id}, State: state}
	for _, word := range words {
		batch.Invocations = append(batch.Invocations, &protocol.ToFunction_Invocation{Argument: stringValue(t, word)})
	}
	return encode(t, &protocol.ToFunction{Request: &protocol.ToFunction_Invocation_{Invocation: batch}})
}

// same compares a request with bytes.
func same(t *testing.T, what string, c *call, want []byte) {
	t.Helper()
	if string(c.body) != string(want) {
		t.Errorf("%s: the function is asked\n%x, want\n%x", what, c.body, want)
	}
}

// view asks the gateway for an address of a.b/st.
func (s *stage) view(t *testing.T, id string) view {
	t.Helper()
	return s.address(t, "a.b/st", id)
}

// settled waits until an id was asked n times, and nothing waits for it any more. It answers what was asked.
func (s *stage) settled(t *testing.T, id string, n int) []*call {
	t.Helper()
	s.handler.await(t, id, n)
	var v view
	testgateway.Poll(t, fmt.Sprintf("%q to have nothing to do", id), func() (bool, string) {
		v = s.view(t, id)
		return v.Mailbox.Messages == 0, fmt.Sprintf("%+v", v)
	})
	calls := s.handler.of(id)
	if len(calls) != n {
		t.Errorf("%q is asked %d times, want %d", id, len(calls), n)
	}
	return calls
}

// unset is what state says of one that is not there.
const unset = "unset"

// state waits until the durable state of that name is what is wanted: its type, a space, its bytes.
func (s *stage) state(t *testing.T, id, name, want string) {
	t.Helper()
	testgateway.Poll(t, fmt.Sprintf("state %s of %q to be %q", name, id, want), func() (bool, string) {
		got := unset
		for _, one := range s.view(t, id).State {
			if one.Name == name {
				got = one.TypeName + " " + string(one.Value)
			}
		}
		return got == want, fmt.Sprintf("%q", got)
	})
}

// put writes one record.
func (s *stage) put(t *testing.T, r *kgo.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testgateway.Patience)
	defer cancel()
	r.Topic = s.prefix + r.Topic
	if err := s.client.ProduceSync(ctx, r).FirstErr(); err != nil {
		t.Fatal(err)
	}
}
