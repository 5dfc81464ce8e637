package app

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/ingress"
	"github.com/stategate/stategate/statestore"
)

// TestPositionMovesUnderLoad: an ingress may move the position of a source that it is reading past everything that it has handed over,
// whatever is in mailboxes, in calls or waiting for a function that fails: what is not finished is kept, and each record counts once,
// through gateways that end in the middle. (The Kinesis ingress lives by it.)
func TestPositionMovesUnderLoad(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	w := newWorld(t)
	w.functions.SlowFor = 30 * time.Millisecond
	const total = 3000
	var keys []string
	want := map[string]int{}
	for range total {
		key := fmt.Sprintf("key-%d", rng.IntN(40))
		if rng.IntN(4) == 0 {
			key = fmt.Sprintf("slow-%d", rng.IntN(3))
		}
		keys = append(keys, key)
		want[key]++
	}
	made := api.Source{Ingress: "test/made", Topic: "t", Partition: 1}
	routes := []api.Route{{Key: "test/count", Target: api.FunctionType{Namespace: "test", Name: "count"}}}
	at := func(offset int64) statestore.Progress {
		return statestore.Progress{Source: made, TopicID: fmt.Sprint("anchor ", offset), Start: offset,
			Targets: []statestore.TargetProgress{{Key: routes[0].Key, Done: statestore.Ranges{Watermark: offset}}}}
	}
	var once *sync.Once
	var read chan struct{} // closed when a life has read as much as it shall
	run := func(rng *rand.Rand, moves *int, to int64) func(context.Context, ingress.Engine) error {
		return func(ctx context.Context, engine ingress.Engine) error {
			p, known := engine.Progress(made)
			if !known {
				if err := engine.Start(ctx, []statestore.Progress{at(0)}); err != nil {
					return nil // the incarnation has ended
				}
			}
			again := int64(0) // until there, what is finished above is not read again
			if known {
				again = p.Position()
				for _, r := range p.Targets[0].Done.Above {
					again = r.To
				}
			}
			next := p.Position()
			for next < to && ctx.Err() == nil {
				var records []api.Record
				for range min(int64(rng.IntN(20)+1), to-next) {
					records = append(records, api.Record{Offset: next, ID: keys[next], Value: api.TypedValue{TypeName: "t", HasValue: true}, Routes: routes})
					next++
				}
				if err := engine.Arrive(ctx, made, records); err != nil {
					return nil
				}
				if next >= again && rng.IntN(4) == 0 {
					if err := engine.Start(ctx, []statestore.Progress{at(next)}); err != nil {
						return nil
					}
					*moves++
				}
			}
			once.Do(func() { close(read) })
			<-ctx.Done()
			return nil
		}
	}
	moves := 0
	for life := 0; ; life++ {
		vars := map[string]string{"KAFKA": strings.Join(w.brokers, ","), "URL": w.url}
		m, complaints := module.Parse("module.yaml", []byte(w.text), func(name string) (string, bool) { v, ok := vars[name]; return v, ok })
		if complaints.HasErrors() {
			t.Fatal(complaints)
		}
		a, err := New(Config{Module: m, Store: w.store(), Log: slog.New(slog.DiscardHandler), RenewEvery: 100 * time.Millisecond, DrainMax: time.Nanosecond})
		if err != nil {
			t.Fatal(err)
		}
		to := min(int64(life+1)*total/6, total)
		read, once = make(chan struct{}), new(sync.Once)
		a.ingresses = []*source{{id: made.Ingress, run: run(rand.New(rand.NewPCG(seed, uint64(life))), &moves, to)}}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		select {
		case <-read:
		case <-time.After(patience):
			t.Fatalf("life %d did not read up to %d", life, to)
		}
		if to < total {
			cancel() // and nothing is waited for
			<-ended
			continue
		}
		counted(t, w.results("counts", total), want)
		cancel()
		<-ended
		break
	}
	t.Logf("the position was moved %d times", moves)
	if moves < 20 {
		t.Errorf("the position was moved %d times: too seldom to show anything", moves)
	}
}
