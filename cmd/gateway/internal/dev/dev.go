// Package dev is a newcomer's minute: an application with everything that it needs inside one process and its children: a Kafka, a
// store in a temporary folder, and the processes that the module names. It shows what happens as it happens. Nothing of it is for
// production.
package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/stategate/stategate/cmd/gateway/internal/app"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	egresslog "github.com/stategate/stategate/egress/log"
	"github.com/stategate/stategate/statestore/sqlite"
)

// Config is one run.
type Config struct {
	Module []string  // files; they must be the sample's for Once
	Once   bool      // play the sample's records, check the results, and end
	Began  time.Time // of the process
	Admin  net.Listener
	// Wished are the addresses that were meant for Admin and for what Events opens. Where another port is in use, that is said.
	Wished struct{ Admin, Events string }
	// Events opens where HTTP ingresses listen, for a module that has some.
	Events func() (net.Listener, error)
	// ServeAdmin serves the admin side until ctx ends, and what is below /topics by topics, which is nil without Kafka.
	ServeAdmin func(ctx context.Context, l net.Listener, a *app.App, topics http.Handler) error
	Guard      []string // command line that calls Guard with what follows
	Hooks      app.Hooks
	Out        io.Writer
	Colour     bool
	Level      slog.Level // of the gateway's log
}

// onceMax bounds a whole run with Once; the build of the functions is most of it.
const onceMax = 3 * time.Minute

// world is what runs.
type world struct {
	Config
	module    *module.Module
	screen    *screen
	log       *slog.Logger
	kafka     *kafka // nil: the module has none
	processes []*process
	ports     map[string]string
	events    net.Listener // nil: the module has no HTTP ingress
}

// Run starts everything and serves until ctx ends, or with Once until the sample is checked. It returns when all has ended.
func Run(ctx context.Context, cfg Config) (err error) {
	if cfg.Once {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, onceMax, fmt.Errorf("no result within %s", onceMax))
		defer cancel()
	}
	w := &world{Config: cfg, ports: map[string]string{}, screen: newScreen(cfg.Out, cfg.Colour)}
	defer w.screen.close()
	w.log = w.screen.log(cfg.Level)
	if err := w.load(); err != nil {
		return err
	}
	running, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	var around sync.WaitGroup // what is there before the gateway and after it
	defer around.Wait()
	defer stop(nil)
	if topics := topicsOf(w.module); len(topics)+len(w.module.KafkaEgresses) > 0 {
		if w.kafka, err = startKafka(topics, w.left); err != nil {
			return err
		}
		defer w.kafka.close()
		w.kafka.intoKafka(w.module)
		around.Go(func() { w.kafka.run(running) })
		defer around.Wait()
		defer stop(nil) // before the Kafka is closed
	}
	if err := w.startProcesses(ctx, running, stop, &around); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	if ctx.Err() != nil {
		if w.Once {
			return context.Cause(ctx)
		}
		return nil
	}
	return w.gateway(ctx, running)
}

// load reads the module twice: for the ports that it wants, and with them.
func (w *world) load() error {
	lookup := func(name string) (string, bool) {
		if v, ok := w.ports[name]; ok {
			return v, true
		}
		return os.LookupEnv(name)
	}
	for range 2 {
		m, complaints := module.LoadAll(w.Module, lookup)
		if complaints.HasErrors() {
			return fmt.Errorf("load %s:\n%s", strings.Join(w.Module, ", "), strings.TrimSuffix(complaints.Errors().String(), "\n"))
		}
		w.module = m
		for i := range m.Processes {
			variable := m.Processes[i].FreePort
			if _, given := lookup(variable); variable == "" || given {
				continue
			}
			port, err := freePort()
			if err != nil {
				return err
			}
			w.ports[variable] = port
		}
	}
	return nil
}

// freePort is one that nobody has now.
func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), l.Close()
}

// startProcesses returns when all are ready, ctx has ended, or one cannot go on.
func (w *world) startProcesses(ctx, running context.Context, stop context.CancelCauseFunc, around *sync.WaitGroup) error {
	for i := range w.module.Processes {
		spec := w.module.Processes[i]
		p := &process{spec: spec, guard: w.Guard, vars: environment(&spec, w.ports), once: w.Once, out: w.screen, ready: make(chan struct{})}
		if err := p.check(); err != nil {
			return err
		}
		w.processes = append(w.processes, p)
	}
	for _, p := range w.processes {
		w.screen.step(dim, "start", "%s: %s", p.spec.Name, strings.Join(p.spec.Command, " "))
		around.Go(func() {
			if err := p.run(running); err != nil {
				stop(err)
			}
		})
	}
	for _, p := range w.processes {
		select {
		case <-p.ready:
			w.screen.step(dim, "ready", "%s", p.spec.Name)
		case <-running.Done():
			return context.Cause(running)
		case <-ctx.Done():
			return nil
		}
	}
	return nil
}

// left shows a record that has left, and how to read more of its topic.
func (w *world) left(r *kgo.Record, first bool) {
	if w.Once { // play shows them, in its way
		return
	}
	w.screen.step(left, "out", "%s %s: %s", r.Topic, egresslog.Bytes(r.Key), egresslog.Bytes(r.Value))
	if first {
		w.screen.step(dim, "next", "curl '%s%s/%s?from=0'", w.address(), topicsPath, r.Topic)
	}
}

func (w *world) address() string { return "http://" + w.Admin.Addr().String() }

// gateway serves until ctx ends, with Once until the sample is checked.
func (w *world) gateway(ctx, running context.Context) (err error) {
	folder, err := os.MkdirTemp("", "stategate-dev-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	store, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(folder, "stategate.db"), Log: w.log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	want := func(string) {}
	var topics http.Handler
	if w.kafka != nil {
		want, topics = w.kafka.want, w.kafka
	}
	hooks := w.Hooks
	if !w.Once {
		hooks = newSteps(w.screen, w.module, want).hooks(hooks)
	} else if w.kafka != nil {
		w.kafka.want(greetings)
	}
	events, err := w.openEvents()
	if err != nil {
		return err
	}
	if w.events != nil {
		defer w.events.Close() // serving closes it; this is for the ways out before
	}
	a, err := app.New(app.Config{Module: w.module, Store: store, Address: w.Admin.Addr().String(), HTTP: events, Log: w.log, Hooks: hooks})
	if err != nil {
		return err
	}
	serving, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 2)
	go func() { ended <- a.Run(serving) }()
	go func() { ended <- w.ServeAdmin(serving, w.Admin, a, topics) }()
	used := make(chan error, 1)
	go func() { used <- w.use(serving) }()

	left := 2
	select {
	case err = <-used:
	case err = <-ended:
		left--
		if err == nil && ctx.Err() == nil {
			err = errors.New("the gateway ended by itself")
		}
	case <-running.Done():
		err = context.Cause(running)
	}
	stop()
	for range left {
		err = errors.Join(err, <-ended)
	}
	return err
}

// use plays the sample, or says what to try and waits for the end.
func (w *world) use(ctx context.Context) error {
	if !w.Once {
		w.moved("--admin", w.Wished.Admin, w.Admin)
		w.moved("--listen", w.Wished.Events, w.events)
		w.screen.print("%s", w.next())
		<-ctx.Done()
		w.screen.step(dim, "stop", "the gateway first, then the processes")
		return nil
	}
	first, err := play(ctx, w.kafka, w.screen)
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	if err := show(ctx, w.address(), w.screen); err != nil {
		return err
	}
	w.screen.print("all is right: %d records in, each counted and answered once; the first result came %.1f s after the start",
		len(sample), first.Sub(w.Began).Seconds())
	return nil
}

// moved says that what was meant for one port is on another: what is sent to the port of old goes to somebody else.
func (w *world) moved(flag, wished string, l net.Listener) {
	_, port, err := net.SplitHostPort(wished)
	if l == nil || err != nil || port == "0" || port == strconv.Itoa(l.Addr().(*net.TCPAddr).Port) {
		return
	}
	w.screen.step(bad, "taken", "%s is another program's, maybe an earlier gateway dev: %s is %s here; end the other one, or give %s HOST:PORT", wished, flag, l.Addr(), flag)
}

// openEvents opens where HTTP ingresses listen, if the module has some.
func (w *world) openEvents() (h app.HTTP, err error) {
	if len(w.module.HTTPIngresses) == 0 || w.Events == nil {
		return h, nil
	}
	if w.events, err = w.Events(); err != nil {
		return h, err
	}
	return app.HTTP{Listener: w.events, Advertise: w.events.Addr().String()}, nil
}
