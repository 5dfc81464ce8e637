package kinesis

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/internal/testserver"
)

func TestMain(m *testing.M) {
	code := testserver.Main(m)
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

var routes = []api.Route{{Key: "shop/cart", Target: api.FunctionType{Namespace: "shop", Name: "cart"}}}

func quick() pace {
	return pace{discovery: 100 * time.Millisecond, read: 2 * time.Millisecond, idle: 5 * time.Millisecond, retryMax: 50 * time.Millisecond,
		appeared: time.Millisecond, trouble: 50 * time.Millisecond, settled: 10 * time.Millisecond, anchored: time.Hour, stop: 2 * time.Second}
}

func (f *fake) config(o *observed, streams ...string) Config {
	c := Config{ID: "shop/in", Startup: Startup{Kind: StartEarliest}, pace: quick(), Log: logTo(o.t), Hooks: o.hooks(),
		dial: func(context.Context) (client, error) { return f, nil }}
	for _, name := range streams {
		c.Streams = append(c.Streams, Stream{Name: name, ValueType: "shop/Event", Routes: routes})
	}
	return c
}

func logTo(t *testing.T) *slog.Logger {
	var w io.Writer = io.Discard
	if os.Getenv("STATEGATE_TEST_LOG") != "" {
		w = t.Output()
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func source(stream string, shard int32) api.Source {
	return api.Source{Ingress: "shop/in", Topic: stream, Partition: shard}
}

// run starts an ingress and stops it at the end of the test, or when stop is called. It ends well, or because its engine has crashed.
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
				e.mu.Lock()
				defer e.mu.Unlock()
				if err != nil && !e.dead {
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
