package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/admin"
	"github.com/stategate/stategate/cmd/gateway/internal/app"
	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/dev"
	"github.com/stategate/stategate/cmd/gateway/internal/metrics"
	"github.com/stategate/stategate/cmd/gateway/internal/version"
)

func newDev() *cobra.Command {
	var once, verbose bool
	var address, events string
	var loader *config.Loader
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run an application with everything that it needs inside, and show what happens",
		Long: `dev runs an application with nothing installed: a Kafka inside this process in the place of those that the module
names, a store in a temporary folder, and the processes of the module's development section (io.stategate.dev.v1/process) as
children, which are started again when they end. It shows each step of each record, and says what to try next. Records are put into
topics and read from them by HTTP, on the admin side below /topics. Everything is gone when it ends.

With --once it plays the sample application of the repository: it puts records in, checks the results and the state, and ends: with
0 when they are right.`,
		Example: `  gateway dev
  gateway dev --module app/module.yaml
  go run ./cmd/gateway dev --once`,
		Args: noArguments,
	}
	loader = config.RegisterModule(cmd.Flags())
	cmd.Flags().BoolVar(&once, "once", false, "play the sample's records, check the results, and end")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "show all of the gateway's log")
	cmd.Flags().StringVar(&address, "admin", config.Default().Admin, "HOST:PORT of the admin side; with --once, and when it is not given and taken, any free port of the host")
	cmd.Flags().StringVar(&events, "listen", config.Default().Listen, "HOST:PORT of HTTP ingresses, that nobody else reaches; when it is not given and taken, any free port of the host")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		began := time.Now()
		locations, _, err := loader.Module(os.Environ())
		if err != nil {
			return err
		}
		if err := applicationHere(locations); err != nil {
			return err
		}
		program, err := os.Executable()
		if err != nil {
			return fmt.Errorf("find this program: %w", err)
		}
		if !loopback(events) {
			return usage("flag --listen: want an address that nobody else reaches, such as %s: dev asks for no token", config.Default().Listen)
		}
		if !loopback(address) {
			return usage("flag --admin: want an address that nobody else reaches, such as %s: dev asks for no token", config.Default().Admin)
		}
		listener, err := listenForDev(cmd, address, "admin", once)
		if err != nil {
			return err
		}
		defer listener.Close() // serving closes it; this is for the ways out before
		level := slog.LevelWarn
		if verbose {
			level = slog.LevelInfo
		}
		v := version.Read()
		meters := metrics.New(v.Version, v.Commit, v.Go)
		ctx, stop := untilHangup(cmd.Context())
		defer stop()
		run := dev.Config{
			Module: locations, Once: once, Began: began, Admin: listener, Guard: []string{program, guardCommand, "--"},
			Out: cmd.OutOrStdout(), Colour: colours(cmd.OutOrStdout()), Level: level,
			Events: func() (net.Listener, error) { return listenForDev(cmd, events, "listen", once) },
			Hooks:  app.Hooks{Ingress: meters.Ingress(), Egress: meters.Egress(), Dispatcher: meters.Dispatcher()},
			ServeAdmin: func(ctx context.Context, l net.Listener, a *app.App, topics http.Handler) error {
				g := &asked{}
				g.app.Store(a)
				access := accessOf(l, false, nil, nil)
				if topics != nil {
					topics = access.Protect(topics)
				}
				return admin.Serve(ctx, l, nil, withTopics(adminHandler(access, g, meters), topics))
			},
		}
		if !once {
			run.Wished.Admin, run.Wished.Events = address, events
		}
		err = dev.Run(ctx, run)
		if err != nil && once {
			return fmt.Errorf("the sample failed: %w", err)
		}
		return err
	}
	return cmd
}

// guardCommand is what dev starts its processes with.
const guardCommand = "dev-guard"

func newGuard() *cobra.Command {
	return &cobra.Command{
		Use: guardCommand + " -- COMMAND...", Short: "Run a command that ends when standard input does", Hidden: true, Args: cobra.MinimumNArgs(1),
		Run: func(_ *cobra.Command, args []string) { os.Exit(dev.Guard(args)) },
	}
}

// withTopics answers what is below /topics by topics. Paths of the admin side are left as they are: ids may hold anything.
func withTopics(rest, topics http.Handler) http.Handler {
	if topics == nil {
		return rest
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/topics" || strings.HasPrefix(r.URL.Path, "/topics/") {
			topics.ServeHTTP(w, r)
			return
		}
		rest.ServeHTTP(w, r)
	})
}

// colours: somebody reads on a terminal, and has not asked for none (no-color.org).
func colours(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd()) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// applicationHere names a way on where there is no module: a newcomer is in the wrong folder, or has no application yet.
func applicationHere(locations []string) error {
	for _, l := range locations {
		if l != config.Default().Module[0] {
			continue
		}
		if _, err := os.Stat(l); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("there is no %s in this folder: go to the folder of an application, name its file with --module, or make an application with gateway init go FOLDER or gateway init python FOLDER", l)
		}
	}
	return nil
}

// untilHangup ends with the terminal, too, unless somebody wants it to outlive that (nohup): what dev has made is removed by itself only.
func untilHangup(ctx context.Context) (context.Context, context.CancelFunc) {
	if signal.Ignored(syscall.SIGHUP) {
		return context.WithCancel(ctx)
	}
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGHUP)
	context.AfterFunc(ctx, stop) // a second one ends the program at once
	return ctx, stop
}

// listenForDev gives way to another gateway, unless somebody has asked for the very address.
func listenForDev(cmd *cobra.Command, address, flag string, once bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usage("flag --%s: want HOST:PORT", flag)
	}
	free := net.JoinHostPort(host, "0")
	if once {
		return listen(free, "--"+flag)
	}
	l, err := listen(address, "--"+flag)
	if errors.Is(err, syscall.EADDRINUSE) && !cmd.Flags().Changed(flag) {
		return listen(free, "--"+flag)
	}
	return l, err
}
