// Package http takes events and requests by HTTP: one request is one message to the address that its path names. It answers when the
// message is durable, or with the reply of the function once that is. It keeps nothing beside the requests that wait, decides nothing of
// what becomes of a message, and serves as long as the program does: while another member works it passes requests on to that one.
package http

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	nethttp "net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/ingress"
	"github.com/stategate/stategate/internal/conns"
)

// Ingress is one ingress of the module.
type Ingress struct {
	ID      string
	Reaches []string                    // patterns of what it reaches below /v1, for people
	Reach   func(api.FunctionType) bool // the same
	Routes  []Route
	BodyMax int           // bytes
	Timeout time.Duration // of a request that waits for a reply
}

// Route is a path of the module's own.
type Route struct {
	Method, Path string // as chi writes it
	Target       api.FunctionType
	ID           string // with the {names} of the path
	Call         bool   // the request waits for the reply of the function
	ValueType    string // "": the request says
}

// Owner finds the member that works, when it is not this one: where it listens. ok is false when nobody is known to work.
type Owner func(ctx context.Context) (address string, ok bool)

// Config is what is served at one address.
type Config struct {
	Ingresses []Ingress
	// Allow judges the header Authorization of a request; nil: everybody is let in. What it allows may change.
	Allow  func(authorization string) bool
	Owner  Owner       // may be nil: nobody else works
	Onward *tls.Config // by which members reach each other; nil: without TLS
	// Paused reports whether an operator has paused an ingress, on the member that works; nil: none ever is. Each event asks it.
	Paused func(ingress string) bool
	// DrainMax bounds how long a stop waits for requests that are being answered. Default 4 s.
	DrainMax time.Duration
	// BodyTimeMax bounds how long a request may take to arrive. Default 30 s.
	BodyTimeMax time.Duration
	// PassTimeMax bounds how long a request may take that is passed on. Default: BodyTimeMax, the longest time that one may wait for its
	// reply, and 30 s.
	PassTimeMax time.Duration
	// ConnsMax bounds the connections. Default 5,120: more than there are requests at once, so that those beyond are refused and told so.
	// When all are in use, the next answer closes its connection, or one that is idle is closed.
	ConnsMax int
	// Traced begins the span of a request that this member answers: its message is in the trace in, and ended tells the answer's status.
	// route is the path as it is written in the module, or in the documents. nil: nothing is traced.
	Traced func(r *nethttp.Request, route string) (in *api.Trace, ended func(status int))
	Log    *slog.Logger
	Hooks  ingress.Hooks
}

// Bounds of connections and requests. A slow or silent client holds nothing for longer.
const (
	headerTimeMax  = 5 * time.Second
	idleTimeMax    = 2 * time.Minute
	answerTimeMax  = 30 * time.Second // to write an answer
	sendTimeMax    = 30 * time.Second // that an event waits for room and its commit
	headerBytesMax = 256 << 10        // an id of 64 KiB takes three times that when every byte is encoded
	requestsMax    = 4096             // at once; others are refused
	connsMax       = 5120             // at once; others wait to be accepted
	stopTimeMax    = time.Second
)

// Server answers requests.
type Server struct {
	cfg      Config
	handler  nethttp.Handler
	bodies   budget
	requests chan struct{} // a token for each that is being answered
	bounded  atomic.Pointer[conns.Bounded]
	onward   nethttp.RoundTripper

	local     atomic.Bool   // it listens where nobody but this host is let in, by nothing else
	mu        sync.Mutex    // guards all below
	worker    *worker       // nil: another member works
	waiting   *waiting      // of what is passed on while there is no worker
	passing   int           // requests that are being passed on
	stopping  bool          // nothing is passed on any more
	passedAll chan struct{} // closed when it stops and nothing is being passed on
}

// worker is an incarnation of this member that works.
type worker struct {
	asker    ingress.Asker
	ctx      context.Context // of its requests
	draining bool            // guarded by the server's mu
	inside   int             // requests; guarded by the server's mu
	empty    chan struct{}   // closed when it drains and no request is inside
}

// New makes a server. Two routes for the same requests are an error.
func New(cfg Config) *Server {
	if cfg.DrainMax <= 0 {
		cfg.DrainMax = 4 * time.Second
	}
	if cfg.BodyTimeMax <= 0 {
		cfg.BodyTimeMax = 30 * time.Second
	}
	if cfg.ConnsMax <= 0 {
		cfg.ConnsMax = connsMax
	}
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	s := &Server{cfg: cfg, bodies: budget{bytesMax: bodiesBytesMax}, requests: make(chan struct{}, requestsMax), onward: newOnward(cfg.Onward),
		waiting: newWaiting(), passedAll: make(chan struct{})}
	if s.cfg.PassTimeMax <= 0 {
		s.cfg.PassTimeMax = cfg.BodyTimeMax + s.longest() + answerTimeMax // the one that works has bounds of its own
	}
	s.handler = s.routes()
	return s
}

// Run answers on the listener until ctx ends, and closes it. Requests that wait by then have had their time: Work lets them finish. Those
// that are passed on have it now.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	s.local.Store(s.cfg.Allow == nil && s.cfg.Onward == nil && loopback(listener.Addr()))
	bounded := conns.Bound(listener, s.cfg.ConnsMax)
	s.bounded.Store(bounded)
	server := &nethttp.Server{
		Handler: s, ConnState: bounded.State, ReadHeaderTimeout: headerTimeMax, IdleTimeout: idleTimeMax, MaxHeaderBytes: headerBytesMax,
		// Also of what is answered without a look at it: a body that nobody wants is read before or after its answer.
		ReadTimeout: s.cfg.BodyTimeMax, WriteTimeout: s.cfg.BodyTimeMax + answerTimeMax,
		ErrorLog: conns.ErrorLog(s.cfg.Log, "http ingress"),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(bounded) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve HTTP: %w", err)
	case <-ctx.Done():
	}
	s.stopPassing()
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeMax)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		_ = server.Close() // ends the contexts of those that wait
	}
	if err := <-ended; !errors.Is(err, nethttp.ErrServerClosed) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

// Work lets an incarnation of this member answer, until ctx ends: then it takes no more and lets those inside finish, within a bound.
func (s *Server) Work(ctx context.Context, asker ingress.Asker) error {
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	w := &worker{asker: asker, ctx: life, empty: make(chan struct{})}
	s.mu.Lock()
	s.worker = w
	s.waiting.end(errWorks) // the one that was asked works no longer
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	w.draining = true
	if w.inside == 0 {
		close(w.empty)
	}
	s.mu.Unlock()
	bound := time.NewTimer(s.cfg.DrainMax)
	defer bound.Stop()
	select {
	case <-w.empty:
	case <-bound.C:
		end(errStopping)
		<-w.empty // they are told so, and that does not wait
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.worker, s.waiting = nil, newWaiting()
	return nil
}

// errStopping is why a request is no longer waited for.
var errStopping = errors.New("the gateway stops")

// enter finds who works; nil: nobody here. leave must be called when the request is answered.
func (s *Server) enter() *worker {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.worker == nil || s.worker.draining {
		return nil
	}
	s.worker.inside++
	return s.worker
}

func (s *Server) leave(w *worker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.inside--
	if w.draining && w.inside == 0 {
		close(w.empty)
	}
}

// leaving answers a request and lets its client's connection go when others wait for it. One that stayed would be idle for a moment and
// closed for them, with the next request on its way: its client could not know what became of that.
type leaving struct {
	nethttp.ResponseWriter
	server *Server
}

func (w leaving) WriteHeader(status int) {
	if bounded := w.server.bounded.Load(); bounded != nil && bounded.Crowded() {
		w.Header().Set("Connection", "close")
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for response controllers.
func (w leaving) Unwrap() nethttp.ResponseWriter { return w.ResponseWriter }

// ServeHTTP lets in who may ask.
func (s *Server) ServeHTTP(w nethttp.ResponseWriter, r *nethttp.Request) {
	w = leaving{w, s}
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	awaitBody(nethttp.NewResponseController(w), r, discardTimeMax) // whoever reads it gives it more
	if wrong := s.ofOthers(r); wrong != nil {
		answer(w, wrong)
		return
	}
	if s.cfg.Allow != nil && !s.cfg.Allow(r.Header.Get("Authorization")) {
		w.Header().Set("Connection", "close") // whoever has no token keeps no connection
		w.Header().Set("WWW-Authenticate", `Bearer realm="stategate"`)
		answer(w, &problem{status: nethttp.StatusUnauthorized, detail: "the request carries no token that is known", remedy: "send it with the header Authorization: Bearer TOKEN"})
		return
	}
	select {
	case s.requests <- struct{}{}:
		defer func() { <-s.requests }()
	default:
		answer(w, &problem{status: nethttp.StatusServiceUnavailable, detail: fmt.Sprintf("%d requests are being answered; nothing has happened", requestsMax), remedy: "send it again, a little later"})
		return
	}
	r.URL.RawPath = r.URL.EscapedPath() // so that %2F in a part is not a slash; each part is decoded once
	s.handler.ServeHTTP(w, r)
}
