//go:build unix

package logtest

import (
	"bytes"
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testfunction"
	"github.com/stategate/stategate/internal/testserver"
)

// outage is how long servers are away: longer ones show how the log grows.
var outage = flag.Duration("outage", 10*time.Second, "how long Kafka and PostgreSQL are away")

const partitions = 100

const kafkaModule = `kind: io.statefun.kafka.v1/ingress
spec:
  id: test/in
  address: ${BROKER}
  consumerGroupId: outages
  startupPosition: {type: earliest}
  topics:
    - {topic: events, valueType: test/event, targets: [test/count]}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: test/*, urlPathTemplate: "${FUNCTIONS}/{function.name}"}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: test/out
  address: ${BROKER}
  deliverySemantic: {type: exactly-once, transactionTimeout: 15min}
---
kind: io.stategate.http.v1/ingress
spec: {id: test/api, functions: [test/*], timeout: 5s}
`

// server is what can be away.
type server interface {
	Stop(syscall.Signal) error
	Start() error
}

// TestOutagesAreFewLines: while Kafka is away, and then PostgreSQL, the log says so and does not repeat it for each of a hundred partitions
// and each try; when they are back it says that.
func TestOutagesAreFewLines(t *testing.T) {
	if testing.Short() {
		t.Skip("servers are away for a while")
	}
	kafka := testserver.PrivateKafka(t, testserver.KafkaConfig{})
	postgres := testserver.PrivatePostgres(t, testserver.PostgresConfig{})
	createEvents(t, kafka.Addr())
	functions := httptest.NewServer(&testfunction.Handler{})
	defer functions.Close()
	folder := t.TempDir()
	module := filepath.Join(folder, "module.yaml")
	if err := os.WriteFile(module, []byte(kafkaModule), 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"BROKER=" + kafka.Addr(), "FUNCTIONS=" + functions.URL}
	g := testgateway.New(t, folder, "gateway", env, "--module", module, "--store", postgres.URL(), "--log-format", "json")
	w := &world{Gateway: g, t: t, log: g.Log}
	g.Start()
	g.Until("active, without reasons", func(r testgateway.Readiness) bool { return testgateway.IsActive(r) && len(r.Reasons) == 0 })
	w.told("all partitions to be read", func(s testgateway.Samples) bool {
		return s.Sum("stategate_ingress_partitions", nil) == partitions
	})
	testgateway.Poll(t, "all partitions to have begun", func() (bool, string) {
		n := len(g.Logged("source begins"))
		return n == partitions, fmt.Sprint(n)
	})
	for _, server := range []server{kafka, postgres} {
		name := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%T", server), "*testserver."), "Server")
		before := len(w.lines())
		if err := server.Stop(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		w.told(name+" to be missed", func(s testgateway.Samples) bool { return s.Sum("stategate_degraded", nil) > 0 })
		<-time.After(*outage)
		away := w.lines()[before:]
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		g.Until("as before", func(r testgateway.Readiness) bool { return testgateway.IsActive(r) && len(r.Reasons) == 0 })
		all := w.lines()[before:]
		t.Logf("%s away for %v: %d lines and %d bytes, and %d lines when it was back", name, *outage, len(away), len(bytes.Join(away, nil)), len(all)-len(away))
		// 20 of each kind of warning in a minute, and there are not many kinds.
		if most := 60 * (1 + int(outage.Minutes())); len(away) == 0 || len(away) > most {
			t.Errorf("%s: %d lines, want some, and at most %d:\n%s", name, len(away), most, bytes.Join(away, []byte("\n")))
		}
		if backs := partitions + 60; len(all)-len(away) > backs {
			t.Errorf("%s: %d lines when it is back, want at most %d", name, len(all)-len(away), backs)
		}
		t.Logf("kinds of %s: %s", name, kindsOf(away))
	}
	g.Stop()
}

// kindsOf are the texts of lines, with how often each is there.
func kindsOf(lines [][]byte) string {
	counts := map[string]int{}
	for _, line := range lines {
		_, rest, _ := bytes.Cut(line, []byte(`"msg":"`))
		text, _, _ := bytes.Cut(rest, []byte(`"`))
		counts[strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' {
				return -1
			}
			return r
		}, string(text))]++
	}
	return fmt.Sprint(counts)
}

func createEvents(t *testing.T, broker string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	request := kmsg.NewPtrCreateTopicsRequest()
	request.TimeoutMillis = 30_000
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = "events", partitions, 1
	request.Topics = append(request.Topics, topic)
	response, err := request.RequestWith(t.Context(), client)
	if err == nil {
		err = kerr.ErrorForCode(response.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatal(err)
	}
}
