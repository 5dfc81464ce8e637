//go:build unix

package killtest

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// partitions of every topic.
const partitions = 4

// moduleText is the application: a topic for each shape, one exactly-once egress.
const moduleText = `
kind: io.statefun.kafka.v1/ingress
spec:
  id: test/in
  address: ${BROKER}
  consumerGroupId: ${PREFIX}group
  startupPosition: {type: earliest}
  topics:
    - {topic: "${PREFIX}events", valueType: test/event, targets: [test/count]}
    - {topic: "${PREFIX}both", valueType: test/event, targets: [test/count, test/audit]}
    - {topic: "${PREFIX}chain", valueType: test/event, targets: [test/hop0]}
    - {topic: "${PREFIX}cycle", valueType: test/event, targets: [test/ping]}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: test/*, urlPathTemplate: "${FUNCTIONS}/{function.name}"}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: test/out
  address: ${BROKER}
  deliverySemantic: {type: exactly-once, transactionTimeout: 30s}
`

// world is what stands around the gateways of one test: a broker, the functions, topics of its own.
type world struct {
	t         *testing.T
	seed      uint64
	rand      *rand.Rand // of the test's goroutine
	folder    string     // of logs; kept whole with -artifacts
	broker    string
	prefix    string // of topics
	client    *kgo.Client
	functions *functions
}

func newWorld(t *testing.T, broker string) *world { return newNamedWorld(t, broker, t.Name()) }

// newNamedWorld is for tests that have more than one.
func newNamedWorld(t *testing.T, broker, name string) *world {
	t.Helper()
	w := &world{t: t, seed: *seedFlag, folder: filepath.Join(t.ArtifactDir(), filepath.Base(name)), broker: broker}
	if err := os.MkdirAll(w.folder, 0o755); err != nil {
		t.Fatal(err)
	}
	for w.seed == 0 {
		w.seed = uint64(rand.Uint32())
	}
	t.Logf("seed %d", w.seed)
	w.rand = rand.New(rand.NewPCG(w.seed, 0))
	w.prefix = strings.ToLower(strings.ReplaceAll(name, "/", "-")) + "-"
	var err error
	if w.client, err = kgo.NewClient(kgo.SeedBrokers(broker)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.client.Close)
	w.createTopics("events", "both", "chain", "cycle", "counts", "audits")
	w.functions = newFunctions(t, w.folder, w.prefix)
	if err := os.WriteFile(w.moduleFile(), []byte(moduleText), 0o644); err != nil {
		t.Fatal(err)
	}
	return w
}

// newGateway makes one that is not started.
func (w *world) newGateway(name, store string, args ...string) *testgateway.Gateway {
	w.t.Helper()
	return testgateway.New(w.t, w.folder, name, w.variables(), append([]string{"--module", w.moduleFile(), "--store", store}, args...)...)
}

func (w *world) topic(name string) string { return w.prefix + name }

func (w *world) moduleFile() string { return filepath.Join(w.folder, "module.yaml") }

// variables are what the module's placeholders stand for.
func (w *world) variables() []string {
	return []string{"BROKER=" + w.broker, "PREFIX=" + w.prefix, "FUNCTIONS=" + w.functions.URL()}
}

// sqlite is the URL of a store in a new folder.
func (w *world) sqlite() (path, url string) {
	path = filepath.Join(w.t.TempDir(), "stategate.db")
	return path, "sqlite:" + path
}

// postgres is the URL of a schema of the world's own.
func (w *world) postgres(server string) string {
	return server + "&schema=" + strings.ReplaceAll(strings.TrimSuffix(w.prefix, "-"), "-", "_")
}

func (w *world) createTopics(names ...string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), testgateway.Patience)
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
