package app

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/statestore/memory"
)

// Only the first gateway of a store says that it is new: each process counts its own commits, and without a source there is no position.
func TestOnlyTheFirstFindsANewStore(t *testing.T) {
	text := "kind: io.stategate.http.v1/ingress\nspec: {id: test/in, functions: [test/*]}\n---\n" +
		"kind: io.statefun.endpoints.v2/http\nspec: {functions: test/*, urlPathTemplate: \"http://127.0.0.1:1/\"}\n"
	m, complaints := module.Parse("module.yaml", []byte(text), func(string) (string, bool) { return "", false })
	if complaints.HasErrors() {
		t.Fatal(complaints)
	}
	store := memory.New(memory.Config{})
	for start, want := range []bool{true, false, false} {
		var said bytes.Buffer // read when the gateway has ended
		a, err := New(Config{Module: m, Store: store.Open(memory.Faults{}), Log: slog.New(slog.NewTextHandler(&said, nil))})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- a.Run(ctx) }()
		hostileUntil(t, "the gateway works", func() bool { return a.life.Load() != nil })
		cancel()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(said.Bytes(), []byte("the store is new")); got != want {
			t.Errorf("start %d: said to be new %v, want %v:\n%s", start, got, want, &said)
		}
	}
}
