// The sample application's functions: visits counts what each user does and greeter writes to them. module.yaml at the root of the
// repository wires them to Kafka; see there for the way of a record. The program serves functions and never talks to Kafka itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	stategate "github.com/stategate/stategate/sdk/go"
)

// drainMax bounds how long calls that run are waited for when the program is to end.
const drainMax = 10 * time.Second

func main() {
	listen := flag.String("listen", "127.0.0.1:8000", "`HOST:PORT` to serve functions on; port 0 takes a free one")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "unexpected argument %q\n", flag.Arg(0))
		flag.Usage()
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, slog.New(slog.NewTextHandler(os.Stderr, nil)), func(url string) {
		fmt.Printf("listening on %s\n", url)
	}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run serves the functions until ctx ends. It calls listening once with the URL of the address that it was given.
func run(ctx context.Context, listen string, logger *slog.Logger, listening func(url string)) error {
	functions, err := stategate.NewHandler(stategate.Config{
		Functions: []stategate.Function{visits, greeter},
		Logger:    logger,
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/statefun", functions)
	server := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute, // longer than the gateway keeps a connection
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	listening("http://" + listener.Addr().String())

	select {
	case err := <-served:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainMax)
	defer cancel()
	err = server.Shutdown(drain)
	if err != nil {
		err = fmt.Errorf("stop: %w", errors.Join(err, server.Close()))
	}
	<-served
	return err
}
