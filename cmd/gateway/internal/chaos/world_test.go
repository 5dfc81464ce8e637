//go:build unix

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

// Topics, without the prefix of their world.
const (
	topicEvents   = "events"   // for front
	topicPairs    = "pairs"    // for front and audit
	topicAccounts = "accounts" // results of account
	topicAudits   = "audits"   // counts of audit
)

// partitions of every topic.
const partitions = 4

const moduleText = `
kind: io.statefun.kafka.v1/ingress
spec:
  id: chaos/in
  address: ${BROKER}
  consumerGroupId: ${PREFIX}group
  startupPosition: {type: earliest}
  topics:
    - {topic: "${PREFIX}events", valueType: chaos/text, targets: [chaos/front]}
    - {topic: "${PREFIX}pairs", valueType: chaos/text, targets: [chaos/front, chaos/audit]}
---
kind: io.statefun.endpoints.v2/http
spec:
  functions: chaos/*
  urlPathTemplate: "${FUNCTIONS}/{function.name}"
  transport: {type: io.statefun.transports.v1/async, call: 20s, connect: 2s}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: chaos/out
  address: ${BROKER}
  deliverySemantic: {type: exactly-once, transactionTimeout: 15s}
`

// world is what stands around the gateways of one run.
type world struct {
	t      *testing.T
	seed   uint64
	prefix string // of topics
	*story
	ledger    *ledger
	kafka     *testserver.KafkaServer
	client    *kgo.Client
	functions *testgateway.Other
	clients   []*client
	heavy     *client // sends what blows ask for
	out       *reader
}

// newWorld makes topics and starts the functions. Nothing flows yet.
func newWorld(t *testing.T, kafka *testserver.KafkaServer, name string) *world {
	t.Helper()
	w := &world{t: t, seed: *seedFlag, prefix: name + "-", story: newStory(t, name), ledger: newLedger(), kafka: kafka}
	for w.seed == 0 {
		w.seed = uint64(rand.Uint32())
	}
	t.Logf("seed %d", w.seed)
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("play it again: go test ./cmd/gateway/internal/chaos -run '^TestChaos$/^%s$' -v -timeout 60m -seed %d -kills %d", name, w.seed, *killsFlag)
		}
	})
	w.tell("seed %d", w.seed)
	var err error
	if w.client, err = kgo.NewClient(kgo.SeedBrokers(kafka.Addr())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	w.createTopics(topicEvents, topicPairs, topicAccounts, topicAudits)
	w.functions = testgateway.NewOther(t, "the functions", filepath.Join(w.folder, "functions.log"), func(addr string) []string {
		return []string{roleVariable + "=" + applicationRole, applicationAddr + "=" + addr, applicationPrefix + "=" + w.prefix}
	})
	w.functions.Start()
	if err := os.WriteFile(w.moduleFile(), []byte(moduleText), 0o644); err != nil {
		t.Fatal(err)
	}
	return w
}

// clients send what is drawn for them; three of them, for one alone would never have two orders under way in an order of its own.
const clientCount = 3

// flow begins to send and to read.
func (w *world) flow() {
	w.t.Helper()
	w.heavy = newClient(w.t, w, clientCount)
	w.clients = append(w.clients, w.heavy)
	w.out = newReader(w.t, w, kgo.ReadCommitted(), false)
	for n := range clientCount {
		c := newClient(w.t, w, n)
		c.start(*rateFlag / clientCount)
		w.clients = append(w.clients, c)
	}
}

func (w *world) topic(name string) string { return w.prefix + name }

func (w *world) moduleFile() string { return filepath.Join(w.folder, "module.yaml") }

func (w *world) createTopics(names ...string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	request := kmsg.NewPtrCreateTopicsRequest()
	request.TimeoutMillis = 30_000
	for _, name := range names {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = w.topic(name), partitions, 1
		request.Topics = append(request.Topics, topic)
	}
	response, err := request.RequestWith(ctx, w.client)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, topic := range response.Topics {
		if err := kerr.ErrorForCode(topic.ErrorCode); err != nil {
			w.t.Fatalf("create topic %s: %v", topic.Topic, err)
		}
	}
}

// close puts an end behind every partition of the topics, for readers to know that they have read all. Nobody else writes any more.
func (w *world) close(topics ...string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	producer, err := kgo.NewClient(kgo.SeedBrokers(w.kafka.Addr()), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		w.t.Fatal(err)
	}
	defer producer.Close()
	var ends []*kgo.Record
	for _, topic := range topics {
		for p := range int32(partitions) {
			ends = append(ends, &kgo.Record{Topic: w.topic(topic), Partition: p, Key: []byte(endKey)})
		}
	}
	if err := producer.ProduceSync(ctx, ends...).FirstErr(); err != nil {
		w.t.Fatal(fmt.Errorf("write the ends of the topics: %w", err))
	}
}
