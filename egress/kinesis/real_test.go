package kinesis

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/stategate/stategate/internal/aws"
	"github.com/stategate/stategate/internal/testserver"
)

// TestStandIn delivers to the stand-in for Kinesis, over TLS, and reads the stream back: each key's records stand in their order.
func TestStandIn(t *testing.T) {
	server := testserver.Kinesis(t)
	region, who := Region{ID: "us-east-1", Endpoint: server.URL()}, Credentials{AccessKeyID: "AK", SecretAccessKey: "SK"}
	conf, err := aws.Load(t.Context(), aws.Connection{Region: region, Credentials: who, Client: aws.Client{RootCAs: server.Roots()}})
	if err != nil {
		t.Fatal(err)
	}
	c, shards := kinesis.NewFromConfig(conf), int32(2)
	prefix := fmt.Sprintf("e%d-", time.Now().UnixNano())
	for i := range 2 {
		name := fmt.Sprintf("%ss%d", prefix, i)
		if _, err := c.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: &name, ShardCount: &shards}); err != nil {
			t.Fatal(err)
		}
	}
	o := newOutbox()
	m := begin(t, o, Config{Region: region, Credentials: who, Properties: map[string]string{"CaCertPath": server.Roots()}, pace: pace{grace: time.Minute}})
	want := map[place][]string{}
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range 200 {
		p := place{fmt.Sprintf("%ss%d", prefix, rng.IntN(2)), fmt.Sprintf("k%d", rng.IntN(9)), ""}
		if rng.IntN(5) == 0 {
			p.hash = fmt.Sprint(rng.IntN(2)) // the first shard's, both
		}
		want[p] = append(want[p], fmt.Sprint(p.hash, "/", i))
		m.emit(record(p.stream, p.key, p.hash, fmt.Sprint(p.hash, "/", i)))
	}
	m.emit(record(prefix+"s0", "large", "", "/"+strings.Repeat("x", 1<<19)))
	o.untilDelivered(t, o.next)
	got := map[place][]string{}
	for i := range 2 {
		name := fmt.Sprintf("%ss%d", prefix, i)
		for n := range 2 {
			id := fmt.Sprintf("shardId-%012d", n)
			it, err := c.GetShardIterator(t.Context(), &kinesis.GetShardIteratorInput{StreamName: &name, ShardId: &id, ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
			if err != nil {
				t.Fatal(err)
			}
			out, err := c.GetRecords(t.Context(), &kinesis.GetRecordsInput{ShardIterator: it.ShardIterator})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range out.Records {
				hash, _, _ := strings.Cut(string(r.Data), "/")
				p := place{name, *r.PartitionKey, hash}
				if hash != "" && n != 0 {
					t.Errorf("a record with the explicit hash key %s is in shard %d", hash, n)
				}
				got[p] = append(got[p], string(r.Data))
			}
		}
	}
	for p, values := range want {
		if !slices.Equal(got[p], values) {
			t.Errorf("%v: got %v, want %v", p, got[p], values)
		}
	}
}
