package app

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// worksAlone runs a gateway of stuckModule and more on a store that knows one function. The log is whole once it has stopped.
func worksAlone(t *testing.T, log *bytes.Buffer, known, more string) (a *App, stop func()) {
	t.Helper()
	m, complaints := module.Parse("module.yaml", []byte(stuckModule+more), func(string) (string, bool) { return "", false })
	if complaints.HasErrors() {
		t.Fatal(complaints)
	}
	store := memory.New(memory.Config{})
	claim, err := store.Acquire(t.Context(), statestore.Member{ID: "before"}, nil)
	if err == nil {
		err = store.Commit(t.Context(), &statestore.Commit{
			Fence: claim.Fence, Number: claim.Commit + 1, NextNumber: claim.NextNumber,
			Functions: []statestore.FunctionSpec{{Function: api.FunctionType{Namespace: "shop", Name: known}, States: []statestore.StateSpec{{Name: "seen", TypeName: "t"}}}},
		})
	}
	if err == nil {
		err = store.Release(t.Context(), claim.Fence)
	}
	if err != nil {
		t.Fatal(err)
	}
	a, err = New(Config{Module: m, Store: store, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	stop = func() {
		t.Helper()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	until(t, a, "working", works)
	return a, stop
}

// TestResumeOfWhatIsNotPaused: whoever mistypes what he resumes is told that nothing was paused, and what is. Nothing is done then, and
// the log tells of nothing.
func TestResumeOfWhatIsNotPaused(t *testing.T) {
	function := func(name string) statestore.Pause {
		return statestore.Pause{Kind: statestore.PauseFunction, Address: api.Address{Type: api.FunctionType{Namespace: "shop", Name: name}}, By: "ada"}
	}
	address := func(id string) statestore.Pause {
		p := function("visits")
		p.Kind, p.Address.ID = statestore.PauseAddress, id
		return p
	}
	ingress := func(id string) statestore.Pause {
		return statestore.Pause{Kind: statestore.PauseIngress, Ingress: id, By: "ada"}
	}
	var log bytes.Buffer
	a, stop := worksAlone(t, &log, "visits", "")
	for _, p := range []statestore.Pause{function("visits"), address("ada"), ingress("shop/api"), address(strings.Repeat("x", 300))} {
		for i := range 2 {
			if done, err := a.Pause(t.Context(), p); err != nil || done.Changed != (i == 0) || done.Near != nil {
				t.Errorf("pause %d of %s: %+v, %v", i, pauseOn(p), done, err)
			}
		}
	}
	for name, c := range map[string]struct {
		p    statestore.Pause
		near string
	}{
		"a function":                       {function("visit"), "shop/visits"},
		"no function like it":              {function("cart"), ""},
		"an address":                       {address("adda"), "shop/visits/ada"},
		"no address like it":               {address("somebody else"), ""},
		"an address of huge length":        {address(strings.Repeat("x", 299)), ""},
		"an ingress":                       {ingress("shop/apis"), "shop/api"},
		"an ingress like a function":       {ingress("shop/visits"), ""},
		"an ingress that is not declared":  {ingress("no/ne"), ""},
		"an ingress with letters of a key": {ingress("shop/\x1bapi"), "shop/api"},
	} {
		c.p.Ended = true
		done, err := a.Pause(t.Context(), c.p)
		near := ""
		if done.Near != nil {
			near = pauseOn(*done.Near)
		}
		if err != nil || done.Changed || near != c.near {
			t.Errorf("%s: changed %v, near %q, %v", name, done.Changed, near, err)
		}
	}
	resumed := function("visits")
	resumed.Ended = true
	for i := range 2 {
		if done, err := a.Pause(t.Context(), resumed); err != nil || done.Changed != (i == 0) || done.Near != nil {
			t.Errorf("resume %d: %+v, %v", i, done, err)
		}
	}
	stop()
	if n := strings.Count(log.String(), "an operator acts"); n != 5 {
		t.Errorf("%d acts in the log, want four pauses and a resume:\n%s", n, log.String())
	}
}

// TestPauseOfAFunctionNobodyKnows: a name that only a pattern fits may be mistyped. It is paused before its first message all the same.
func TestPauseOfAFunctionNobodyKnows(t *testing.T) {
	pause := func(name string) statestore.Pause {
		return statestore.Pause{Kind: statestore.PauseFunction, Address: api.Address{Type: api.FunctionType{Namespace: "shop", Name: name}}, By: "ada"}
	}
	var log bytes.Buffer
	a, stop := worksAlone(t, &log, "known", `
---
kind: io.statefun.endpoints.v2/http
spec: {functions: shop/named, urlPathTemplate: "http://localhost:8000/"}
`)
	defer stop()
	for i := range 2 { // asked again it is not known either
		for name, unheard := range map[string]bool{"nope": true, "named": false, "known": false} {
			if done, err := a.Pause(t.Context(), pause(name)); err != nil || done.Unheard != unheard || done.Changed != (i == 0) {
				t.Errorf("pause %d of %s: %+v, %v", i, name, done, err)
			}
		}
	}
	resume := pause("nope")
	resume.Ended = true
	if done, err := a.Pause(t.Context(), resume); err != nil || done.Unheard || !done.Changed {
		t.Errorf("a resume: %+v, %v", done, err)
	}
}
