package kafka

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// TestTransactionsKeepABeat: a lane that is idle does not wait, one that is busy lets outputs gather, and none waits for longer than it
// must.
func TestTransactionsKeepABeat(t *testing.T) {
	many := make([]api.Output, batchOutputs)
	for i := range many {
		many[i] = kafkaOutput("out", "key", "")
	}
	one := many[:1]
	large := []api.Output{kafkaOutput("out", "key", strings.Repeat("v", batchBytes))}
	for name, test := range map[string]struct {
		waiting []api.Output  // when the transaction has ended
		took    time.Duration // the transaction
		comes   []api.Output  // 3 ms later
		ends    bool          // the relay, 3 ms later
		want    time.Duration
	}{
		"idle":                        {nil, 5 * time.Millisecond, nil, false, 0},
		"outputs wait":                {one, 5 * time.Millisecond, nil, false, beat - 5*time.Millisecond},
		"more come":                   {one, 5 * time.Millisecond, one, false, beat - 5*time.Millisecond},
		"enough wait":                 {many, 5 * time.Millisecond, nil, false, 0},
		"enough come":                 {one, 5 * time.Millisecond, many, false, 3 * time.Millisecond},
		"enough bytes come":           {one, 5 * time.Millisecond, large, false, 3 * time.Millisecond},
		"the transaction took longer": {one, beat + time.Millisecond, nil, false, 0},
		"the relay ends":              {one, 5 * time.Millisecond, nil, true, 3 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := Config{ID: "shop/out", Brokers: []string{"b:1"}, StoreID: testStore}
				r, err := New(cfg, statestore.Lane{LaneID: statestore.LaneID{Egress: "shop/out"}, Next: 1, Low: 1}, nil)
				if err != nil {
					t.Fatal(err)
				}
				ctx, end := context.WithCancel(t.Context())
				defer end()
				next := uint64(1)
				offer := func(outputs []api.Output) {
					r.Offer(statestore.OutputPack{First: next, Outputs: outputs})
					next += uint64(len(outputs))
				}
				offer(test.waiting)
				begun := time.Now().Add(-test.took)
				time.AfterFunc(3*time.Millisecond, func() {
					if offer(test.comes); test.ends {
						end()
					}
				})
				from := time.Now()
				if r.gather(ctx, begun); time.Since(from) != test.want {
					t.Errorf("it waits %s, want %s", time.Since(from), test.want)
				}
			})
		})
	}
}
