package admin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// Bounds of a connection. A slow or silent client holds nothing for longer.
const (
	headerTimeMax  = 5 * time.Second
	requestTimeMax = 30 * time.Second
	writeTimeMax   = time.Minute
	idleTimeMax    = 2 * time.Minute
	headerBytesMax = 512 << 10 // an id of 64 KiB takes three times that when every byte is encoded
	stopTimeMax    = 5 * time.Second
)

// Serve answers on the listener until ctx ends, then lets requests that are being answered finish, within a bound. It
// closes the listener.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: headerTimeMax, ReadTimeout: requestTimeMax, WriteTimeout: writeTimeMax, IdleTimeout: idleTimeMax,
		MaxHeaderBytes: headerBytesMax, ErrorLog: slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve the admin side: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeMax)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		_ = server.Close() // cuts what did not end in time
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve the admin side: %w", err)
	}
	return nil
}
