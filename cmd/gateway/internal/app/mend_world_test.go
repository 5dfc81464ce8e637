package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/statestore"
)

// until waits until a gateway's status is as it should be. It looks again when a tenth of a second has passed.
func until(t *testing.T, a *App, what string, ok func(report.Status) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		s := a.Status(ctx)
		if ok(s) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not %s: %+v", what, s)
		}
	}
}

func works(s report.Status) bool { return s.Active && s.Unready == "" }

func says(text string) func(report.Status) bool {
	return func(s report.Status) bool {
		return slices.ContainsFunc(s.Reasons, func(r report.Reason) bool { return strings.Contains(r.Text, text) })
	}
}

// done is what the audit has of what was done.
func done(t *testing.T, a *App) (all []string) {
	t.Helper()
	acts, err := a.Acts(t.Context(), 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, act := range acts {
		all = append(all, fmt.Sprintf("%s: %s %s %s", act.By, act.What, act.On, act.Detail))
	}
	return all
}

// pauses asks for a pause, or for the end of one.
func pauses(t *testing.T, a *App, p statestore.Pause) error {
	_, err := a.Pause(t.Context(), p)
	return err
}

// TestPausedThroughARestart: what an operator has paused is paused for the next gateway, too, from its first moment; one that waits says
// who works.
func TestPausedThroughARestart(t *testing.T) {
	w := newWorld(t)
	a, stop := w.gateway("exactly-once")
	until(t, a, "working", works)
	pause := statestore.Pause{Kind: statestore.PauseIngress, Ingress: "test/in", By: "ada"}
	if _, err := a.Pause(t.Context(), pause); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []string{"test/none", httpSources, ""} {
		if _, err := a.Pause(t.Context(), statestore.Pause{Kind: statestore.PauseIngress, Ingress: wrong, By: "ada"}); !errors.Is(err, dispatcher.ErrNothing) {
			t.Errorf("paused %q: %v", wrong, err)
		}
	}
	pattern := statestore.Pause{Kind: statestore.PauseFunction, Address: api.Address{Type: api.FunctionType{Namespace: "test", Name: "*"}}, By: "ada"}
	if _, err := a.Pause(t.Context(), pattern); !errors.As(err, new(*dispatcher.Objection)) { // its functions would be called all the same
		t.Errorf("paused a pattern: %v", err)
	}
	second, stopSecond := w.gateway("exactly-once")
	ada := api.Address{Type: api.FunctionType{Namespace: "test", Name: "count"}, ID: "ada"}
	for what, err := range map[string]error{
		"retry": second.Retry(t.Context(), ada, "ada"), "skip": second.Skip(t.Context(), ada, 1, "ada"), "pause": pauses(t, second, pause), "discard": second.DiscardOne(t.Context(), 1, "ada"),
		"replay": second.ReplayOne(t.Context(), 1, nil, "ada"), "forget": second.ForgetEgress(t.Context(), "test/out", "ada"),
	} {
		if !errors.Is(err, report.ErrStandby) {
			t.Errorf("%s on a standby: %v", what, err)
		}
	}
	for i := range 10 {
		w.put("events", "ada", fmt.Sprint(i))
	}
	if err := stop(); err != nil { // the second one takes over
		t.Fatal(err)
	}
	until(t, second, "working", works)
	if !second.pausedIngress("test/in") {
		t.Error("it is not paused for the next one")
	}
	until(t, second, "paused", says("paused"))
	if n := w.functions.Calls(); n > 0 {
		t.Errorf("%d calls though the only ingress is paused", n)
	}
	pause.Ended = true
	if _, err := second.Pause(t.Context(), pause); err != nil {
		t.Fatal(err)
	}
	counted(t, w.results("counts", 10), map[string]int{"ada": 10})
	if second.pausedIngress("test/in") {
		t.Error("it is paused still")
	}
	if got := done(t, second); len(got) != 2 || !strings.HasPrefix(got[0], "ada: resume ") || !strings.HasPrefix(got[1], "ada: pause ") {
		t.Errorf("the audit has %q", got)
	}
	if err := stopSecond(); err != nil {
		t.Fatal(err)
	}
}

// TestDecideInAGateway: a lane whose cursor is gone stands still, and goes on as an operator decides; one that delivers is let alone.
func TestDecideInAGateway(t *testing.T) {
	w := newWorld(t)
	a, stop := w.gateway("exactly-once")
	for range 5 {
		w.put("events", "ada", "x")
	}
	counted(t, w.results("counts", 5), map[string]int{"ada": 5})
	var no *dispatcher.Objection
	if _, err := a.Decide(t.Context(), "test/out", 0, report.Decision{New: true}, "ada"); !errors.As(err, &no) || no.Remedy == "" {
		t.Errorf("a lane that delivers: %v", err)
	}
	for _, wrong := range []struct {
		id   string
		slot int
	}{{"test/none", 0}, {"test/out", 1}} {
		if _, err := a.Decide(t.Context(), wrong.id, wrong.slot, report.Decision{New: true}, "ada"); !errors.Is(err, dispatcher.ErrNothing) {
			t.Errorf("%v: %v", wrong, err)
		}
	}
	if got := done(t, a); len(got) > 0 {
		t.Errorf("nothing was done, and the audit has %q", got)
	}
	group := fmt.Sprintf("stategate-%s-test/out-0", a.About().StoreID)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	forget := kmsg.NewPtrDeleteGroupsRequest()
	forget.Groups = []string{group}
	if _, err := forget.RequestWith(t.Context(), w.client); err != nil {
		t.Fatal(err)
	}

	a, stop = w.gateway("exactly-once")
	for range 3 {
		w.put("events", "ada", "x")
	}
	until(t, a, "standing still", says("gateway egresses decide test/out --lane 0"))
	if _, err := a.Decide(t.Context(), "test/out", 0, report.Decision{From: 1 << 40}, "ada"); !errors.As(err, &no) || !strings.Contains(no.Remedy, "a number from") {
		t.Errorf("an output that there is not: %v", err)
	}
	if next, err := a.Decide(t.Context(), "test/out", 0, report.Decision{From: 6}, "ada"); err != nil || next != 6 {
		t.Fatalf("got %d, %v", next, err)
	}
	counted(t, w.results("counts", 8), map[string]int{"ada": 8})
	until(t, a, "well", func(s report.Status) bool { return works(s) && len(s.Reasons) == 0 })
	if got := done(t, a); len(got) != 1 || got[0] != "ada: decide egress test/out, lane 0 deliver from output 6 on" {
		t.Errorf("the audit has %q", got)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
}
