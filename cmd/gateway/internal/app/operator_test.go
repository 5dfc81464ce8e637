package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// TestOperatorsSee: a gateway that works tells its functions, ingresses and egresses as they are; one that waits tells what is stored, and
// of the rest that another one works.
func TestOperatorsSee(t *testing.T) {
	w := newWorld(t)
	a, _ := w.gateway("exactly-once")
	until(t, a, "working", works)
	for i := range 30 {
		w.put("events", fmt.Sprintf("k%d", i%3), fmt.Sprint(i))
	}
	w.results("counts", 30)
	ctx := t.Context()
	count := api.FunctionType{Namespace: "test", Name: "count"}

	var function report.Function
	functions, err := a.Functions(ctx)
	for _, f := range functions {
		if f.Name == count {
			function = f
		}
	}
	if err != nil || function.Endpoint == nil || len(function.States) == 0 || len(function.Ways) != 1 || function.Wait == nil || function.DeadLetters == nil || function.Endpoint.Transport.Call == 0 {
		t.Errorf("the function is %+v, %v", function, err)
	}

	delivered := func() bool {
		found, err := a.Egresses(ctx)
		return err == nil && len(found) == 1 && found[0].Outputs == 0 && len(found[0].Lanes) == 1 && found[0].Lanes[0].Delivered == 31
	}
	w.until("all to be delivered", delivered)
	egresses, _ := a.Egresses(ctx)
	if e := egresses[0]; e.ID != "test/out" || e.Kind != "kafka" || e.Semantic != "exactly-once" || !e.Declared || !e.Lanes[0].Started || e.Lanes[0].Next != 31 || e.Lanes[0].Halted != "" {
		t.Errorf("the egress is %+v", e)
	}

	w.until("the ingress to have no lag", func() bool {
		found, err := a.Ingresses(ctx)
		if err != nil || len(found) != 1 {
			return false
		}
		positions, lag := int64(0), int64(-1)
		for _, s := range found[0].Sources {
			positions += s.Position
			if s.Lag != nil {
				lag = max(lag, *s.Lag)
			}
		}
		return found[0].ID == "test/in" && found[0].Kind == "kafka" && positions == 30 && lag == 0
	})
	w.until("nothing to be stuck", func() bool {
		stuck, err := a.Stuck(ctx, 10)
		return err == nil && len(stuck) == 0
	})
	addresses, next, err := a.Addresses(ctx, count, "k", nil, 10)
	if err != nil || len(addresses) != 3 || next != nil {
		t.Errorf("addresses %v, %q, %v", addresses, next, err)
	}
	if views, err := a.Views(ctx, addresses); err != nil || len(views) != 3 || !views[0].InMemory {
		t.Errorf("views %+v, %v", views, err)
	}
	if about := a.About(); !about.Active || about.StoreID == "" || about.Member.ID == "" {
		t.Errorf("it is %+v", about)
	}

	second, _ := w.gateway("exactly-once")
	if found, err := second.Functions(ctx); err != nil || len(found) == 0 || found[0].Endpoint == nil || found[0].Wait != nil {
		t.Errorf("on a standby: functions %+v, %v", found, err)
	}
	for what, ask := range map[string]func(context.Context) error{
		"ingresses": func(ctx context.Context) error { _, err := second.Ingresses(ctx); return err },
		"egresses":  func(ctx context.Context) error { _, err := second.Egresses(ctx); return err },
		"stuck":     func(ctx context.Context) error { _, err := second.Stuck(ctx, 1); return err },
		"totals":    func(ctx context.Context) error { _, err := second.DeadTotals(ctx); return err },
	} {
		var other *report.Standby
		if err := ask(ctx); !errors.As(err, &other) || !errors.Is(err, report.ErrStandby) {
			t.Errorf("%s on a standby: %v", what, err)
		}
	}
	if views, err := second.Views(ctx, addresses); err != nil || views != nil {
		t.Errorf("views on a standby: %v, %v", views, err)
	}
	if found, _, err := second.Addresses(ctx, count, "k", nil, 10); err != nil || len(found) != 3 {
		t.Errorf("addresses on a standby: %v, %v", found, err)
	}
	members, err := second.Members(ctx)
	if err != nil || len(members) == 0 || !members[0].Active || members[0].ID != a.About().Member.ID {
		t.Errorf("members %+v, %v", members, err)
	}
	if mail, err := second.Mailboxes(ctx, addresses); err != nil || len(mail) != 3 {
		t.Errorf("mailboxes %v, %v", mail, err)
	}
	if timers, err := second.Timers(ctx, statestore.TimerKey{}, 10); err != nil || len(timers) != 0 {
		t.Errorf("timers %v, %v", timers, err)
	}
}

// heldStore holds commits back while it is told to.
type heldStore struct {
	statestore.Store
	hold chan chan struct{} // what the next commit waits for
}

func (s *heldStore) Commit(ctx context.Context, c *statestore.Commit) error {
	select {
	case free := <-s.hold:
		<-free
	default:
	}
	return s.Store.Commit(ctx, c)
}

// TestSlowStoreIsTold: a commit that takes more than a second is what everything waits for.
func TestSlowStoreIsTold(t *testing.T) {
	m, complaints := module.Parse("module.yaml", []byte(stuckModule), func(string) (string, bool) { return "", false })
	if complaints.HasErrors() {
		t.Fatal(complaints)
	}
	store := &heldStore{memory.New(memory.Config{}), make(chan chan struct{}, 1)}
	a, err := New(Config{Module: m, Store: store, StoreName: "the store", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	until(t, a, "working", works)
	free := make(chan struct{})
	store.hold <- free
	paused := make(chan error, 1)
	go func() {
		paused <- pauses(t, a, statestore.Pause{Kind: statestore.PauseFunction, Address: api.Address{Type: api.FunctionType{Namespace: "shop", Name: "cart"}}, By: "ada"})
	}()
	until(t, a, "told to be slow", func(report.Status) bool {
		found, err := a.Stuck(ctx, 10)
		return err == nil && slices.ContainsFunc(found, func(s report.Stuck) bool {
			return s.Cause == machine.StuckStoreSlow && s.Since != 0 && s.Name == "the store" && s.Remedy == "gateway status"
		})
	})
	close(free)
	if err := <-paused; err != nil {
		t.Fatal(err)
	}
	functions, err := a.Functions(ctx)
	if err != nil || !slices.ContainsFunc(functions, func(f report.Function) bool {
		return f.Name.Name == "cart" && f.Paused != nil && f.Paused.By == "ada" && f.Endpoint != nil
	}) {
		t.Errorf("functions %+v, %v", functions, err)
	}
	found, err := a.Stuck(ctx, 1)
	if err != nil || len(found) != 1 { // no more than are asked for
		t.Errorf("got %+v, %v", found, err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
}

// TestStandbyTellsStates: of functions that the module names a gateway that waits tells the states, too.
func TestStandbyTellsStates(t *testing.T) {
	m, complaints := module.Parse("module.yaml", []byte(strings.ReplaceAll(stuckModule, "functions: shop/*,", "functions: shop/cart,")), func(string) (string, bool) { return "", false })
	if complaints.HasErrors() {
		t.Fatal(complaints)
	}
	store := memory.New(memory.Config{})
	claim, err := store.Acquire(t.Context(), statestore.Member{ID: "owner"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	specs := []statestore.StateSpec{{Name: "seen", TypeName: "t"}}
	if err := store.Commit(t.Context(), &statestore.Commit{
		Fence: claim.Fence, Number: claim.Commit + 1, NextNumber: claim.NextNumber,
		Functions: []statestore.FunctionSpec{{Function: api.FunctionType{Namespace: "shop", Name: "cart"}, States: specs}},
	}); err != nil {
		t.Fatal(err)
	}
	a, err := New(Config{Module: m, Store: store.Open(memory.Faults{}), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	found, err := a.Functions(t.Context())
	if err != nil || len(found) != 1 || !slices.Equal(found[0].States, specs) {
		t.Errorf("got %+v, %v", found, err)
	}
}
