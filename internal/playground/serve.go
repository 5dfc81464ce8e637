// Package playground is what the two kinds of StateFun's playground have in common: a small HTTP server that opens its port when its
// member begins to work and closes it when that is over, and answers whose status stands where HTTP wants it and, for those who look
// for it as StateFun has it, in a header named Status as well. It knows neither events nor outputs.
package playground

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/stategate/stategate/internal/conns"
)

// Bounds of a connection. A slow or silent client holds nothing for longer.
const (
	headerTimeMax  = 5 * time.Second
	requestTimeMax = 30 * time.Second // until the whole body is there
	writeTimeMax   = 90 * time.Second // from the header on: the body, what WaitMax leaves, and the answer
	idleTimeMax    = 2 * time.Minute
	headerBytesMax = 256 << 10 // an id of 64 KiB takes three times that when every byte is encoded
	connsMax       = 1024      // at once, and so requests; others wait to be accepted
	stopTimeMax    = time.Second
	commitTimeMax  = stopTimeMax / 2 // of a stop: then requests that still wait for something are told so
)

// WaitMax is how long a request may wait for something of the gateway's.
const WaitMax = 30 * time.Second

// Config is one port.
type Config struct {
	Name    string // of what is served, for people: "ingress io.statefun.playground/ingress"
	Address string // host:port; port 0: any that is free
	Place   string // where the module says so: "module.yaml:12:7"
	Handler http.Handler
	Log     *slog.Logger
	// Degraded says under a stable key that the port cannot be opened, Recovered that it is open now. Both may be nil.
	Degraded  func(key, text string)
	Recovered func(key string)
	// Listening is told the address once it is open; may be nil.
	Listening func(net.Addr)
	// ConnsMax bounds the connections. Default 1,024. When all are in use, one that is idle is closed for the next.
	ConnsMax int
}

// tryAgain is how often a port is tried that is taken: whoever had it before may be about to end.
const tryAgain = 200 * time.Millisecond

// Serve answers until ctx ends, then lets requests that are being answered finish, within a bound. A port that cannot be opened is tried
// again: a member that takes over must not wait for an operator.
func Serve(ctx context.Context, cfg Config) error {
	listener := open(ctx, &cfg)
	if listener == nil {
		return nil
	}
	if cfg.Listening != nil {
		cfg.Listening(listener.Addr())
	}
	cfg.Log.Info("playground: listening", "for", cfg.Name, "address", listener.Addr().String(), "at", cfg.Place)
	if cfg.ConnsMax <= 0 {
		cfg.ConnsMax = connsMax
	}
	bounded := conns.Bound(listener, cfg.ConnsMax)
	requests, endRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer endRequests()
	server := &http.Server{
		Handler: local(cfg.Handler), BaseContext: func(net.Listener) context.Context { return requests }, ConnState: bounded.State,
		ReadHeaderTimeout: headerTimeMax, ReadTimeout: requestTimeMax, WriteTimeout: writeTimeMax, IdleTimeout: idleTimeMax,
		MaxHeaderBytes: headerBytesMax, ErrorLog: conns.ErrorLog(cfg.Log, cfg.Place),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(bounded) }()
	select {
	case err := <-ended:
		return fmt.Errorf("%s: serve %s: %w", cfg.Place, cfg.Name, err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeMax)
	defer cancel()
	defer time.AfterFunc(commitTimeMax, endRequests).Stop()
	if err := server.Shutdown(stop); err != nil {
		_ = server.Close() // ends the contexts of those that wait
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("%s: serve %s: %w", cfg.Place, cfg.Name, err)
	}
	return nil
}

// open opens the port, or answers nil when ctx ends first.
func open(ctx context.Context, cfg *Config) net.Listener {
	key, failing := cfg.Name+": port", false
	defer func() {
		if failing && cfg.Recovered != nil {
			cfg.Recovered(key)
		}
	}()
	for ctx.Err() == nil {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.Address)
		if err == nil {
			return listener
		}
		if !failing && ctx.Err() == nil {
			failing = true
			text := fmt.Sprintf("%s: %v; it is tried again until it can be opened: end what has the port, or write another one", cfg.Place, err)
			cfg.Log.Error("playground: the port cannot be opened", "for", cfg.Name, "detail", text)
			if cfg.Degraded != nil {
				cfg.Degraded(key, text)
			}
		}
		pause := time.NewTimer(tryAgain)
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
		}
	}
	return nil
}

// Answer answers with a text. status is that of HTTP; said is what the header named Status says: in the playground of StateFun that
// header is all there is.
func Answer(w http.ResponseWriter, status, said int, text string) {
	h := w.Header()
	h.Set("Status", strconv.Itoa(said))
	if text != "" {
		text += "\n"
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
	}
	h.Set("Content-Length", strconv.Itoa(len(text)))
	if status == http.StatusServiceUnavailable {
		h.Set("Retry-After", "1")
	}
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // whoever asked is gone
}

// local refuses what a browser sends for a page of somebody else's: a developer's ports are open to every page that the developer looks at.
func local(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
			Answer(w, http.StatusForbidden, http.StatusForbidden, "a page of another site may not ask here; nothing has happened")
			return
		}
		h.ServeHTTP(w, r)
	})
}
