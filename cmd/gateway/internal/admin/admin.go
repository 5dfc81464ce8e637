// Package admin answers operators over HTTP: probes, metrics, and what one asks with curl. It changes nothing (but that it passes on
// that a dead letter is to be discarded), decides nothing and keeps nothing; all it says comes from the gateway that it is given.
package admin

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/version"
	"github.com/stategate/stategate/dispatcher/machine"
	"github.com/stategate/stategate/statestore"
)

// Gateway is what is asked. Its methods are called by many goroutines and end when their context does.
type Gateway interface {
	// Turning reports whether the loop turns. It never depends on the store, on Kafka or on functions.
	Turning(ctx context.Context) bool
	// Status is what an operator wants to know first.
	Status(ctx context.Context) Status
	// Address looks at one address. Any address is there, if only with nothing in it. Errors are
	// statestore.ErrUnavailable, or something that is logged.
	Address(ctx context.Context, a api.Address) (Address, error)
	// DeadLetters are those with a number above after, in order, at most limit.
	DeadLetters(ctx context.Context, after uint64, limit int) ([]api.DeadLetter, error)
	// Discard removes a dead letter for good; found is false when there is none of this number. Errors are ErrStandby,
	// statestore.ErrUnavailable, or something that is logged.
	Discard(ctx context.Context, number uint64) (found bool, err error)
}

// ErrStandby: another member works; only that one can change anything.
var ErrStandby = errors.New("this gateway waits, another one works")

// Status says whether traffic may come, who works, and what is not as it should be.
type Status struct {
	Unready string // why no traffic should come: starting, draining, or without the store; "": it may
	Active  bool   // this member works; otherwise it waits
	Reasons []Reason
}

// Reason is a condition that operators must know of: a stable kind for counting, and a text for people without ids or payloads.
type Reason struct{ Kind, Text string }

// Address is what is known of one address.
type Address struct {
	Active   bool                   // this member works; otherwise only what is stored is known
	Declared bool                   // the module says who serves the function
	NowMS    int64                  // the machine's time, by which states expire; Unix milliseconds
	Stored   statestore.Loaded      // what is committed
	Specs    []statestore.StateSpec // of the function type
	View     machine.View           // what is in memory; zero on a standby
}

// Config is what the handler is made of.
type Config struct {
	Gateway Gateway
	Access  Access
	Metrics http.Handler // of /metrics
	Version version.Info
	Level   *slog.LevelVar // of the log; nil: it cannot be changed
	Log     *slog.Logger   // default slog.Default()
}

// handler answers all routes.
type handler struct {
	Config
	asked chan struct{} // a token for each /v1 request that is being answered
}

// requestsMax bounds the /v1 requests that are answered at a time: each may hold some megabytes. Probes and metrics are
// not among them.
const requestsMax = 16

// route is one thing that can be asked, with the word to people who see the list of all.
type route struct {
	Path  string `json:"path"`
	About string `json:"about"`
	serve http.HandlerFunc
}

// New makes the handler of the admin side.
func New(cfg Config) http.Handler {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	h := &handler{Config: cfg, asked: make(chan struct{}, requestsMax)}
	r := chi.NewRouter()
	r.NotFound(h.notFound)
	r.MethodNotAllowed(h.methodNotAllowed)
	for _, route := range h.routes() {
		r.Get(route.Path, route.serve)
		r.Head(route.Path, route.serve)
	}
	r.Get(profilePath+"{profile}", operators(h.profile))
	r.Head(profilePath+"{profile}", operators(h.profile))
	r.Delete(deadLetterPath, operators(h.bounded(h.discard)))
	r.Put(logLevelPath, operators(h.bounded(h.setLogLevel)))
	r.Get("/", h.index)
	r.Head("/", h.index)
	return http.MaxBytesHandler(cfg.Access.Protect(escaped(r)), bodyBytesMax)
}

// bodyBytesMax bounds what a request may carry. Nothing that is asked here carries anything.
const bodyBytesMax = 1 << 20

func (h *handler) routes() []route {
	return []route{
		{"/healthz", "200 while the gateway's loop turns, else 503", h.healthz},
		{"/readyz", "503 while starting, draining or without the store, else 200; with role and reasons", h.readyz},
		{"/metrics", "metrics for Prometheus", h.Metrics.ServeHTTP},
		{logLevelPath, `the least important line that is logged; PUT {"level":"debug"}, by an operator, changes it until the restart`, h.logLevel},
		{"/v1/version", "which program this is", h.version},
		{"/v1/addresses/{namespace}/{name}/{id}", "state, mailbox, call in flight and last error of one address; / in an id is written %2F", h.bounded(h.address)},
		{"/v1/addresses/{namespace}/{name}", "the same with ?id=, for ids such as '', '.' and '..'", h.bounded(h.address)},
		{"/v1/deadletters", "what was set aside, in order; ?after=NUMBER&limit=NUMBER", h.bounded(h.deadLetters)},
		{deadLetterPath, "one of them; DELETE, by an operator, discards it for good", h.bounded(h.deadLetter)},
		{profilePath, "profiles for go tool pprof; for operators only", operators(h.profile)},
	}
}

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
	return func(w http.ResponseWriter, r *http.Request) {
		select {
		case h.asked <- struct{}{}:
			defer func() { <-h.asked }()
			next(w, r)
		default:
			w.Header().Set("Retry-After", "1")
			write(w, problem{http.StatusServiceUnavailable, "too many requests are being answered", "ask again in a second, with fewer at a time"})
		}
	}
}

// index lists what can be asked.
func (h *handler) index(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Program string  `json:"program"`
		Routes  []route `json:"routes"`
	}{"gateway", h.routes()})
}

func (h *handler) version(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, struct {
		Version   string `json:"version"`
		Commit    string `json:"commit"`
		GoVersion string `json:"goVersion"`
	}{h.Version.Version, h.Version.Commit, h.Version.Go})
}
