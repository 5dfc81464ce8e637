package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// A standby has nobody's memory to ask what the states are. It reads that from the store, or what has expired would look alive.
func TestStandbyKnowsTheSpecsOfStates(t *testing.T) {
	store := memory.New(memory.Config{})
	claim, err := store.Acquire(t.Context(), statestore.Member{ID: "owner"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	bob := api.Address{Type: api.FunctionType{Namespace: "shop", Name: "cart"}, ID: "bob"}
	specs := []statestore.StateSpec{{Name: "seen", TypeName: "t", Expiration: statestore.ExpireAfterWrite, TTL: 1000}}
	values := []statestore.StateValue{{Name: "seen", TypeName: "t", Value: []byte("x"), Touched: 1, Changed: true}}
	err = store.Commit(t.Context(), &statestore.Commit{
		Fence: claim.Fence, Number: claim.Commit + 1, NextNumber: claim.NextNumber,
		Functions: []statestore.FunctionSpec{{Function: bob.Type, States: specs}},
		States:    []statestore.AddressState{{Address: bob, Values: values, Expires: 1001}},
	})
	if err != nil {
		t.Fatal(err)
	}
	standby := &App{cfg: Config{Store: store.Open(memory.Faults{})}, functions: newFunctions(&module.Module{})}
	got, err := standby.Address(t.Context(), bob)
	if err != nil {
		t.Fatal(err)
	}
	if got.Active || len(got.Stored.Values) != 1 {
		t.Errorf("got %+v, want a standby that reads one value", got)
	}
	if diff := cmp.Diff(specs, got.Specs); diff != "" {
		t.Errorf("specs (-want +got):\n%s", diff)
	}
}

// broken answers no question for addresses.
type broken struct{ statestore.Store }

var errBroken = errors.New("the row is damaged")

func (broken) Addresses(context.Context, api.FunctionType, string, []byte, int) ([]api.Address, []byte, error) {
	return nil, nil, errBroken
}

// A page of addresses is never told without what is in memory only because the incarnation that knows ends meanwhile: pages go on behind
// the last address of the one before, so nothing would tell of those that were passed over.
func TestAddressesOfAnIncarnationThatEnds(t *testing.T) {
	store := memory.New(memory.Config{}).Open(memory.Faults{})
	claim, err := store.Acquire(t.Context(), statestore.Member{ID: "owner", Address: "host:1", Host: "host"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	cart := api.FunctionType{Namespace: "shop", Name: "cart"}
	states := []statestore.AddressState{{Address: api.Address{Type: cart, ID: "bob"}, Values: []statestore.StateValue{{Name: "seen", TypeName: "t", Touched: 1, Changed: true}}}}
	if err := store.Commit(t.Context(), &statestore.Commit{Fence: claim.Fence, Number: claim.Commit + 1, NextNumber: claim.NextNumber, States: states}); err != nil {
		t.Fatal(err)
	}
	begin := func(store statestore.Store) (a *App, end func()) {
		life, cancel := context.WithCancel(context.Background())
		a = &App{cfg: Config{Store: store}}
		d := dispatcher.New(dispatcher.Config{
			Store: store, Claim: claim, Log: slog.New(slog.DiscardHandler),
			Function: func(api.FunctionType) (dispatcher.Function, bool) { return dispatcher.Function{}, false },
		})
		a.life.Store(d)
		ended := make(chan error, 1)
		go func() { ended <- d.Run(life) }()
		return a, sync.OnceFunc(func() { cancel(); <-ended })
	}
	list := func(a *App) ([]api.Address, error) {
		found, _, err := a.Addresses(t.Context(), cart, "", nil, 10)
		return found, err
	}

	a, end := begin(store)
	defer end()
	if found, err := list(a); err != nil || len(found) != 1 {
		t.Errorf("while it works: got %v, %v", found, err)
	}
	end()
	var standby *report.Standby
	if found, err := list(a); !errors.As(err, &standby) || standby.Owner != "host:1" || found != nil {
		t.Errorf("it has ended, and is still the one that is asked: got %v, %v", found, err)
	}
	a.life.Store(nil)
	if found, err := list(a); err != nil || len(found) != 1 {
		t.Errorf("on a standby: got %v, %v", found, err)
	}

	a, end = begin(broken{store})
	defer end()
	if _, err := list(a); !errors.Is(err, errBroken) {
		t.Errorf("the store says what is wrong: got %v", err)
	}
}
