package app

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/egress"
	"github.com/stategate/stategate/statestore"
)

// An egress that keeps no outbox gets a lane of its own, and hears of the one that it had when it kept one.
func TestRelaysHearOfFormerLanes(t *testing.T) {
	type lanes struct{ lane, former statestore.Lane }
	got := map[string]lanes{}
	sinkOf := func(id string, outbox bool) *sink {
		return &sink{id: id, outbox: outbox, open: func(lane, former statestore.Lane, _ egress.Engine, claim string) (relay, error) {
			if claim != "token" {
				t.Errorf("egress %s: claim %q", id, claim)
			}
			got[id] = lanes{lane, former}
			return offers{}, nil
		}}
	}
	kept := func(id string) statestore.Lane {
		return statestore.Lane{LaneID: statestore.LaneID{Egress: id}, Next: 7, Started: true, Low: 5}
	}
	l := &incarnation{relays: map[string]relay{}, slots: map[string]int{}, app: &App{egresses: map[string]*sink{
		"a/stored": sinkOf("a/stored", true), "a/weakened": sinkOf("a/weakened", false), "a/loose": sinkOf("a/loose", false),
	}}}
	claim := &statestore.Claim{Token: "token", Lanes: []statestore.Lane{kept("a/stored"), kept("a/weakened"), kept("a/removed")}}
	if err := l.makeRelays(claim); err != nil {
		t.Fatal(err)
	}
	none := func(id string) statestore.Lane {
		return statestore.Lane{LaneID: statestore.LaneID{Egress: id, Slot: egress.NoOutbox}, Next: 1}
	}
	want := map[string]lanes{
		"a/stored":   {lane: kept("a/stored")},
		"a/weakened": {lane: none("a/weakened"), former: kept("a/weakened")},
		"a/loose":    {lane: none("a/loose")},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(lanes{})); diff != "" {
		t.Error(diff)
	}
	if len(l.relays) != 3 {
		t.Errorf("%d relays", len(l.relays))
	}
}

// offers is a relay that does nothing.
type offers struct{ relay }

// A stop waits for outputs that are on their way, and not for those whose egress is away, nor for those that others fetch.
func TestUndelivered(t *testing.T) {
	away := func(id string) bool { return id == "a/away" }
	for _, c := range []struct {
		outputs     map[string]int64
		waits, left string
	}{
		{nil, "<nil>", "<nil>"},
		{map[string]int64{"a/empty": 0, "a/away": 0, "a/fetched": 7}, "<nil>", "<nil>"},
		{map[string]int64{"a/slow": 2, "a/away": 3, "a/fetched": 7}, "egress a/slow: 2 in its outbox", "egress a/away, which is away: 3 in its outbox"},
		{map[string]int64{"a/away": 3}, "<nil>", "egress a/away, which is away: 3 in its outbox"},
	} {
		waits, left := undelivered(c.outputs, map[string]bool{"a/fetched": true}, away)
		if got := [2]string{fmt.Sprint(waits), fmt.Sprint(left)}; got != [2]string{c.waits, c.left} {
			t.Errorf("%v: got %q", c.outputs, got)
		}
	}
}

// What is stated of one topic, stream or shard holds up nothing else.
func TestStandsStill(t *testing.T) {
	for key, want := range map[string]bool{
		"egress a/out: kafka": true, "egress a/out: cursor lost": true, "egress a/out: kinesis": true, "egress a/out: held up": true,
		"egress a/out: topic missing": false, "egress a/out: stream missing: stream s": false, "egress a/out: throttled: stream s": false,
	} {
		if got := standsStill([]report.Condition{{Key: key}}); got != want {
			t.Errorf("%s: %v, want %v", key, got, want)
		}
	}
	if standsStill(nil) || !standsStill([]report.Condition{{Key: "egress a/out: throttled"}, {Key: "egress a/out: kinesis"}}) {
		t.Error("nothing is stated of one that stands still, or one of two is passed over")
	}
}

// Whoever takes the store over is told of what waits for functions that the module does not declare, wherever it is kept.
func TestWarnOfStrangers(t *testing.T) {
	var log bytes.Buffer
	gone, spilled := api.FunctionType{Namespace: "a", Name: "gone"}, api.FunctionType{Namespace: "a", Name: "spilled"}
	known := api.FunctionType{Namespace: "a", Name: "known"}
	a := &App{log: slog.New(slog.NewTextHandler(&log, nil)), functions: &functions{known: map[api.FunctionType]answer{known: {declared: true}, gone: {}, spilled: {}}}}
	mail := func(t api.FunctionType) statestore.Mail {
		return statestore.Mail{Message: api.Message{Target: api.Address{Type: t, ID: "x"}}}
	}
	a.warnOfStrangers(&statestore.Claim{
		Packs:   []statestore.Pack{{Messages: []statestore.Mail{mail(gone), mail(known), mail(spilled)}}, {Messages: []statestore.Mail{mail(gone)}}},
		Spilled: []statestore.SpillTotal{{Function: spilled, Messages: 7}, {Function: known, Messages: 3}},
	})
	for _, want := range []string{"function=a/gone messages=2", "function=a/spilled messages=8"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in:\n%s", want, &log)
		}
	}
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("%d lines, want 2:\n%s", n, &log)
	}
}
