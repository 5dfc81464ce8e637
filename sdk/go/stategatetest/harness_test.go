package stategatetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	stategate "github.com/stategate/stategate/sdk/go"
)

var (
	calls = stategate.ValueSpec[int32]{Name: "calls", Type: stategate.Int, Expiration: stategate.ExpireAfterInvoke(time.Hour)}
	note  = stategate.ValueSpec[string]{Name: "note", Type: stategate.String, Expiration: stategate.ExpireAfterWrite(time.Hour)}
	self  = stategate.To("a.b/f", "k")
)

// f does what it is told by text.
var f = stategate.Function{Type: "a.b/f", States: []stategate.State{calls, note}, Call: func(_ context.Context, in *stategate.Invocation) error {
	s, err := stategate.String.From(in.Argument())
	if err != nil {
		return err
	}
	n, _, _ := calls.Get(in)
	calls.Set(in, n+1)
	switch s {
	case "note":
		note.Set(in, "here")
	case "forget":
		note.Delete(in)
	case "later":
		in.SendAfterToken(time.Minute, "t", in.Self(), stategate.String.Of("count"))
	case "cancel":
		in.Cancel("t")
	case "stranger":
		in.Send(stategate.To("a.b/stranger", "1"), stategate.Int.Of(1))
	case "again":
		in.Send(in.Self(), stategate.String.Of("again"))
	case "out":
		in.SendKinesis("a.b/out", stategate.KinesisRecord{Stream: "s", PartitionKey: "p", Value: []byte("v")})
		in.SendEgress("a.b/any", stategate.Int.Of(1))
	case "fail":
		note.Set(in, "lost")
		return errors.New("no")
	}
	return nil
}}

func say(s string) stategate.TypedValue { return stategate.String.Of(s) }

func TestStatesExpire(t *testing.T) {
	h := New(t, f)
	h.Call(self, say("note"), say("count"))
	want := func(wantCalls int32, wantNote string) {
		t.Helper()
		n, _ := State(h, self, calls)
		s, _ := State(h, self, note)
		if n != wantCalls || s != wantNote {
			t.Errorf("at %s: got %d and %q, want %d and %q", h.now, n, s, wantCalls, wantNote)
		}
	}
	want(2, "here")
	h.Advance(59 * time.Minute)
	h.Call(self, say("count"))
	want(3, "here")
	h.Advance(time.Minute)
	want(3, "")
	h.Advance(59 * time.Minute)
	want(0, "")
	SetState(h, self, calls, 7)
	h.Call(self, say("count"))
	want(8, "")
}

func TestTimers(t *testing.T) {
	h := New(t, f)
	h.Call(self, say("later"))
	h.Advance(30 * time.Second)
	if got := h.Call(self, say("later")); len(got.Delayed) != 1 || got.Delayed[0].Delay != time.Minute {
		t.Errorf("got %+v", got)
	}
	h.Advance(59 * time.Second) // the token was used again: the first one is gone
	if n, _ := State(h, self, calls); n != 2 || len(h.Pending()) != 1 {
		t.Errorf("got %d calls and %v, want 2 and one that waits", n, h.Pending())
	}
	h.Advance(time.Second)
	h.Call(self, say("later"), say("cancel"))
	h.Advance(time.Hour)
	if n, _ := State(h, self, calls); len(h.Pending()) != 0 || n != 0 {
		t.Errorf("got %d calls and %v, want none and an expired state", n, h.Pending())
	}
}

func TestFailuresHaveNoEffects(t *testing.T) {
	h := New(t, f)
	if _, err := h.Try(nil, self, say("note"), say("fail")); err == nil || !strings.Contains(err.Error(), "message 2 of 2: no") {
		t.Errorf("got %v", err)
	}
	if _, ok := State(h, self, note); ok {
		t.Error("a call that failed has written")
	}
	if _, err := h.Try(nil, stategate.To("a.b/other", "1"), say("x")); err == nil || !strings.Contains(err.Error(), "none of the harness's") {
		t.Errorf("got %v", err)
	}
}

func TestRecordsAndStrangers(t *testing.T) {
	h := New(t, f)
	h.Call(self, say("out"), say("stranger"))
	h.Run()
	if len(h.Egress) != 2 || h.Egress[0].String() != `a.b/out: s "p"="v"` || h.Egress[1].String() != "a.b/any: io.statefun.types/int" {
		t.Errorf("got %v", h.Egress)
	}
	if len(h.Undelivered) != 1 || h.Undelivered[0].To != stategate.To("a.b/stranger", "1") || h.Undelivered[0].From != self {
		t.Errorf("got %v", h.Undelivered)
	}
}

// failing notes that a test has failed instead of failing.
type failing struct {
	testing.TB
	text string
}

func (f *failing) Helper() {}
func (f *failing) Fatalf(format string, _ ...any) {
	f.text = format
	panic(f)
}

func TestLoop(t *testing.T) {
	h := New(t, f)
	fails := &failing{TB: t}
	h.t = fails
	h.Call(self, say("again"))
	defer func() {
		if recover() != fails || !strings.Contains(fails.text, "for ever") {
			t.Errorf("a loop ended with %q", fails.text)
		}
	}()
	h.Run()
}
