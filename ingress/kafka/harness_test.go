package kafka

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/internal/testserver"
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

const patience = 90 * time.Second

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

func fake(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
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

func logTo(t testing.TB) io.Writer {
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
