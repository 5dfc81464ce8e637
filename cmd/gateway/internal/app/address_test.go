package app

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
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
