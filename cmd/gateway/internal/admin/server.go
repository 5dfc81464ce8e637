package admin

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/stategate/stategate/internal/conns"
)

// Bounds of a connection. A slow or silent client holds nothing for longer.
const (
	headerTimeMax  = 5 * time.Second
	requestTimeMax = 30 * time.Second
	writeTimeMax   = time.Minute
	idleTimeMax    = 2 * time.Minute
	headerBytesMax = 512 << 10 // an id of 64 KiB takes three times that when every byte is encoded
	stopTimeMax    = 5 * time.Second
	connsMax       = 256 // at once; for another one the one that has been idle for longest is closed
)

// Serve answers on the listener until ctx ends, then lets requests that are being answered finish, within a bound. It
// closes the listener. secure is how TLS is spoken on it; nil: it is not.
func Serve(ctx context.Context, listener net.Listener, secure *tls.Config, handler http.Handler) error {
	bounded := conns.Bound(listener, connsMax)
	listener = bounded
	if secure != nil {
		listener = tls.NewListener(bounded, secure)
	}
	server := &http.Server{
		Handler: handler, ConnState: bounded.State, ReadHeaderTimeout: headerTimeMax, ReadTimeout: requestTimeMax, WriteTimeout: writeTimeMax, IdleTimeout: idleTimeMax,
		MaxHeaderBytes: headerBytesMax, ErrorLog: conns.ErrorLog(slog.Default(), "admin"),
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
