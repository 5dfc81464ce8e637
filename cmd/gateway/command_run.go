package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/app"
	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/credential"
	"github.com/stategate/stategate/cmd/gateway/internal/logs"
	"github.com/stategate/stategate/cmd/gateway/internal/metrics"
	"github.com/stategate/stategate/cmd/gateway/internal/module"
	"github.com/stategate/stategate/cmd/gateway/internal/trace"
	"github.com/stategate/stategate/cmd/gateway/internal/version"
	"github.com/stategate/stategate/dispatcher/endpoint"
)

func newRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the application of a module.yaml",
		Long: `run serves the application that the module declares until it is told to stop (SIGTERM, or Ctrl-C): then it drains for at
most --drain-timeout and ends with 0. A second gateway on the same store waits and takes over when the first one ends or dies.`,
		Example: `  gateway run
  gateway run --module /opt/statefun/modules
  gateway run --module module.yaml --store postgres://gateway@db/app --admin :8081 --admin-token-file operators`,
		Args: noArguments,
	}
	loader := config.Register(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, warnings, err := loader.Load(os.Environ())
		if err != nil {
			return err
		}
		written := newLog(cfg, cmd.ErrOrStderr())
		slog.SetDefault(written.Logger()) // also of what libraries have to say
		for _, w := range warnings {
			slog.Warn(w)
		}
		return run(cmd.Context(), cfg, loader, written, cmd.ErrOrStderr())
	}
	return cmd
}

// run serves until ctx ends. The settings came from loader.
func run(ctx context.Context, cfg config.Config, loader *config.Loader, written *logs.Log, stderr io.Writer) (err error) {
	log := written.Logger()
	defer tellOfEnd(log)()
	memory, limits := memoryAndBounds(cfg)
	room := headroom(os.LookupEnv, heapLimit(limits, memory))
	defer runtime.KeepAlive(room)
	if err := applicationHere(cfg.Module); err != nil {
		return err
	}
	m, complaints := module.LoadAll(cfg.Module, os.LookupEnv)
	all := complaints
	if m != nil {
		all = append(slices.Clone(complaints), app.CheckKafka(m)...) // app.New logs the warnings among them
		all.Sort()
	}
	if all.HasErrors() {
		fmt.Fprint(stderr, all)
		return fmt.Errorf("%s cannot be run; gateway check tells the same", strings.Join(cfg.Module, ", "))
	}
	for _, c := range complaints {
		log.Warn(c.Text, "at", fmt.Sprintf("%s:%d:%d", c.File, c.Line, c.Column))
	}
	files := &credential.Files{Log: log}
	signer, err := signerOf(cfg, files)
	if err != nil {
		return err
	}
	traces, err := trace.Read(cfg.TraceEndpoint, cfg.TraceSample, os.LookupEnv)
	if err != nil {
		return err
	}
	door, err := listenAdmin(cfg, files, log)
	if err != nil {
		return err
	}
	events, err := listenHTTP(cfg, m, files)
	if err != nil {
		return errors.Join(err, door.Close())
	}
	if events.Listener != nil {
		defer events.Listener.Close() // serving closes it; this is for the ways out before
	}
	v := version.Read()
	meters := metrics.New(v.Version, v.Commit, v.Go)
	written.Count(meters.Logged)
	g := &asked{files: files, level: &written.Level, settings: settingsOf(loader, cfg, memory, limits, traces.Endpoint, &written.Level)}
	defer background(ctx, files.Run)()
	tracer, endTraces := tracerOf(ctx, traces, v.Version, log, meters)
	defer endTraces()
	return beside(ctx, func(ctx context.Context) error { return serveAdmin(ctx, door, g, meters) }, func(ctx context.Context) (err error) {
		store, err := openStore(ctx, cfg, log)
		switch {
		case err != nil && ctx.Err() != nil:
			return nil // it was told to stop before it had begun
		case err != nil:
			return err
		}
		defer func() { err = errors.Join(err, store.Close()) }()
		a, err := app.New(app.Config{
			Module: m, Store: store, StoreName: storeName(cfg), Address: door.Addr().String(), Bounds: limits, RepliesBytesMax: replyBytes(memory), RenewEvery: cfg.Lease / 3,
			DrainMax: cfg.DrainTimeout, HTTP: events, Signer: signer, Tracer: tracer, Log: log,
			Hooks: app.Hooks{Ingress: meters.Ingress(), Egress: meters.Egress(), Dispatcher: meters.Dispatcher()},
		})
		if err != nil {
			return err
		}
		log.Info("gateway starts", "version", v.Version, "commit", v.Commit, "module", strings.Join(m.Files(), ", "), "store", storeName(cfg), "memory", fmt.Sprintf("%dMiB", memory>>20), "admin", door.Addr().String())
		g.app.Store(a)
		return a.Run(ctx)
	})
}

// beside runs work until ctx ends, and the admin side from before its start until after its end; when the admin side cannot go
// on, both end.
func beside(ctx context.Context, admin, work func(context.Context) error) error {
	adminCtx, endAdmin := context.WithCancel(context.WithoutCancel(ctx))
	defer endAdmin()
	ctx, end := context.WithCancel(ctx)
	defer end()
	ended := make(chan error, 1)
	go func() {
		err := admin(adminCtx)
		end()
		ended <- err
	}()
	err := work(ctx)
	endAdmin()
	return errors.Join(err, <-ended)
}

// signerOf signs calls with the keys of a file, if one is given.
func signerOf(cfg config.Config, files *credential.Files) (*endpoint.Signer, error) {
	if cfg.SigningKeyFile == "" {
		return nil, nil
	}
	signer := endpoint.NewSigner()
	return signer, files.Keys("--signing-key-file", cfg.SigningKeyFile, signer.Set)
}

// tracerOf makes spans where they go anywhere; nil: they do not. end sends what is left.
func tracerOf(ctx context.Context, s trace.Settings, version string, log *slog.Logger, meters *metrics.Metrics) (t *trace.Tracer, end func()) {
	if !s.On() {
		return nil, func() {}
	}
	t = trace.New(trace.Config{Settings: s, Version: version, Log: log, Dropped: meters.SpansDropped})
	log.Info("traces are sent", "endpoint", s.Endpoint, "service", s.Service, "sample", s.Sample)
	return t, background(ctx, t.Run)
}

// background runs what ends with its context beside the rest; end ends it, and waits for that.
func background(ctx context.Context, run func(context.Context)) (end func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var ended sync.WaitGroup
	ended.Go(func() { run(ctx) })
	return func() { cancel(); ended.Wait() }
}

// listen opens an address that a setting names.
func listen(address, setting string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; is another gateway running? Give another address", setting, err)
	}
	return l, nil
}

// storeName names the store to people; of a file, where it is: it depends on the folder that one is in.
func storeName(cfg config.Config) string {
	if cfg.Store.Kind() == config.StoreSQLite {
		if path, err := filepath.Abs(cfg.Store.Path()); err == nil {
			return "sqlite:" + path
		}
	}
	return cfg.Store.Redacted()
}
