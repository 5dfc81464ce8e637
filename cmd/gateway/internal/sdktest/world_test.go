//go:build unix

package sdktest

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

// functionNames are the application's. Each has a topic of commands, in-NAME; all but the first write to out-NAME.
var functionNames = []string{"values", "expiring", "asker", "answerer", "alarm", "writer", "counter", "flaky", "stray", "patient"}

// endpoints are how the module of each language names it: all forms that StateFun's users have.
var endpoints = map[string]string{
	"python": `kind: io.statefun.endpoints.v2/http
spec:
  functions: apps.fns/*
  urlPathTemplate: http://%s/statefun
`,
	"javascript": `kind: io.statefun.endpoints.v2/http
spec:
  functions: apps.fns/*
  urlPathTemplate: http://%s/statefun
  maxNumBatchRequests: 500
  transport:
    type: io.statefun.transports.v1/okhttp
    timeouts:
      call: 1 min
      read: 30s
`,
	"java": `kind: io.statefun.endpoints.v1/http
spec:
  functions: apps.fns/*
  urlPathTemplate: http://%s/statefun
  maxNumBatchRequests: 10000
  timeouts:
    call: 2min
`,
}

// world is one application with its gateway and its topics.
type world struct {
	language string
	prefix   string
	client   *kgo.Client
	app      *application
	gateway  *testgateway.Gateway
	out      *outputs
}

// newWorld starts everything. url is of the gateway's store.
func newWorld(t *testing.T, language, url string) *world {
	t.Helper()
	broker, folder := testserver.Kafka(t).Addr(), t.TempDir()
	w := &world{language: language, prefix: fmt.Sprintf("%s-%x-", strings.ToLower(strings.ReplaceAll(t.Name(), "/", "-")), time.Now().UnixNano())}
	w.app = newApplication(t, folder, language, w.prefix)
	var err error
	if w.client, err = kgo.NewClient(kgo.SeedBrokers(broker), kgo.ProducerLinger(0)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	var topics, outs []string
	for _, name := range functionNames {
		topics, outs = append(topics, "in-"+name), append(outs, "out-"+name)
	}
	w.createTopics(t, append(topics, outs...)...)
	module := filepath.Join(folder, "module.yaml")
	if err := os.WriteFile(module, []byte(w.module(broker, language)), 0o644); err != nil {
		t.Fatal(err)
	}
	w.gateway = testgateway.New(t, folder, "gateway", nil, "--module", module, "--store", url)
	w.out = readOutputs(t, broker, w.prefix, outs...)
	w.app.start()
	w.gateway.Open()
	return w
}

// module is the text that a user of StateFun has.
func (w *world) module(broker, language string) string {
	var b strings.Builder
	fmt.Fprintf(&b, endpoints[language], w.app.addr)
	fmt.Fprintf(&b, `---
kind: io.statefun.kafka.v1/ingress
spec:
  id: apps.io/commands
  address: %s
  consumerGroupId: %sgroup
  startupPosition:
    type: earliest
  topics:
`, broker, w.prefix)
	for _, name := range functionNames {
		valueType := "apps.types/command"
		if name == "counter" {
			valueType = "io.statefun.types/int"
		}
		fmt.Fprintf(&b, "    - topic: %sin-%s\n      valueType: %s\n      targets:\n        - apps.fns/%s\n", w.prefix, name, valueType, name)
	}
	fmt.Fprintf(&b, `---
kind: io.statefun.kafka.v1/egress
spec:
  id: apps.io/out
  address: %s
  deliverySemantic:
    type: exactly-once
    transactionTimeout: 15min
`, broker)
	return b.String()
}

// createTopics makes topics of one partition: their order is the order of delivery.
func (w *world) createTopics(t *testing.T, names ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testgateway.Patience)
	defer cancel()
	request := kmsg.NewPtrCreateTopicsRequest()
	request.TimeoutMillis = 30_000
	for _, name := range names {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = w.prefix+name, 1, 1
		request.Topics = append(request.Topics, topic)
	}
	response, err := request.RequestWith(ctx, w.client)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range response.Topics {
		if err := kerr.ErrorForCode(topic.ErrorCode); err != nil {
			t.Fatalf("create topic %s: %v", topic.Topic, err)
		}
	}
}

// send gives a function commands for one id, in order.
func (w *world) send(t *testing.T, function, id string, commands ...string) {
	t.Helper()
	records := make([]*kgo.Record, len(commands))
	for i, command := range commands {
		records[i] = &kgo.Record{Topic: w.prefix + "in-" + function, Key: []byte(id), Value: []byte(command)}
	}
	w.produce(t, records)
}

func (w *world) produce(t *testing.T, records []*kgo.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testgateway.Patience)
	defer cancel()
	if err := w.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// deadLetter is what a story looks at of one.
type deadLetter struct {
	Kind    string `json:"kind"`
	From    string `json:"from"`
	Target  string `json:"target"`
	Reason  string `json:"reason"`
	Address struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
		ID        string `json:"id"`
	} `json:"address"`
	TypeName string `json:"typeName"`
	Value    []byte `json:"value"`
}

// deadLetters are those of the gateway.
func (w *world) deadLetters(t *testing.T) []deadLetter {
	t.Helper()
	status, body, err := w.gateway.Get("/v1/deadletters?raw=true")
	if err != nil || status != http.StatusOK {
		t.Fatalf("dead letters: %d %s %v", status, body, err)
	}
	var answer struct {
		DeadLetters []deadLetter `json:"items"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatal(err)
	}
	return answer.DeadLetters
}

// view is what people are told of an address.
type view struct {
	State []struct {
		Name     string `json:"name"`
		TypeName string `json:"typeName"`
		Value    []byte `json:"value"`
	} `json:"state"`
	Mailbox struct {
		Messages int `json:"messages"`
	} `json:"mailbox"`
	Failure *struct {
		Attempts int `json:"attempts"`
	} `json:"failure"`
	LastError string `json:"lastError"`
}

// address asks the gateway for one.
func (w *world) address(t *testing.T, function, id string) view {
	t.Helper()
	status, body, err := w.gateway.Get("/v1/addresses/" + function + "?raw=true&id=" + url.QueryEscape(id))
	if err != nil || status != http.StatusOK {
		t.Fatalf("address %s %q: %d %s %v", function, id, status, body, err)
	}
	var v view
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
