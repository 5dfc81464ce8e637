package dispatcher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
	"github.com/stategate/stategate/statestore/memory"
)

func eventTo(id string) api.Message {
	return api.Message{Target: api.Address{Type: counter, ID: id}, Argument: api.TypedValue{TypeName: "test/event", HasValue: true, Value: []byte("x")}}
}

// TestSend: whatever comes back from Send is durable, and takes effect once; one after the other in order.
func TestSend(t *testing.T) {
	var n atomic.Int64
	l := begin(t, newStore(func(*statestore.Commit) memory.Fault {
		return []memory.Fault{memory.FaultNone, memory.FaultLost, memory.FaultDone}[n.Add(1)%3]
	}), serveFunction(t))
	const senders, each = 4, 25
	ended := make(chan error, senders)
	for s := range senders {
		go func() {
			for range each {
				if err := l.Send(t.Context(), eventTo(fmt.Sprint(s))); err != nil {
					ended <- err
					return
				}
			}
			ended <- nil
		}()
	}
	for range senders {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	for s := range senders {
		l.until("the outputs", func() bool { return len(l.outputs[fmt.Sprint(s)]) >= each })
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range senders {
		for i, got := range l.outputs[fmt.Sprint(s)] {
			if got != fmt.Sprint(i+1) {
				t.Fatalf("outputs of %d: %v", s, l.outputs[fmt.Sprint(s)])
			}
		}
	}
}

// TestSentIsKept: what was acknowledged is there after a crash, though nobody could be called with it.
func TestSentIsKept(t *testing.T) {
	store, f := newStore(nil), serveFunction(t)
	f.SetDown("count", true)
	l := begin(t, store, f)
	for range 3 {
		if err := l.Send(t.Context(), eventTo("a")); err != nil {
			t.Fatal(err)
		}
	}
	l.stop()
	if err := l.end(); err != nil {
		t.Fatal(err)
	}
	f.SetDown("count", false)
	l = begin(t, store, f)
	l.until("the outputs", func() bool { return l.got("a") == "1 2 3" })
}

func TestSendRefused(t *testing.T) {
	declared := api.FunctionType{Namespace: "test", Name: "count"}
	l := begin(t, newStore(nil), serveFunction(t), func(c *Config) {
		all := c.Function
		c.Function = func(t api.FunctionType) (Function, bool) {
			f, _ := all(t)
			if t.Name == "fault" {
				f.Refusal = "its name can be in no URL"
			}
			return f, t.Name != "undeclared"
		}
	})
	for name, c := range map[string]struct {
		msg    api.Message
		reason string
	}{
		"nobody serves it":  {api.Message{Target: api.Address{Type: api.FunctionType{Namespace: "test", Name: "undeclared"}, ID: "a"}}, "unknown function"},
		"no request can be": {api.Message{Target: api.Address{Type: api.FunctionType{Namespace: "test", Name: "fault"}, ID: "a"}}, "unreachable function"},
		"no name":           {api.Message{Target: api.Address{ID: "a"}}, "bad address"},
		"a long id":         {api.Message{Target: api.Address{Type: declared, ID: strings.Repeat("x", api.IDBytesMax+1)}}, "bad address"},
		"an id in Latin-1":  {api.Message{Target: api.Address{Type: declared, ID: "\xe4"}}, "bad address"},
		"a long caller": {api.Message{
			Target: api.Address{Type: declared, ID: "a"}, Caller: api.Address{Type: declared, ID: strings.Repeat("x", api.IDBytesMax+1)},
		}, "bad address"},
		"a long type name": {api.Message{
			Target: api.Address{Type: declared, ID: "a"}, Argument: api.TypedValue{TypeName: strings.Repeat("x", api.TypeNameBytesMax+1)},
		}, "bad value"},
	} {
		var refusal *Refusal
		if err := l.Send(t.Context(), c.msg); !errors.As(err, &refusal) || refusal.Reason != c.reason {
			t.Errorf("%s: %v, want %q", name, err, c.reason)
		}
	}
	if got := l.totals(); len(got) > 0 {
		t.Errorf("set aside: %+v", got)
	}
	l.Dispatcher.mu.Lock()
	defer l.Dispatcher.mu.Unlock()
	if len(l.waiters) > 0 {
		t.Errorf("%d wait for what was refused", len(l.waiters))
	}
}

// TestSendWaitsForRoom: behind a function that takes nothing, what its budget holds is acknowledged; the rest waits, and is known not to
// have happened when its sender waits no longer.
func TestSendWaitsForRoom(t *testing.T) {
	f := serveFunction(t)
	f.SetDown("count", true)
	l := begin(t, newStore(nil), f, func(c *Config) { c.Machine.KeptBytesMax = 300 })
	for range 2 {
		if err := l.Send(t.Context(), eventTo("a")); err != nil {
			t.Fatal(err)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Send(gone, eventTo("a")); !errors.Is(err, ErrNotSent) || !errors.Is(err, context.Canceled) {
		t.Errorf("a sender that is gone is told %v", err)
	}
	sent := make(chan error, 1)
	go func() { sent <- l.Send(t.Context(), eventTo("a")) }()
	f.SetDown("count", false)
	if err := <-sent; err != nil {
		t.Error(err)
	}
	l.until("the outputs", func() bool { return l.got("a") == "1 2 3" })
}

// TestSendIntoTheEnd: with the store away, whoever waits is told whether the store was asked to make the message durable.
func TestSendIntoTheEnd(t *testing.T) {
	tried := make(chan struct{}, 1)
	store := newStore(func(*statestore.Commit) memory.Fault {
		select {
		case tried <- struct{}{}:
		default:
		}
		return memory.FaultUnavailable
	})
	l := begin(t, store, serveFunction(t))
	first, second := make(chan error, 1), make(chan error, 1)
	gone, cancel := context.WithCancel(t.Context())
	third := make(chan error, 1)
	go func() { first <- l.Send(t.Context(), eventTo("a")) }()
	<-tried
	go func() { second <- l.Send(t.Context(), eventTo("b")) }()
	go func() { third <- l.Send(gone, eventTo("c")) }()
	cancel()
	if err := <-third; !errors.Is(err, ErrSentMaybe) || !errors.Is(err, context.Canceled) {
		t.Errorf("whoever waits no longer is told %v", err)
	}
	l.stop()
	if err := <-first; !errors.Is(err, ErrSentMaybe) {
		t.Errorf("the first one is told %v", err)
	}
	if err := <-second; !errors.Is(err, ErrNotSent) {
		t.Errorf("the second one is told %v", err)
	}
}
