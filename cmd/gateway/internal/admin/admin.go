// Package admin answers operators over HTTP: probes, metrics, and what one asks and mends with curl. It passes on what is to be done,
// decides nothing and keeps nothing; all it says comes from the gateway that it is given.
package admin

import (
	"log/slog"
	"net/http"

	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/cmd/gateway/internal/version"
)

// Config is what the handler is made of.
type Config struct {
	Gateway Gateway
	Access  Access
	Metrics http.Handler // of /metrics
	Version version.Info
	// Settings lists those of the deployment that count; nil: there are none.
	Settings func() []report.Setting
	Level    *slog.LevelVar // of the log; nil: it cannot be changed
	Log      *slog.Logger   // default slog.Default()
}

// handler answers all routes.
type handler struct {
	Config
	asked   chan struct{} // a token for each /v1 request whose answer is looked for
	walks   chan struct{} // and for each of these that goes through all addresses
	replies chan struct{} // and for each large answer that is being read
	mended  chan struct{} // and for each request that changes something: it may wait for long, and others look meanwhile
	large   chan struct{} // and for each of these whose body may be large
}

// requestsMax bounds the /v1 requests whose answers are looked for at a time: each may hold some megabytes. Probes and metrics are
// not among them.
const requestsMax = 16

// walksMax bounds how many of them go through all addresses in memory. Such take turns, and each may take long: the others' places stay free.
const walksMax = 4

// An answer beyond replySmall does not fit into what the system keeps of a connection: repliesMax bounds how many such are read at a time.
const (
	replySmall = 64 << 10
	repliesMax = 16
)

// New makes the handler of the admin side.
func New(cfg Config) http.Handler {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	h := &handler{Config: cfg, asked: make(chan struct{}, requestsMax), walks: make(chan struct{}, walksMax), replies: make(chan struct{}, repliesMax), mended: make(chan struct{}, mendsMax), large: make(chan struct{}, largeBodies)}
	return http.MaxBytesHandler(cfg.Access.Protect(escaped(h.router())), bodyBytesMax)
}

// bodyBytesMax bounds what a request may carry. Who reads a body has a bound of his own.
const bodyBytesMax = valueSendMax

// escaped keeps the path as it was sent, so that %2F in an id is not a slash. Routes and their parts are matched before
// anything is decoded; each part is then decoded once.
func escaped(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.RawPath = r.URL.EscapedPath()
		next.ServeHTTP(w, r)
	})
}

// bounded answers at most requestsMax at a time.
func (h *handler) bounded(next http.HandlerFunc) http.HandlerFunc {
	return within(h.asked, "too many requests are being answered", next)
}

// within answers at most as many at a time as there is room for.
func within(room chan struct{}, full string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case room <- struct{}{}:
			defer func() { <-room }()
			next(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			write(w, problem{http.StatusServiceUnavailable, full, "ask again in a second, with fewer at a time"})
		}
	}
}
