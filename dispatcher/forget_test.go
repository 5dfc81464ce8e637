package dispatcher

import (
	"errors"
	"strings"
	"testing"

	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// TestForget: what is kept of an ingress and of an egress goes when the module does not declare them any more and an operator says so, and
// nothing goes before.
func TestForget(t *testing.T) {
	store := newStore(nil)
	declares := func(c *Config) {
		c.Ingresses = []string{"test/in"}
		c.Deliver = func(statestore.OutputPack) {}
	}
	f := serveFunction(t)
	l := begin(t, store, f, declares)
	l.arrive(0, "a", "b", "c")
	p := statestore.Pause{Kind: statestore.PauseIngress, Ingress: "test/in", By: "ada"}
	if _, err := l.Pause(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	l.finished(3)
	var objection *Objection
	for _, forget := range []func() error{
		func() error { return l.ForgetIngress(t.Context(), "test/in", "ada") },
		func() error { return l.ForgetEgress(t.Context(), "test/out", "ada") },
	} {
		if err := forget(); !errors.As(err, &objection) || objection.Remedy == "" {
			t.Errorf("forgotten while it is declared: %v", err)
		}
	}
	l.stop()
	<-l.ended

	l = begin(t, store, f, func(c *Config) { c.Machine.Incarnation, c.Egresses = 2, map[string]machine.Egress{} })
	for _, id := range []string{"", "test", "test/other", "test/in\x00", strings.Repeat("x", 1<<20)} {
		if err := l.ForgetIngress(t.Context(), id, "ada"); !errors.Is(err, ErrNothing) {
			t.Errorf("ingress %.20q: %v", id, err)
		}
		if err := l.ForgetEgress(t.Context(), id, "ada"); !errors.Is(err, ErrNothing) {
			t.Errorf("egress %.20q: %v", id, err)
		}
	}
	if err := l.ForgetIngress(t.Context(), "test/in", "ada"); err != nil {
		t.Error(err)
	}
	if err := l.ForgetEgress(t.Context(), "test/out", "ada"); err != nil {
		t.Error(err)
	}
	if err := l.ForgetIngress(t.Context(), "test/in", "ada"); !errors.Is(err, ErrNothing) {
		t.Errorf("forgotten twice: %v", err)
	}
	if err := l.ForgetEgress(t.Context(), "test/out", "ada"); !errors.Is(err, ErrNothing) {
		t.Errorf("forgotten twice: %v", err)
	}
	if _, ok := l.Progress(l.source); ok {
		t.Error("a source of the ingress still has progress")
	}
	l.stop()
	<-l.ended

	l = begin(t, store, f, declares, func(c *Config) { c.Machine.Incarnation = 3 })
	c := l.cfg.Claim
	if len(c.Progress) != 0 || len(c.Pauses) != 0 || len(c.Lanes) != 1 || c.Lanes[0].Next != 4 || c.Lanes[0].Low != 4 || c.Lanes[0].Bytes != 0 {
		t.Errorf("left are progress %+v, pauses %+v, lanes %+v", c.Progress, c.Pauses, c.Lanes)
	}
	acts, err := store.Acts(t.Context(), 0, 10)
	if err != nil || len(acts) < 4 || acts[0].What != "forget" || acts[0].On != "egress test/out" || !strings.Contains(acts[0].Detail, "3 outputs") || acts[0].By != "ada" {
		t.Errorf("acts %+v, %v", acts, err)
	}
	l.arrive(0, "a") // its sources begin anew
	l.finished(1)
}
