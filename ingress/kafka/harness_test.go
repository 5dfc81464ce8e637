package kafka

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
	"go.uber.org/goleak"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/ingress"
	"github.com/stategate/stategate/internal/testserver"
	"github.com/stategate/stategate/statestore"
)

func TestMain(m *testing.M) {
	code := testserver.Main(m)
	if code == 0 {
		if err := goleak.Find(
			goleak.IgnoreTopFunction("github.com/rcrowley/go-metrics.(*meterArbiter).tick"), // one for the process, never ended
		); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

const patience = 40 * time.Second

// engine is what an ingress sees of the engine: it finishes what arrives at once, unless told to hold it.
type engine struct {
	t  *testing.T
	mu sync.Mutex

	progress map[api.Source]statestore.Progress
	starts   []statestore.Progress
	records  map[api.Source][]api.Record
	high     map[api.Source]int64         // after the last record that arrived
	gates    map[api.Source]chan struct{} // Arrive waits while the gate is shut
	held     map[api.Source]bool          // what arrives is not finished
	waiting  map[api.Source]bool          // Arrive waits at the gate
	changed  chan struct{}
	failWith error
}

func newEngine(t *testing.T) *engine {
	return &engine{t: t, progress: map[api.Source]statestore.Progress{}, records: map[api.Source][]api.Record{},
		high: map[api.Source]int64{}, gates: map[api.Source]chan struct{}{}, held: map[api.Source]bool{}, waiting: map[api.Source]bool{}, changed: make(chan struct{})}
}

func (e *engine) notify() { close(e.changed); e.changed = make(chan struct{}) }

func (e *engine) Progress(source api.Source) (statestore.Progress, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, ok := e.progress[source]
	return p.Clone(), ok
}

func (e *engine) Start(_ context.Context, p statestore.Progress) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.starts = append(e.starts, p.Clone())
	e.progress[p.Source] = p.Clone()
	e.high[p.Source] = p.Start
	e.notify()
	return nil
}

func (e *engine) Arrive(ctx context.Context, source api.Source, records []api.Record) error {
	e.mu.Lock()
	gate := e.gates[source]
	if gate != nil {
		e.waiting[source] = true
		e.notify()
	}
	failWith := e.failWith
	e.mu.Unlock()
	if failWith != nil {
		return failWith
	}
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.progress[source]; !ok {
		e.t.Errorf("records of %s arrive before its start is durable", source)
	}
	for _, r := range records {
		if r.Offset < e.high[source] {
			e.t.Errorf("%s: offset %d arrives after %d", source, r.Offset, e.high[source]-1)
		}
		e.high[source] = r.Offset + 1
		e.records[source] = append(e.records[source], r)
	}
	if !e.held[source] {
		p := e.progress[source]
		for i := range p.Targets {
			p.Targets[i].Done.Watermark = e.high[source]
		}
	}
	e.notify()
	return nil
}

// visible is what arrived for a target or as a dead letter.
func (e *engine) visible(source api.Source) []api.Record {
	e.mu.Lock()
	defer e.mu.Unlock()
	var out []api.Record
	for _, r := range e.records[source] {
		if len(r.Routes) > 0 || r.Dead != nil {
			out = append(out, r)
		}
	}
	return out
}

func (e *engine) ids(source api.Source) []string {
	var out []string
	for _, r := range e.visible(source) {
		out = append(out, r.ID)
	}
	return out
}

// until waits until the condition holds of the engine.
func (e *engine) until(what string, holds func() bool) {
	e.t.Helper()
	deadline := time.After(patience)
	for {
		e.mu.Lock()
		changed := e.changed
		e.mu.Unlock()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			e.t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func (e *engine) untilArrived(source api.Source, n int) []api.Record {
	e.t.Helper()
	e.until(fmt.Sprintf("%d records of %s", n, source), func() bool { return len(e.visible(source)) >= n })
	return e.visible(source)
}

func (e *engine) startOf(source api.Source) (int64, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := len(e.starts) - 1; i >= 0; i-- {
		if e.starts[i].Source == source {
			return e.starts[i].Start, true
		}
	}
	return 0, false
}

func (e *engine) untilStarted(source api.Source) int64 {
	e.t.Helper()
	e.until("start of "+source.String(), func() bool { _, ok := e.startOf(source); return ok })
	offset, _ := e.startOf(source)
	return offset
}

// observed is what the hooks have told.
type observed struct {
	t       *testing.T
	mu      sync.Mutex
	active  map[string]string
	ever    map[string]int
	skipped map[string]int
	lag     map[api.Source]int64
	read    int
	changed chan struct{}
}

func observe(t *testing.T) *observed {
	return &observed{t: t, active: map[string]string{}, ever: map[string]int{}, skipped: map[string]int{}, lag: map[api.Source]int64{}, changed: make(chan struct{})}
}

func (o *observed) hooks() ingress.Hooks {
	set := func(f func()) {
		o.mu.Lock()
		defer o.mu.Unlock()
		f()
		close(o.changed)
		o.changed = make(chan struct{})
	}
	return ingress.Hooks{
		Records:   func(_ api.Source, n, _ int) { set(func() { o.read += n }) },
		Skipped:   func(_ api.Source, reason string) { set(func() { o.skipped[reason]++ }) },
		Lag:       func(s api.Source, n int64) { set(func() { o.lag[s] = n }) },
		Degraded:  func(key, text string) { set(func() { o.active[key] = text; o.ever[key]++ }) },
		Recovered: func(key string) { set(func() { delete(o.active, key) }) },
	}
}

func (o *observed) until(what string, holds func() bool) {
	o.t.Helper()
	deadline := time.After(patience)
	for {
		o.mu.Lock()
		changed, ok := o.changed, holds()
		o.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			o.mu.Lock()
			defer o.mu.Unlock()
			o.t.Fatalf("waited in vain for: %s (conditions %v)", what, o.active)
		}
	}
}

func (o *observed) untilDegraded(suffix string) (text string) {
	o.t.Helper()
	o.until("condition "+suffix, func() bool {
		for key, tx := range o.active {
			if strings.HasSuffix(key, suffix) {
				text = tx
				return true
			}
		}
		return false
	})
	return text
}

func (o *observed) untilRecovered(suffix string) {
	o.t.Helper()
	o.until("the end of condition "+suffix, func() bool {
		for key := range o.active {
			if strings.HasSuffix(key, suffix) {
				return false
			}
		}
		return true
	})
}

// kafkas runs a story on kfake and on real Kafka.
func kafkas(t *testing.T, story func(t *testing.T, k *broker)) {
	t.Run("kfake", func(t *testing.T) {
		t.Parallel()
		c := fake(t)
		story(t, newBroker(t, c.ListenAddrs()))
	})
	t.Run("kafka", func(t *testing.T) {
		story(t, newBroker(t, []string{testserver.Kafka(t).Addr()}))
	})
}

func fake(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// broker is a cluster as the outside world uses it.
type broker struct {
	t         *testing.T
	addresses []string
	client    *kgo.Client
	prefix    string
}

func newBroker(t *testing.T, addresses []string) *broker {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addresses...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(8<<20), kgo.MetadataMinAge(10*time.Millisecond), kgo.MaxVersions(kversion.V3_0_0()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	prefix := strings.NewReplacer("/", "-", " ", "-", ",", "").Replace(t.Name())
	return &broker{t: t, addresses: addresses, client: client, prefix: fmt.Sprintf("%s-%d-", prefix, time.Now().UnixNano()%1e6)}
}

func (k *broker) name(s string) string { return k.prefix + s }

func (k *broker) create(topic string, partitions int32, config ...string) {
	k.t.Helper()
	r := kmsg.NewPtrCreateTopicsRequest()
	r.TimeoutMillis = 20000
	ct := kmsg.NewCreateTopicsRequestTopic()
	ct.Topic, ct.NumPartitions, ct.ReplicationFactor = topic, partitions, 1
	for i := 0; i+1 < len(config); i += 2 {
		cfg := kmsg.NewCreateTopicsRequestTopicConfig()
		cfg.Name, cfg.Value = config[i], kmsg.StringPtr(config[i+1])
		ct.Configs = append(ct.Configs, cfg)
	}
	r.Topics = append(r.Topics, ct)
	deadline := time.Now().Add(patience)
	for {
		answer, err := r.RequestWith(context.Background(), k.client)
		if err != nil {
			k.t.Fatal(err)
		}
		code := answer.Topics[0].ErrorCode
		if code == 0 {
			break
		}
		if code != 36 || time.Now().After(deadline) { // TOPIC_ALREADY_EXISTS: its deletion is not through yet
			k.t.Fatalf("create topic %s: error %d", topic, code)
		}
	}
	k.client.PurgeTopicsFromClient(topic)
}

func (k *broker) delete(topic string) {
	k.t.Helper()
	r := kmsg.NewPtrDeleteTopicsRequest()
	r.TimeoutMillis = 20000
	r.TopicNames = []string{topic}
	dt := kmsg.NewDeleteTopicsRequestTopic()
	dt.Topic = kmsg.StringPtr(topic)
	r.Topics = append(r.Topics, dt)
	answer, err := r.RequestWith(context.Background(), k.client)
	if err != nil || answer.Topics[0].ErrorCode != 0 {
		k.t.Fatalf("delete topic %s: %v %+v", topic, err, answer)
	}
	k.client.PurgeTopicsFromClient(topic)
}

func (k *broker) grow(topic string, partitions int32) {
	k.t.Helper()
	r := kmsg.NewPtrCreatePartitionsRequest()
	r.TimeoutMillis = 20000
	ct := kmsg.NewCreatePartitionsRequestTopic()
	ct.Topic, ct.Count = topic, partitions
	r.Topics = append(r.Topics, ct)
	answer, err := r.RequestWith(context.Background(), k.client)
	if err != nil || answer.Topics[0].ErrorCode != 0 {
		k.t.Fatalf("grow topic %s: %v %+v", topic, err, answer)
	}
	k.client.PurgeTopicsFromClient(topic)
}

func (k *broker) deleteRecords(topic string, partition int32, before int64) {
	k.t.Helper()
	r := kmsg.NewPtrDeleteRecordsRequest()
	r.TimeoutMillis = 20000
	dt := kmsg.NewDeleteRecordsRequestTopic()
	dt.Topic = topic
	dp := kmsg.NewDeleteRecordsRequestTopicPartition()
	dp.Partition, dp.Offset = partition, before
	dt.Partitions = append(dt.Partitions, dp)
	r.Topics = append(r.Topics, dt)
	answer, err := r.RequestWith(context.Background(), k.client)
	if err != nil || answer.Topics[0].Partitions[0].ErrorCode != 0 {
		k.t.Fatalf("delete records of %s: %v %+v", topic, err, answer)
	}
}

func (k *broker) produce(topic string, partition int32, records ...*kgo.Record) {
	k.t.Helper()
	for _, r := range records {
		r.Topic, r.Partition = topic, partition
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := k.client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		k.t.Fatalf("produce to %s/%d: %v", topic, partition, err)
	}
}

// numbered makes records whose key and value are prefix + number.
func numbered(prefix string, from, to int) []*kgo.Record {
	var out []*kgo.Record
	for i := from; i < to; i++ {
		id := fmt.Sprintf("%s%d", prefix, i)
		out = append(out, &kgo.Record{Key: []byte(id), Value: []byte("v" + id)})
	}
	return out
}

func wantIDs(prefix string, from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprintf("%s%d", prefix, i))
	}
	return out
}

// transaction writes records in a transaction and ends it.
func (k *broker) transaction(topic string, commit kgo.TransactionEndTry, records ...*kgo.Record) {
	k.t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(k.addresses...), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.TransactionalID(k.name("txn")))
	if err != nil {
		k.t.Fatal(err)
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := client.BeginTransaction(); err != nil {
		k.t.Fatal(err)
	}
	for _, r := range records {
		r.Topic = topic
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		k.t.Fatal(err)
	}
	if err := client.EndTransaction(ctx, commit); err != nil {
		k.t.Fatal(err)
	}
}

// commitGroup sets what a consumer group has committed.
func (k *broker) commitGroup(group, topic string, offsets map[int32]int64) {
	k.t.Helper()
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Group, r.Generation = group, -1
	ot := kmsg.NewOffsetCommitRequestTopic()
	ot.Topic = topic
	for p, o := range offsets {
		op := kmsg.NewOffsetCommitRequestTopicPartition()
		op.Partition, op.Offset = p, o
		ot.Partitions = append(ot.Partitions, op)
	}
	r.Topics = append(r.Topics, ot)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := r.RequestWith(ctx, k.client)
	if err != nil || answer.Topics[0].Partitions[0].ErrorCode != 0 {
		k.t.Fatalf("commit group %s: %v %+v", group, err, answer)
	}
}

func (k *broker) groupOffset(group, topic string, partition int32) int64 {
	k.t.Helper()
	r := kmsg.NewPtrOffsetFetchRequest()
	r.Group = group
	rt := kmsg.NewOffsetFetchRequestTopic()
	rt.Topic, rt.Partitions = topic, []int32{partition}
	r.Topics = append(r.Topics, rt)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := r.RequestWith(ctx, k.client)
	if err != nil {
		k.t.Fatal(err)
	}
	if len(answer.Topics) == 0 || len(answer.Topics[0].Partitions) == 0 {
		return -1
	}
	return answer.Topics[0].Partitions[0].Offset
}

var routes = []api.Route{
	{Key: "shop/cart", Target: api.FunctionType{Namespace: "shop", Name: "cart"}},
	{Key: "shop/audit", Target: api.FunctionType{Namespace: "shop", Name: "audit"}},
}

func quick() pace {
	return pace{confirm: 50 * time.Millisecond, retryMax: 200 * time.Millisecond, appeared: time.Millisecond, lag: 30 * time.Millisecond,
		groupCommit: 50 * time.Millisecond, idle: 50 * time.Millisecond, trouble: 100 * time.Millisecond, silence: 2 * time.Second, stop: 2 * time.Second}
}

func (k *broker) config(o *observed, topics ...string) Config {
	c := Config{ID: "shop/in", Brokers: k.addresses, Startup: Startup{Kind: StartEarliest}, DiscoveryInterval: 50 * time.Millisecond,
		Hooks: o.hooks(), pace: quick(), Log: slog.New(slog.NewTextHandler(logTo(k.t), &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, name := range topics {
		c.Topics = append(c.Topics, Topic{Name: name, ValueType: "shop/Event", Routes: routes})
	}
	return c
}

func logTo(t *testing.T) io.Writer {
	if os.Getenv("STATEGATE_TEST_LOG") == "" {
		return io.Discard
	}
	return t.Output()
}

func source(topic string, partition int32) api.Source {
	return api.Source{Ingress: "shop/in", Topic: topic, Partition: partition}
}

// run starts an ingress and stops it at the end of the test, or when stop is called.
func run(t *testing.T, config Config, e *engine) (stop func()) {
	t.Helper()
	in, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- in.Run(ctx, e) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("got %v from Run, want nil", err)
				}
			case <-time.After(patience):
				t.Errorf("Run did not end")
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

func equal(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		if len(got) > 20 {
			got = append(slices.Clone(got[:20]), "...")
		}
		if len(want) > 20 {
			want = append(slices.Clone(want[:20]), "...")
		}
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}
