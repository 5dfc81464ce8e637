package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stategate/stategate/cmd/gateway/internal/app"
	"github.com/stategate/stategate/cmd/gateway/internal/config"
	"github.com/stategate/stategate/cmd/gateway/internal/dev"
	"github.com/stategate/stategate/cmd/gateway/internal/metrics"
	"github.com/stategate/stategate/cmd/gateway/internal/version"
)

func newDev() *cobra.Command {
	var once, verbose bool
	file, functions, admin := config.Default().Module[0], "go run ./sdk/go/example -listen 127.0.0.1:0", config.Default().Admin
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run the sample application with everything that it needs inside",
		Long: `dev runs the sample application of the repository with nothing installed: a Kafka inside this process, a store in a
temporary folder, and the functions as a child process. It says what to try next, and everything is gone when it ends. With
--once it puts records in, checks the results and the state, and ends: with 0 when they are right.`,
		Example: `  go run ./cmd/gateway dev --once
  go run ./cmd/gateway dev`,
		Args: noArguments,
	}
	cmd.Flags().BoolVar(&once, "once", false, "play the sample's records, check the results, and end")
	cmd.Flags().BoolVar(&verbose, "verbose", false, "show the gateway's log")
	cmd.Flags().StringVar(&file, "module", file, "module file of the sample")
	cmd.Flags().StringVar(&functions, "functions", functions, "command that serves the functions; it writes \"listening on URL\" when it does")
	cmd.Flags().StringVar(&admin, "admin", admin, "HOST:PORT of the admin side; with --once, and when it is taken, any free port of the host")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		command := strings.Fields(functions)
		if len(command) == 0 {
			return usage("flag --functions needs a command")
		}
		listener, err := listenForDev(admin, once)
		if err != nil {
			return err
		}
		defer listener.Close() // serving closes it; this is for the ways out before
		level := slog.LevelWarn
		if verbose {
			level = slog.LevelInfo
		}
		began := time.Now()
		v := version.Read()
		meters := metrics.New(v.Version, v.Commit, v.Go)
		err = dev.Run(cmd.Context(), dev.Config{
			Module: file, Functions: command, Once: once, Began: began, Admin: listener, In: cmd.InOrStdin(), Out: cmd.OutOrStdout(),
			Log:   slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level})),
			Hooks: app.Hooks{Ingress: meters.Ingress(), Egress: meters.Egress(), Dispatcher: meters.Dispatcher()},
			ServeAdmin: func(ctx context.Context, l net.Listener, a *app.App) error {
				g := &asked{}
				g.app.Store(a)
				return serveAdmin(ctx, l, g, meters)
			},
		})
		if err != nil && once {
			return fmt.Errorf("the sample failed: %w", err)
		}
		return err
	}
	return cmd
}

// listenForDev gives way to another gateway.
func listenForDev(address string, any bool) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, usage("flag --admin: want HOST:PORT")
	}
	free := net.JoinHostPort(host, "0")
	if any {
		return listen(free, "--admin")
	}
	l, err := listen(address, "--admin")
	if errors.Is(err, syscall.EADDRINUSE) {
		return listen(free, "--admin")
	}
	return l, err
}
