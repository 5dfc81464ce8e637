//go:build unix

package nighttest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testserver"
)

// Topics of the shop.
const (
	orders   = "orders"
	receipts = "receipts"
)

// moduleText is the application of the runbook's examples. Receipts go to Kafka by another way than orders come.
const moduleText = `
kind: io.statefun.kafka.v1/ingress
spec:
  id: shop/orders
  address: ${BROKER}
  consumerGroupId: shop
  startupPosition: {type: earliest}
  topics:
    - {topic: orders, valueType: shop/order, targets: [shop/cart]}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: shop/cart, urlPathTemplate: "${FUNCTIONS}"}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: shop/receipts
  address: ${RECEIPTS}
  deliverySemantic: {type: exactly-once, transactionTimeout: 30s}
`

// night is the application with all that it stands on, and what can be done to it.
type night struct {
	t         *testing.T
	client    *kgo.Client // of whoever orders
	broker    *testserver.Proxy
	database  *testserver.Proxy
	functions *functions
	g         *testgateway.Gateway
	o         *operator
	out       *till
}

func newNight(t *testing.T) *night {
	t.Helper()
	kafka, postgres := testserver.PrivateKafka(t, testserver.KafkaConfig{Proxies: 1}), testserver.PrivatePostgres(t, testserver.PostgresConfig{})
	n := &night{t: t, broker: kafka.Proxy(0), functions: newFunctions(t)}
	var err error
	if n.database, err = testserver.NewProxy(postgres.Addr()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.database.Close() })
	if n.client, err = kgo.NewClient(kgo.SeedBrokers(kafka.Addr()), kgo.ProducerLinger(0)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.client.Close)
	n.createTopics(orders, receipts)
	n.out = newTill(t, kafka.Addr())
	folder := t.ArtifactDir()
	if err := os.WriteFile(filepath.Join(folder, "module.yaml"), []byte(moduleText), 0o644); err != nil {
		t.Fatal(err)
	}
	store := replaceOnce(t, postgres.URL(), postgres.Addr(), n.database.Addr())
	n.g = testgateway.New(t, folder, "gateway", []string{"BROKER=" + kafka.Addr(), "RECEIPTS=" + n.broker.Addr(), "FUNCTIONS=http://" + n.functions.addr},
		"--module", filepath.Join(folder, "module.yaml"), "--store", store, "--lease", "20s") // longer than a slow database takes for anything
	n.o = newOperator(t, n.g.Admin())
	n.g.Open()
	return n
}

// order sends orders of somebody, which are to be called in this order.
func (n *night) order(id string, what ...string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), testgateway.Patience)
	defer cancel()
	for _, w := range what {
		if err := n.client.ProduceSync(ctx, &kgo.Record{Topic: orders, Key: []byte(id), Value: []byte(w)}).FirstErr(); err != nil {
			n.t.Fatal(err)
		}
	}
}

func (n *night) request(r kmsg.Request) kmsg.Response {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), testgateway.Patience)
	defer cancel()
	response, err := n.client.Request(ctx, r)
	if err != nil {
		n.t.Fatal(err)
	}
	return response
}

func (n *night) createTopics(names ...string) {
	n.t.Helper()
	r := kmsg.NewPtrCreateTopicsRequest()
	r.TimeoutMillis = 30_000
	for _, name := range names {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 2, 1
		r.Topics = append(r.Topics, topic)
	}
	for _, topic := range n.request(r).(*kmsg.CreateTopicsResponse).Topics {
		if err := kerr.ErrorForCode(topic.ErrorCode); err != nil {
			n.t.Fatalf("create topic %s: %v", topic.Topic, err)
		}
	}
}

// loseCursor stops the gateway, lets Kafka forget the cursor of its lane, as it does some days after the last output, and starts it again.
func (n *night) loseCursor() {
	n.t.Helper()
	n.g.Stop()
	list := n.request(kmsg.NewPtrListGroupsRequest()).(*kmsg.ListGroupsResponse)
	r := kmsg.NewPtrDeleteGroupsRequest()
	for _, g := range list.Groups {
		if len(g.Group) > len("stategate-") && g.Group[:len("stategate-")] == "stategate-" {
			r.Groups = append(r.Groups, g.Group)
		}
	}
	if len(r.Groups) != 1 {
		n.t.Fatalf("the lane has the cursor groups %q of %d groups, want one", r.Groups, len(list.Groups))
	}
	for _, g := range n.request(r).(*kmsg.DeleteGroupsResponse).Groups {
		if err := kerr.ErrorForCode(g.ErrorCode); err != nil {
			n.t.Fatalf("delete group %s: %v", g.Group, err)
		}
	}
	n.g.Open()
}

// till is who reads the receipts.
type till struct {
	t      *testing.T
	client *kgo.Client

	mu   sync.Mutex
	seen map[string][]string // orders by id, as their receipts came; guarded by mu
	news chan struct{}       // closed, and replaced, with each of them; guarded by mu
}

func newTill(t *testing.T, broker string) *till {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(broker), kgo.ConsumeTopics(receipts), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		t.Fatal(err)
	}
	c := &till{t: t, client: client, seen: map[string][]string{}, news: make(chan struct{})}
	ctx, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			c.client.PollFetches(ctx).EachRecord(c.note)
		}
	}()
	t.Cleanup(func() { end(); client.Close(); <-done })
	return c
}

func (c *till) note(r *kgo.Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[string(r.Key)] = append(c.seen[string(r.Key)], string(r.Value))
	close(c.news)
	c.news = make(chan struct{})
}

// until waits for the receipts of somebody, all of them in order and no others.
func (c *till) until(id string, want ...string) {
	c.t.Helper()
	limit := time.NewTimer(testgateway.Patience)
	defer limit.Stop()
	for {
		c.mu.Lock()
		got, news := slices.Clone(c.seen[id]), c.news
		c.mu.Unlock()
		switch {
		case slices.Equal(got, want):
			return
		case len(got) > len(want) || !slices.Equal(got, want[:len(got)]):
			c.t.Fatalf("%s has receipts of %q, want %q", id, got, want)
		}
		select {
		case <-news:
		case <-limit.C:
			c.t.Fatalf("waited %v; %s has receipts of %q, want %q", testgateway.Patience, id, got, want)
		}
	}
}

// has are the receipts of somebody until now.
func (c *till) has(id string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.seen[id])
}

func replaceOnce(t *testing.T, text, old, with string) string {
	t.Helper()
	before, after, ok := strings.Cut(text, old)
	if !ok {
		t.Fatalf("%s does not name %s", text, old)
	}
	return fmt.Sprint(before, with, after)
}
