package kinesis

import (
	"fmt"
	"slices"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/stategate/stategate/internal/aws"
	"github.com/stategate/stategate/internal/testserver"
)

// standIn is a stream of the stand-in for Kinesis.
type standIn struct {
	t      *testing.T
	client *kinesis.Client
	url    string
	name   string
}

func newStandIn(t *testing.T, shards int32) *standIn {
	t.Helper()
	server := testserver.Kinesis(t)
	t.Setenv("AWS_CA_BUNDLE", server.Roots())
	conf, err := aws.Load(t.Context(), aws.Connection{Region: aws.Region{ID: "us-east-1", Endpoint: server.URL()}, Credentials: aws.Credentials{AccessKeyID: "AK", SecretAccessKey: "SK"}})
	if err != nil {
		t.Fatal(err)
	}
	s := &standIn{t: t, client: kinesis.NewFromConfig(conf), url: server.URL(), name: fmt.Sprintf("s%d", time.Now().UnixNano())}
	if _, err := s.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &s.name, ShardCount: &shards}); err != nil {
		t.Fatal(err)
	}
	s.active()
	return s
}

// active waits for what was asked of the stream to be done.
func (s *standIn) active() {
	s.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for limit := time.After(patience); ; {
		out, err := s.client.DescribeStreamSummary(s.t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: &s.name})
		if err == nil && out.StreamDescriptionSummary.StreamStatus == types.StreamStatusActive {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			s.t.Fatalf("stream %s is not active: %v", s.name, err)
		}
	}
}

func (s *standIn) put(key string, values ...string) {
	s.t.Helper()
	for _, v := range values {
		if _, err := s.client.PutRecord(s.t.Context(), &kinesis.PutRecordInput{StreamName: &s.name, PartitionKey: &key, Data: []byte(v)}); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *standIn) split(shard string) {
	s.t.Helper()
	shards, err := s.client.ListShards(s.t.Context(), &kinesis.ListShardsInput{StreamName: &s.name})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, sh := range shards.Shards {
		if *sh.ShardId != shard {
			continue
		}
		r, _ := newHashRange(*sh.HashKeyRange.StartingHashKey, *sh.HashKeyRange.EndingHashKey)
		middle := r.low.Add(r.low, r.high)
		middle.Rsh(middle, 1)
		if _, err := s.client.SplitShard(s.t.Context(), &kinesis.SplitShardInput{StreamName: &s.name, ShardToSplit: &shard, NewStartingHashKey: sdk.String(middle.String())}); err != nil {
			s.t.Fatal(err)
		}
	}
	s.active()
}

func (s *standIn) config(o *observed) Config {
	p := quick()
	p.read, p.idle = 20*time.Millisecond, 50*time.Millisecond
	return Config{ID: "shop/in", Region: Region{ID: "us-east-1", Endpoint: s.url}, Credentials: Credentials{AccessKeyID: "AK", SecretAccessKey: "SK"},
		Streams: []Stream{{Name: s.name, ValueType: "shop/Event", Routes: routes}}, Startup: Startup{Kind: StartEarliest}, pace: p, Log: logTo(s.t), Hooks: o.hooks()}
}

// TestStandIn reads a stream over TLS through a crash and a resharding, and each record takes effect once and in order.
func TestStandIn(t *testing.T) {
	s := newStandIn(t, 2)
	e := newEngine(t)
	e.hold = holdSome
	want := map[string][]string{}
	n := 0
	some := func(count int) {
		for range count {
			id := fmt.Sprintf("key-%d", n%5)
			v := fmt.Sprintf("%s-%d", id, n)
			if n%13 == 5 {
				v = "hold" + v
			}
			want[id] = append(want[id], v)
			s.put(id, v)
			n++
		}
	}
	some(40)
	stop := run(t, s.config(observe(t)), e)
	e.until("records", func() bool { return len(e.arrived) >= n })
	again := e.crash()
	stop()
	s.split("shardId-000000000000")
	some(40)
	stop = run(t, s.config(observe(t)), again)
	again.untilEffects(n)
	stop()
	third := again.crash()
	some(10)
	run(t, s.config(observe(t)), third)
	third.untilEffects(n)
	for id, values := range want {
		if !slices.Equal(third.order[id], values) {
			t.Errorf("%s: got %v, want %v", id, third.order[id], values)
		}
	}
}

// TestStandInLatest: latest is what arrives after the start, and after a restart nothing of it is missing.
func TestStandInLatest(t *testing.T) {
	s := newStandIn(t, 1)
	s.put("a", "old")
	e := newEngine(t)
	cfg := s.config(observe(t))
	cfg.Startup = Startup{}
	stop := run(t, cfg, e)
	e.until("start", func() bool { return len(e.starts) > 0 })
	s.put("a", "v1")
	e.untilEffects(1)
	stop()
	s.put("a", "v2")
	e = e.crash()
	run(t, cfg, e)
	e.until("both", func() bool { return len(e.order["a"]) == 2 })
	if !slices.Equal(e.order["a"], []string{"v1", "v2"}) {
		t.Errorf("got %v", e.order["a"])
	}
}

// TestCertificateIsVerified: without the authority's certificate nothing is read, and it is said.
func TestCertificateIsVerified(t *testing.T) {
	s := newStandIn(t, 1)
	s.put("a", "v1")
	t.Setenv("AWS_CA_BUNDLE", "")
	e, o := newEngine(t), observe(t)
	run(t, s.config(o), e)
	if text := o.untilDegraded("stream cannot be looked up"); text == "" {
		t.Error("no reason")
	}
	if len(e.effects) > 0 {
		t.Error("records are read from whoever answers")
	}
}
