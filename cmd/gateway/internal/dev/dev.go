// Package dev is a newcomer's minute: the sample application with everything that it needs inside one process and a child:
// a Kafka, a store in a temporary folder, and the functions. Nothing of it is for production.
package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/app"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/statestore/sqlite"
)

// Config is one run.
type Config struct {
	Module    string    // file; it must be the sample's for Once
	Functions []string  // command that serves the functions and says "listening on URL"
	Once      bool      // play the sample's records, check the results, and end
	Began     time.Time // of the process
	Admin     net.Listener
	// ServeAdmin serves the admin side until ctx ends.
	ServeAdmin func(ctx context.Context, l net.Listener, a *app.App) error
	Hooks      app.Hooks
	In         io.Reader // lines "user page" become records, without Once
	Out        io.Writer
	Log        *slog.Logger
}

// onceMax bounds a whole run with Once; the build of the functions is most of it.
const onceMax = 3 * time.Minute

// Run starts everything and serves until ctx ends, or with Once until the sample is checked. It returns when all has ended.
func Run(ctx context.Context, cfg Config) (err error) {
	if cfg.Once {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, onceMax, fmt.Errorf("no result within %s", onceMax))
		defer cancel()
	}
	folder, err := os.MkdirTemp("", "stategate-dev-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()

	fmt.Fprintln(cfg.Out, "starting the functions:", strings.Join(cfg.Functions, " "))
	functions, err := startFunctions(ctx, cfg.Functions, cfg.Out)
	if err != nil {
		return err
	}
	defer functions.stop()

	first, complaints := module.Load(cfg.Module, os.LookupEnv) // for its topics; addresses are ours
	if complaints.HasErrors() {
		return fmt.Errorf("load %s:\n%s", cfg.Module, complaints.Errors())
	}
	k, err := startKafka(append(topicsOf(first), greetings))
	if err != nil {
		return err
	}
	defer k.close()

	m, _ := module.Load(cfg.Module, override(map[string]string{"KAFKA_ADDRESS": k.address, "FUNCTIONS_URL": functions.url}))
	store, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(folder, "stategate.db"), Log: cfg.Log})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	a, err := app.New(app.Config{Module: m, Store: store, Address: cfg.Admin.Addr().String(), Log: cfg.Log, Hooks: cfg.Hooks})
	if err != nil {
		return err
	}
	return serve(ctx, cfg, a, k, functions)
}

// serve runs the gateway beside what is to be done with it.
func serve(ctx context.Context, cfg Config, a *app.App, k *kafka, functions *process) error {
	serving, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	ended := make(chan error, 2)
	go func() { ended <- a.Run(serving) }()
	go func() { ended <- cfg.ServeAdmin(serving, cfg.Admin, a) }()
	played := make(chan error, 1)
	go func() { played <- use(serving, cfg, k) }()

	var err error
	left := 2
	select {
	case err = <-played:
	case err = <-ended:
		left--
		if err == nil && ctx.Err() == nil {
			err = errors.New("the gateway ended by itself")
		}
	case <-functions.done:
		err = fmt.Errorf("the functions ended: %w", functions.ended())
	}
	stop(nil)
	for range left {
		err = errors.Join(err, <-ended)
	}
	return err
}

// use plays the sample, or waits for the end while it shows what results come.
func use(ctx context.Context, cfg Config, k *kafka) error {
	if cfg.Once {
		first, err := play(ctx, k, cfg.Out)
		if err != nil {
			return errors.Join(err, context.Cause(ctx))
		}
		if err := show(ctx, cfg.Admin.Addr().String(), cfg.Out); err != nil {
			return err
		}
		fmt.Fprintf(cfg.Out, "all is right: %d records in, each counted and answered once; the first result came %.1f s after the start\n",
			len(sample), first.Sub(cfg.Began).Seconds())
		return nil
	}
	return stay(ctx, cfg, k)
}

// override answers the given variables instead of the environment's.
func override(vars map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		if v, ok := vars[name]; ok {
			return v, true
		}
		return os.LookupEnv(name)
	}
}
