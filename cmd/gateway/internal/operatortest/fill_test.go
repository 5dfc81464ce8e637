//go:build linux

package operatortest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/postgres"
	"github.com/stategate/stategate/statestore/sqlite"
)

const (
	numberBytes = 8         // of a letter's value, which say which one it is
	letterBytes = 300       // of the value
	largeEvery  = 1000      // one in so many letters is large
	largeBytes  = 256 << 10 // and so large
	fillEvery   = 10_000    // rows of one commit
)

var (
	cart   = api.FunctionType{Namespace: "scale", Name: "cart"}
	letter = api.FunctionType{Namespace: "scale", Name: "letter"}
)

// kind is a store that can be filled before a gateway takes it.
type kind struct {
	url  string // as --store has it
	open func(ctx context.Context) (statestore.Store, error)
}

func onSQLite(path string) kind {
	return kind{"sqlite:" + path, func(ctx context.Context) (statestore.Store, error) {
		return sqlite.Open(ctx, sqlite.Config{Path: path, Log: slog.New(slog.DiscardHandler)})
	}}
}

func onPostgres(url string) kind {
	const schema = "scale"
	return kind{url + "&schema=" + schema, func(ctx context.Context) (statestore.Store, error) {
		return postgres.Open(ctx, postgres.Config{URL: url, Schema: schema, Log: slog.New(slog.DiscardHandler)})
	}}
}

// fill writes a store as a gateway would have left it: addresses of scale/cart with two states each, and letters that scale/letter
// could not take.
func fill(t *testing.T, k kind, addresses, letters int) {
	t.Helper()
	start := time.Now()
	s, err := k.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	claim, err := s.Acquire(t.Context(), statestore.Member{ID: uuid.NewString(), Host: "fill", Started: time.Now()}, nil)
	if err != nil {
		t.Fatal(err)
	}
	number, next := claim.Commit, claim.NextNumber
	commit := func(c statestore.Commit) {
		t.Helper()
		number++
		c.Fence, c.Number, c.NextNumber = claim.Fence, number, next
		if err := s.Commit(t.Context(), &c); err != nil {
			t.Fatal(err)
		}
	}
	commit(statestore.Commit{Functions: []statestore.FunctionSpec{{Function: cart, States: []statestore.StateSpec{{Name: "items", TypeName: "test/text"}, {Name: "total", TypeName: "io.statefun.types/long"}}}}})
	for from := 0; from < addresses; from += fillEvery {
		var c statestore.Commit
		for i := from; i < min(from+fillEvery, addresses); i++ {
			c.States = append(c.States, statestore.AddressState{Address: api.Address{Type: cart, ID: cartID(i)}, Values: []statestore.StateValue{
				{Name: "items", TypeName: "test/text", Value: bytes.Repeat([]byte("i"), 100), Changed: true},
				{Name: "total", TypeName: "io.statefun.types/long", Value: []byte{8, byte(i % 128)}, Changed: true},
			}})
		}
		commit(c)
	}
	for from := 0; from < letters; from += fillEvery {
		var c statestore.Commit
		for i := from; i < min(from+fillEvery, letters); i++ {
			c.DeadLetters = append(c.DeadLetters, letterOf(i, next))
			next++
		}
		commit(c)
	}
	if err := s.Release(t.Context(), claim.Fence); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d addresses and %d dead letters were written in %.1f s", addresses, letters, time.Since(start).Seconds())
}

func cartID(i int) string { return fmt.Sprintf("user-%07d", i) }

func letterOf(i int, number uint64) api.DeadLetter {
	size := letterBytes
	if i%largeEvery == 0 {
		size = largeBytes
	}
	value := append(fmt.Appendf(nil, "%0*d", numberBytes, i), bytes.Repeat([]byte("x"), size-numberBytes)...)
	return api.DeadLetter{
		Number: number, Kind: api.DeadMessage, From: letter.String(), Origin: api.OriginFunction(letter), Reason: "status 500", Detail: "500 Internal Server Error",
		AtMS: time.Now().UnixMilli(), Address: api.Address{Type: letter, ID: fmt.Sprint("to-", i%1000)}, Caller: api.Address{Type: cart, ID: cartID(i)}, TypeName: "test/text", Value: value,
	}
}
