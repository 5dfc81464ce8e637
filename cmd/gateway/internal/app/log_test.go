package app

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/dispatcher/endpoint"
	"github.com/stategate/stategate/dispatcher/machine"
	egresslog "github.com/stategate/stategate/egress/log"
)

// A record's way as a developer sees it: it arrives, functions are called, and the log egress shows what came of it.
func TestLogEgressAndWhatDevelopersSee(t *testing.T) {
	w := newWorld(t)
	kafka := strings.Index(w.text, "kind: io.statefun.kafka.v1/egress")
	vars := map[string]string{"KAFKA": strings.Join(w.brokers, ","), "URL": w.url}
	text := w.text[:kafka] + "kind: io.stategate.log.v1/egress\nspec: {id: test/out}\n"
	m, complaints := module.Parse("module.yaml", []byte(text), func(name string) (string, bool) { v, ok := vars[name]; return v, ok })
	if complaints.HasErrors() {
		t.Fatal(complaints)
	}
	var arrived, called []string // the sources' and the loop's; read when the app has ended
	shown := make(chan string, 1)
	cfg := Config{Module: m, Store: w.store(), Log: slog.New(slog.NewTextHandler(testWriter{t}, nil)), Hooks: Hooks{
		Arrived: func(source api.Source, records []api.Record) {
			for _, r := range records {
				arrived = append(arrived, source.Topic+" "+r.ID+" "+string(r.Value.Value))
			}
		},
		Output: func(egress string, sender api.Address, v egresslog.Text) {
			shown <- strings.Join([]string{egress, sender.String(), v.Topic, v.Key, v.Value}, " ")
		},
	}}
	cfg.Hooks.Dispatcher.Answered = func(call *machine.Call, reply *machine.Reply, failure *endpoint.Failure, _ time.Duration) {
		switch {
		case failure != nil:
			called = append(called, call.Target.String()+" "+failure.Text)
		case !reply.Incomplete:
			called = append(called, call.Target.String())
		}
	}
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	w.put("chain", "ada", "x")
	select {
	case got := <-shown:
		if want := "test/out test/count/ada counts ada 1"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	case <-time.After(patience):
		t.Fatal("the log egress shows nothing")
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"chain ada x"}, arrived); diff != "" {
		t.Errorf("arrived (-want +got):\n%s", diff)
	}
	var want []string
	for _, f := range []string{"hop0", "hop1", "hop2", "hop3", "hop4", "hop5", "hop6", "hop7", "hop8", "hop9", "count"} {
		want = append(want, "test/"+f+"/ada")
	}
	if diff := cmp.Diff(want, called); diff != "" {
		t.Errorf("called (-want +got):\n%s", diff)
	}
}
