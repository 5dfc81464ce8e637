package dispatcher

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/internal/testfunction"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

// counted is the state of test/count.
func counted(n byte) api.TypedValue {
	return api.TypedValue{TypeName: protocol.TypeLong, HasValue: true, Value: []byte{9, n, 0, 0, 0, 0, 0, 0, 0}}
}

// stateName is what test/count calls it.
func (l *life) stateName() string {
	l.t.Helper()
	_, specs, err := l.View(l.t.Context(), api.Address{Type: counter})
	if err != nil || len(specs) != 1 {
		l.t.Fatalf("specs %+v, %v", specs, err)
	}
	return specs[0].Name
}

func (l *life) version(a api.Address) string {
	l.t.Helper()
	found, err := l.cfg.Store.States(l.t.Context(), []api.Address{a})
	if err != nil || len(found[0].Values) != 1 {
		l.t.Fatalf("states %+v, %v", found, err)
	}
	return statestore.Version(found[0].Values[0].TypeName, found[0].Values[0].Value)
}

// TestEditState: an edit is compared with what is there, follows the rules of the function's own changes, and is what the next call sees.
func TestEditState(t *testing.T) {
	var n atomic.Int64
	store := newStore(func(*statestore.Commit) memory.Fault {
		if n.Add(1)%3 == 1 {
			return memory.FaultLate
		}
		return memory.FaultNone
	})
	l := begin(t, store, serveFunction(t))
	a := api.Address{Type: counter, ID: "a"}
	l.arrive(0, "a", "a")
	l.until("two outputs", func() bool { return l.got("a") == "1 2" })
	state := l.stateName()
	text := func(s string) *string { return &s }
	before := l.version(a)

	var objection *Objection
	refused := func(what string, to api.Address, e Edit) {
		t.Helper()
		if _, err := l.EditState(t.Context(), to, e, "ada"); !errors.As(err, &objection) || objection.Remedy == "" {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("a state that nobody declared", a, Edit{State: "other", Value: counted(1)})
	refused("a state without a name", a, Edit{Value: counted(1)})
	refused("another type", a, Edit{State: state, Value: api.TypedValue{TypeName: "test/other", Value: []byte("x")}})
	refused("a type name that is too long", a, Edit{State: state, Value: api.TypedValue{TypeName: strings.Repeat("x", api.TypeNameBytesMax+1)}})
	refused("a value that is too large", a, Edit{State: state, Value: api.TypedValue{TypeName: protocol.TypeLong, Value: bytes.Repeat([]byte{0}, api.ValueBytesMax+1)}})
	refused("a function that nobody knows", api.Address{Type: api.FunctionType{Namespace: "x", Name: "y"}, ID: "a"}, Edit{State: state, Value: counted(1)})
	refused("an id that is none", api.Address{Type: counter, ID: "\xff"}, Edit{State: state, Value: counted(1)})
	for what, e := range map[string]Edit{
		"only if it is not set": {State: state, Value: counted(1), If: text("")},
		"an older version":      {State: state, Value: counted(1), If: text("0123456789abcdef")},
		"a hostile version":     {State: state, Delete: true, If: text(strings.Repeat("\x00", 1000))},
	} {
		if version, err := l.EditState(t.Context(), a, e, "ada"); !errors.Is(err, ErrChanged) || version != before {
			t.Errorf("%s: %q, %v", what, version, err)
		}
	}
	if l.version(a) != before {
		t.Fatal("a refused edit has changed the state")
	}

	version, err := l.EditState(t.Context(), a, Edit{State: state, Value: counted(40), If: &before}, "ada")
	if err != nil || version != l.version(a) || version == before {
		t.Fatalf("version %q, %v", version, err)
	}
	l.arrive(2, "a")
	l.until("the count that was set", func() bool { return l.got("a") == "1 2 41" })
	if _, err := l.EditState(t.Context(), a, Edit{State: state, Value: counted(1), If: &version}, "ada"); !errors.Is(err, ErrChanged) {
		t.Errorf("the call has changed it: %v", err)
	}
	if version, err = l.EditState(t.Context(), a, Edit{State: state, Delete: true}, "ada"); err != nil || version != "" {
		t.Errorf("deleted %q, %v", version, err)
	}
	if _, err = l.EditState(t.Context(), a, Edit{State: state, Delete: true}, "ada"); !errors.Is(err, ErrNothing) {
		t.Errorf("deleted again: %v", err)
	}
	b := api.Address{Type: counter, ID: "b"} // nothing was ever sent to it
	if _, err = l.EditState(t.Context(), b, Edit{State: state, Value: counted(6), If: text("")}, "ada"); err != nil {
		t.Error(err)
	}
	l.arrive(3, "a", "b")
	l.until("the counts", func() bool { return l.got("a") == "1 2 41 1" && l.got("b") == "7" })
}

// TestEditWaitsForTheCall: while a call of the address is out its state is not edited, or its reply would undo that; and an edit that
// nobody waits for any more before its turn is not made.
func TestEditWaitsForTheCall(t *testing.T) {
	store := newStore(nil)
	handler := &testfunction.Handler{}
	called, goOn := make(chan struct{}), make(chan struct{})
	var hold atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if hold.Load() && holdsStates(t, body) {
			called <- struct{}{}
			<-goOn
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	l := begin(t, store, &function{url: server.URL})
	a := api.Address{Type: counter, ID: "a"}
	l.arrive(0, "a")
	l.until("the first output", func() bool { return l.got("a") == "1" })
	state, before := l.stateName(), l.version(a)

	hold.Store(true)
	l.arrive(1, "a")
	<-called
	ctx, cancel := context.WithCancel(t.Context())
	gone, stale, set := make(chan error, 1), make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := l.EditState(ctx, a, Edit{State: state, Value: counted(90)}, "ada")
		gone <- err
	}()
	cancel()
	if err := <-gone; !errors.Is(err, ErrNotSent) || !errors.Is(err, context.Canceled) {
		t.Errorf("the edit that was taken back: %v", err)
	}
	go func() {
		_, err := l.EditState(t.Context(), a, Edit{State: state, Value: counted(80), If: &before}, "ada")
		stale <- err
		_, err = l.EditState(t.Context(), a, Edit{State: state, Value: counted(70)}, "ada")
		set <- err
	}()
	if err := l.Ping(t.Context()); err != nil { // the loop has had its time
		t.Fatal(err)
	}
	select {
	case err := <-stale:
		t.Errorf("an edit did not wait for the call: %v", err)
	default:
	}
	hold.Store(false)
	close(goOn)
	if err := <-stale; !errors.Is(err, ErrChanged) {
		t.Errorf("the edit of what the call has changed: %v", err)
	}
	if err := <-set; err != nil {
		t.Error(err)
	}
	l.arrive(2, "a")
	l.until("the count that was set", func() bool { return l.got("a") == "1 2 71" })
	if found, err := store.States(t.Context(), []api.Address{a}); err != nil || binary.LittleEndian.Uint64(found[0].Values[0].Value[1:]) != 71 {
		t.Errorf("stored is %+v, %v", found, err)
	}
}

// holdsStates reports whether the body is of a call that carries its states.
func holdsStates(t *testing.T, body []byte) bool {
	var call protocol.ToFunction
	if err := proto.Unmarshal(body, &call); err != nil {
		t.Error(err)
	}
	return len(call.GetInvocation().GetState()) > 0
}
