//go:build unix

package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/internal/testserver"
	"github.com/stategate/stategate/statestore/sqlite"
)

// arena is one whole gateway in this process, on a real Kafka and SQLite, with functions that misbehave when they are told to.
// Its topics have one partition, so that what comes behind a hazard in its topic has passed it.
//
// Every hazard is judged by three questions: does what is healthy go on, can the hazard be seen, and is nothing lost by it. The
// second one is asked by the tests, the others by around and finish as well.
type arena struct {
	prefix    string // of topics
	broker    string
	client    *kgo.Client
	functions *unruly
	url       string // of functions
	path      string // of the store
	text      string // of the module
	vars      map[string]string
	bounds    machine.Config

	app    *App
	store  *sqlite.Store
	stop   func() error
	seen   sightings
	topics outputs

	// The test's own.
	events  map[string]int   // by key: records for test/count
	letters []api.DeadLetter // read so far
	claimed map[uint64]bool  // letters that a hazard has explained
}

// hostileModule is the ingress and the healthy endpoint and egress of all arenas; tests put more behind it.
const hostileModule = `
kind: io.statefun.kafka.v1/ingress
spec:
  id: test/in
  address: ${KAFKA}
  consumerGroupId: ${PREFIX}group
  startupPosition: {type: earliest}
  topics:
    - {topic: "${PREFIX}events", valueType: test/event, targets: [test/count]}
    - {topic: "${PREFIX}echo", valueType: test/event, targets: [test/echo]}
    - {topic: "${PREFIX}say", valueType: test/reply, targets: [test/say]}
    - {topic: "${PREFIX}skip", valueType: test/event, targets: [test/count], onNullKey: skip, onNullValue: skip}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: test/*, urlPathTemplate: "${URL}/{function.name}"}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: test/ownbrief, urlPathTemplate: "${URL}/{function.name}", transport: {call: 1s}}
---
kind: io.statefun.kafka.v1/egress
spec:
  id: test/out
  address: ${KAFKA}
  deliverySemantic: {type: exactly-once, transactionTimeout: 10s}
`

// hostileBounds make what fails be tried again soon.
var hostileBounds = machine.Config{BackoffMin: 10, BackoffMax: 200}

func newArena(t *testing.T, more string, vars map[string]string) *arena {
	t.Helper()
	return newArenaWithin(t, hostileBounds, more, vars)
}

func newArenaWithin(t *testing.T, bounds machine.Config, more string, vars map[string]string) *arena {
	t.Helper()
	kafka := testserver.Kafka(t)
	a := &arena{
		prefix: fmt.Sprintf("%s-%x-", strings.ToLower(t.Name()), time.Now().UnixNano()), broker: kafka.Addr(),
		path: filepath.Join(t.TempDir(), "stategate.db"), text: hostileModule + more, vars: map[string]string{}, bounds: bounds,
		events: map[string]int{}, claimed: map[uint64]bool{},
	}
	var err error
	if a.client, err = kgo.NewClient(kgo.SeedBrokers(a.broker), kgo.ProducerBatchMaxBytes(1<<20), kgo.ProducerLinger(0)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.client.Close)
	for _, topic := range []string{"events", "echo", "say", "skip"} {
		a.create(t, topic, nil)
	}
	for _, topic := range []string{"counts", "echoes", "said"} {
		a.create(t, topic, nil)
	}
	a.topics.read(t, a, "counts", "echoes", "said")
	a.functions = newUnruly(a.prefix)
	server := httptest.NewServer(a.functions)
	t.Cleanup(server.Close)
	a.url = server.URL
	a.vars["KAFKA"], a.vars["PREFIX"], a.vars["URL"] = a.broker, a.prefix, a.url
	for k, v := range vars {
		a.vars[k] = v
	}
	a.start(t)
	return a
}

// create makes a topic of one partition.
func (a *arena) create(t *testing.T, name string, config map[string]string) {
	t.Helper()
	request := kmsg.NewPtrCreateTopicsRequest()
	request.TimeoutMillis = 30_000
	topic := kmsg.NewCreateTopicsRequestTopic()
	topic.Topic, topic.NumPartitions, topic.ReplicationFactor = a.prefix+name, 1, 1
	for k, v := range config {
		c := kmsg.NewCreateTopicsRequestTopicConfig()
		c.Name, c.Value = k, kmsg.StringPtr(v)
		topic.Configs = append(topic.Configs, c)
	}
	request.Topics = append(request.Topics, topic)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	response, err := request.RequestWith(ctx, a.client)
	if err == nil {
		err = kerr.ErrorForCode(response.Topics[0].ErrorCode)
	}
	if err != nil {
		t.Fatalf("create topic %s: %v", name, err)
	}
}

// start opens the store and runs a gateway on it until stop, or the end of the test.
func (a *arena) start(t *testing.T) {
	t.Helper()
	m, complaints := module.Parse("module.yaml", []byte(a.text), func(name string) (string, bool) { v, ok := a.vars[name]; return v, ok })
	if complaints.HasErrors() {
		t.Fatal(complaints)
	}
	log := slog.New(slog.NewTextHandler(io.MultiWriter(testWriter{t}, &a.seen), nil))
	var err error
	if a.store, err = sqlite.Open(t.Context(), sqlite.Config{Path: a.path, Log: log}); err != nil {
		t.Fatal(err)
	}
	a.app, err = New(Config{Module: m, Store: a.store, Log: log, Bounds: a.bounds, Hooks: a.seen.hooks()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	app, store := a.app, a.store
	go func() { ended <- app.Run(ctx) }()
	var once sync.Once
	a.stop = func() (err error) {
		once.Do(func() {
			cancel()
			err = <-ended
			if closed := store.Close(); err == nil {
				err = closed
			}
		})
		return err
	}
	stop := a.stop
	t.Cleanup(func() { _ = stop() })
	hostileUntil(t, "the gateway works", func() bool { return app.life.Load() != nil })
}

// hostileUntil waits for something that changes without an event.
func hostileUntil(t *testing.T, what string, ok func() bool) {
	t.Helper()
	w := world{t: t}
	w.until(what, ok)
}

// put writes a record; nil is null.
func (a *arena) put(t *testing.T, topic string, key, value []byte, options ...func(*kgo.Record)) *kgo.Record {
	t.Helper()
	r := &kgo.Record{Topic: a.prefix + topic, Key: key, Value: value}
	for _, o := range options {
		o(r)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, err := a.client.ProduceSync(ctx, r).First()
	if err != nil {
		t.Fatalf("put a record into %s: %v", topic, err)
	}
	return r
}

// event puts a record that test/count will count.
func (a *arena) event(t *testing.T, key string) {
	t.Helper()
	a.put(t, "events", []byte(key), []byte("x"))
	a.events[key]++
}

// counted waits until all events of a key have come through, once and in order.
func (a *arena) counted(t *testing.T, key string) {
	t.Helper()
	var want []string
	for i := range a.events[key] {
		want = append(want, fmt.Sprint(i+1))
	}
	a.topics.want(t, "counts", key, want...)
}

// around plays a hazard between two healthy records, of which both must come through.
func (a *arena) around(t *testing.T, hazard func()) {
	t.Helper()
	key := "healthy " + t.Name()
	a.event(t, key)
	hazard()
	a.event(t, key)
	a.counted(t, key)
}

// deadLetter waits for a letter that is like want, and claims it. Number, time and an Offset of -1 are not compared; of the detail
// want holds a part.
func (a *arena) deadLetter(t *testing.T, want api.DeadLetter) {
	t.Helper()
	ok := func() bool {
		a.readLetters(t)
		for i := range a.letters {
			if d := &a.letters[i]; !a.claimed[d.Number] && alike(d, &want) {
				a.claimed[d.Number] = true
				return true
			}
		}
		return false
	}
	limit := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("no dead letter like %s; there are\n%s", show(&want), a.unexplained())
		}
	}
}

func (a *arena) readLetters(t *testing.T) {
	t.Helper()
	after := uint64(0)
	if n := len(a.letters); n > 0 {
		after = a.letters[n-1].Number
	}
	letters, err := a.store.DeadLetters(t.Context(), after, 1000)
	if err != nil {
		t.Fatal(err)
	}
	a.letters = append(a.letters, letters...)
}

// alike compares what is stable of two letters.
func alike(got, want *api.DeadLetter) bool {
	return got.Kind == want.Kind && got.From == want.From && got.Reason == want.Reason && strings.Contains(got.Detail, want.Detail) &&
		got.AtMS > 0 && got.Source == want.Source && (want.Offset == -1 && got.Offset > 0 || got.Offset == want.Offset) &&
		got.Address == want.Address && got.Caller == want.Caller && got.TypeName == want.TypeName &&
		sameBytes(got.Key, want.Key) && sameBytes(got.Value, want.Value) && sameHeaders(got.Headers, want.Headers)
}

// sameBytes tells null from empty.
func sameBytes(a, b []byte) bool { return string(a) == string(b) && (a == nil) == (b == nil) }

func sameHeaders(a, b []api.Header) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i].Key != b[i].Key || !sameBytes(a[i].Value, b[i].Value) {
			return false
		}
	}
	return true
}

func show(d *api.DeadLetter) string {
	cut := func(b []byte) string { return fmt.Sprintf("%.60q (%d, null %t)", b, len(b), b == nil) }
	return fmt.Sprintf("%s from %.80q: %s (%.200q) source %v offset %d address %.80q caller %.80q type %.80q key %s value %s headers %d",
		d.Kind, d.From, d.Reason, d.Detail, d.Source, d.Offset, d.Address, d.Caller, d.TypeName, cut(d.Key), cut(d.Value), len(d.Headers))
}

// unexplained lists the letters that no hazard has claimed.
func (a *arena) unexplained() string {
	var lines []string
	for i := range a.letters {
		if !a.claimed[a.letters[i].Number] {
			lines = append(lines, show(&a.letters[i]))
		}
	}
	return strings.Join(lines, "\n")
}

// view looks at an address of the working gateway.
func (a *arena) view(t *testing.T, namespace, name, id string) machine.View {
	t.Helper()
	v, _, err := a.app.life.Load().View(t.Context(), api.Address{Type: api.FunctionType{Namespace: namespace, Name: name}, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// position is up to where a topic is finished, durably.
func (a *arena) position(topic string) int64 {
	p, ok := a.app.life.Load().Progress(api.Source{Ingress: "test/in", Topic: a.prefix + topic})
	if !ok {
		return 0
	}
	return p.Position()
}

// finish asks at the end: the same incarnation still works, every event was counted once and in order, every dead letter is
// explained; and the gateway stops as it should, whatever it still waits for.
func (a *arena) finish(t *testing.T) {
	t.Helper()
	a.event(t, "last")
	for key := range a.events {
		a.counted(t, key)
	}
	if got, want := len(a.topics.keys("counts")), len(a.events); got != want {
		t.Errorf("results of %d keys, want %d", got, want)
	}
	a.readLetters(t)
	if rest := a.unexplained(); rest != "" {
		t.Errorf("dead letters that nothing explains:\n%s", rest)
	}
	if restarts := a.seen.restarted(); len(restarts) > 0 {
		t.Errorf("what was in memory was dropped: %q", restarts)
	}
	if err := a.stop(); err != nil {
		t.Errorf("the gateway ended with: %v", err)
	}
}

// listEnd asks for the offset behind the last one of a topic's partition 0.
func listEnd(ctx context.Context, client *kgo.Client, topic string) (int64, error) {
	request := kmsg.NewPtrListOffsetsRequest()
	p := kmsg.NewListOffsetsRequestTopicPartition()
	p.Timestamp = -1
	t := kmsg.NewListOffsetsRequestTopic()
	t.Topic, t.Partitions = topic, append(t.Partitions, p)
	request.Topics = append(request.Topics, t)
	response, err := request.RequestWith(ctx, client)
	if err != nil {
		return 0, err
	}
	answer := response.Topics[0].Partitions[0]
	return answer.Offset, kerr.ErrorForCode(answer.ErrorCode)
}
