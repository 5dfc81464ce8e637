//go:build unix

package kinesistest

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"crypto/x509"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
	"github.com/stategate/stategate/internal/testfunction"
	"github.com/stategate/stategate/internal/testserver"
)

func TestMain(m *testing.M) {
	code := testserver.Main(m)
	testgateway.RemoveBinary()
	os.Exit(code)
}

// moduleText is as StateFun's users have it.
const moduleText = `
kind: io.statefun.endpoints.v2/http
spec: {functions: test/*, urlPathTemplate: "${URL}/{function.name}"}
---
kind: io.statefun.kinesis.v1/ingress
spec:
  id: test/clicks-in
  awsRegion: {type: custom-endpoint, endpoint: "${KINESIS}", id: us-east-1}
  awsCredentials: {type: basic, accessKeyId: AK, secretAccessKey: verysecret}
  startupPosition: {type: earliest}
  streams:
    - {stream: "${PREFIX}events", valueType: test/event, targets: [test/count, test/audit]}
  clientConfigProperties:
    - MaxConnections: 16
    - flink.shard.discovery.intervalmillis: 500
---
kind: io.statefun.kinesis.v1/egress
spec:
  id: test/out
  awsRegion: {type: custom-endpoint, endpoint: "${KINESIS}", id: us-east-1}
  awsCredentials: {type: basic, accessKeyId: AK, secretAccessKey: verysecret}
  maxOutstandingRecords: 200
  clientConfigProperties:
    - RecordMaxBufferedTime: 100
`

// world is a Kinesis, the functions, and a gateway that is killed.
type world struct {
	t       *testing.T
	client  *kinesis.Client
	prefix  string
	gateway *testgateway.Gateway
}

func newWorld(t *testing.T) *world {
	t.Helper()
	server := testserver.Kinesis(t)
	pem, err := os.ReadFile(server.Roots())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	w := &world{t: t, prefix: fmt.Sprintf("w%d-", time.Now().UnixNano())}
	w.client = kinesis.New(kinesis.Options{Region: "us-east-1", BaseEndpoint: aws.String(server.URL()), Credentials: credentials.NewStaticCredentialsProvider("AK", "SK", ""),
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) { tr.TLSClientConfig.RootCAs = roots })})
	for _, s := range []string{"events", "counts", "audits"} {
		if _, err := w.client.CreateStream(t.Context(), &kinesis.CreateStreamInput{StreamName: aws.String(w.prefix + s), ShardCount: aws.Int32(2)}); err != nil {
			t.Fatal(err)
		}
		w.active(s)
	}
	functions := httptest.NewServer(&testfunction.Handler{Kinesis: true, TopicPrefix: w.prefix})
	t.Cleanup(functions.Close)
	folder := t.TempDir()
	file := filepath.Join(folder, "module.yaml")
	if err := os.WriteFile(file, []byte(moduleText), 0o644); err != nil {
		t.Fatal(err)
	}
	env := []string{"URL=" + functions.URL, "KINESIS=" + server.URL(), "PREFIX=" + w.prefix, "AWS_CA_BUNDLE=" + server.Roots(), "AWS_EC2_METADATA_DISABLED=true"}
	w.gateway = testgateway.New(t, folder, "gateway", env, "--module", file, "--store", "sqlite:"+filepath.Join(folder, "store.db"))
	return w
}

func (w *world) active(stream string) {
	w.t.Helper()
	testgateway.Poll(w.t, "stream "+stream+" to be active", func() (bool, string) {
		out, err := w.client.DescribeStreamSummary(w.t.Context(), &kinesis.DescribeStreamSummaryInput{StreamName: aws.String(w.prefix + stream)})
		return err == nil && out.StreamDescriptionSummary.StreamStatus == types.StreamStatusActive, fmt.Sprint(err)
	})
}

// put writes n records over the keys.
func (w *world) put(keys []string, n int, sent map[string]int) {
	w.t.Helper()
	for range n {
		key := keys[rand.IntN(len(keys))]
		if _, err := w.client.PutRecord(w.t.Context(), &kinesis.PutRecordInput{StreamName: aws.String(w.prefix + "events"), PartitionKey: &key, Data: []byte("x")}); err != nil {
			w.t.Fatal(err)
		}
		sent[key]++
	}
}

// split splits the first shard of the events.
func (w *world) split() {
	w.t.Helper()
	middle := new(big.Int).Lsh(big.NewInt(1), 126)
	if _, err := w.client.SplitShard(w.t.Context(), &kinesis.SplitShardInput{StreamName: aws.String(w.prefix + "events"),
		ShardToSplit: aws.String("shardId-000000000000"), NewStartingHashKey: aws.String(middle.String())}); err != nil {
		w.t.Fatal(err)
	}
	w.active("events")
}

// results are what a stream holds, by key, in order.
func (w *world) results(ctx context.Context, stream string) (map[string][]int, error) {
	name := aws.String(w.prefix + stream)
	got := map[string][]int{}
	for shard := range 2 {
		it, err := w.client.GetShardIterator(ctx, &kinesis.GetShardIteratorInput{StreamName: name, ShardId: aws.String(fmt.Sprintf("shardId-%012d", shard)), ShardIteratorType: types.ShardIteratorTypeTrimHorizon})
		if err != nil {
			return nil, err
		}
		for next := it.ShardIterator; ; {
			out, err := w.client.GetRecords(ctx, &kinesis.GetRecordsInput{ShardIterator: next})
			if err != nil {
				return nil, err
			}
			for _, r := range out.Records {
				n, err := strconv.Atoi(string(r.Data))
				if err != nil {
					return nil, err
				}
				got[*r.PartitionKey] = append(got[*r.PartitionKey], n)
			}
			if len(out.Records) == 0 {
				break
			}
			next = out.NextShardIterator
		}
	}
	return got, nil
}

// until waits for a stream to hold every count of every key.
func (w *world) until(stream string, sent map[string]int) map[string][]int {
	w.t.Helper()
	var got map[string][]int
	testgateway.Poll(w.t, "all results in "+stream, func() (bool, string) {
		var err error
		if got, err = w.results(w.t.Context(), stream); err != nil {
			return false, err.Error()
		}
		for key, n := range sent {
			if !slices.Contains(got[key], n) {
				return false, fmt.Sprintf("%s: %d of %d", key, len(got[key]), n)
			}
		}
		return true, ""
	})
	return got
}

// TestKilledBetweenStreams: through kills and a resharding each record counts once, and each count arrives, at least once and in order.
func TestKilledBetweenStreams(t *testing.T) {
	w := newWorld(t)
	lives := 4
	if testing.Short() {
		lives = 2
	}
	var keys []string
	for i := range 8 {
		keys = append(keys, fmt.Sprintf("key-%d", i))
	}
	sent := map[string]int{}
	w.put(keys, 40, sent)
	for life := range lives {
		w.gateway.Open()
		w.put(keys, 60, sent)
		if life == 1 {
			w.split()
		}
		got, err := w.results(t.Context(), "counts")
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("life %d: %d keys have results", life, len(got))
		w.gateway.Kill()
	}
	w.put(keys, 40, sent)
	w.gateway.Start()
	w.until("counts", sent)
	w.gateway.Stop() // in good order, and then once more
	w.put(keys, 20, sent)
	w.gateway.Start()
	for _, stream := range []string{"counts", "audits"} {
		repeated := 0
		for key, values := range w.until(stream, sent) {
			want := 1
			for _, n := range values {
				switch {
				case n == want:
					want++
				case n > want:
					t.Fatalf("%s of %s: %d comes before %d: %v", stream, key, n, want, values)
				default:
					repeated++
				}
			}
			if want-1 != sent[key] {
				t.Errorf("%s of %s: counted %d, want %d", stream, key, want-1, sent[key])
			}
		}
		t.Logf("%s: %d outputs came again", stream, repeated)
	}
	w.gateway.Stop()
	if lines := w.gateway.Logged("verysecret"); len(lines) > 0 {
		t.Errorf("the log shows a secret: %v", lines)
	}
	if lines := w.gateway.Logged("property RecordMaxBufferedTime has no effect"); len(lines) == 0 {
		t.Error("the log does not say that a property has no effect")
	}
}
