// Package playground takes events by HTTP as StateFun's playground does: one request is one message to the address that its path names.
// A request is answered with 200 once its message is durable, which StateFun's does not wait for. It keeps nothing beside the requests
// that wait, and knows nothing of what becomes of a message.
package playground

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/ingress"
	"github.com/stategate/stategate/internal/playground"
)

// Config is the ingress of one module.
type Config struct {
	ID      string
	Address string // host:port; port 0: any that is free
	Place   string // where the module says so
	Log     *slog.Logger
	Hooks   ingress.Hooks
	// Paused reports whether an operator has paused the ingress; nil: never. Each request asks it.
	Paused func() bool
	// Listening is told the address once it is open; may be nil.
	Listening func(net.Addr)
}

// Ingress is a port.
type Ingress struct {
	cfg    Config
	bodies budget
}

// New makes an ingress. Run opens its port.
func New(cfg Config) *Ingress {
	if cfg.Log == nil {
		cfg.Log = slog.Default()
	}
	return &Ingress{cfg: cfg, bodies: budget{bytesMax: bodiesBytesMax}}
}

// Run takes events until ctx ends, then answers those that it has taken.
func (in *Ingress) Run(ctx context.Context, sender ingress.Sender) error {
	return playground.Serve(ctx, playground.Config{
		Name: "ingress " + in.cfg.ID, Address: in.cfg.Address, Place: in.cfg.Place, Handler: &handler{in, sender}, Log: in.cfg.Log,
		Degraded: in.cfg.Hooks.Degraded, Recovered: in.cfg.Hooks.Recovered, Listening: in.cfg.Listening,
	})
}

// handler answers for one incarnation.
type handler struct {
	*Ingress
	sender ingress.Sender
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if refusal := h.take(r); refusal != nil {
		playground.Answer(w, refusal.status, refusal.status, refusal.text)
		return
	}
	playground.Answer(w, http.StatusOK, http.StatusOK, "")
}

// refusal is an answer other than 200.
type refusal struct {
	status int
	text   string // what is wrong, and what to do
}

// take reads a request and sends what it says.
func (h *handler) take(r *http.Request) *refusal {
	target, refused := targetOf(r.URL.EscapedPath())
	if refused != nil {
		return refused
	}
	kind, refused := kindOf(r.Header)
	if refused != nil {
		return refused
	}
	body, held, refused := h.bodies.read(r)
	defer h.bodies.give(held)
	if refused != nil {
		return refused
	}
	value, refused := kind.value(body)
	if refused != nil {
		return refused
	}
	if h.cfg.Paused != nil && h.cfg.Paused() { // a body may have come meanwhile
		return &refusal{http.StatusServiceUnavailable, "the ingress " + h.cfg.ID + " is paused by an operator; nothing has happened: send it again when it goes on"}
	}
	if h.cfg.Hooks.Records != nil {
		h.cfg.Hooks.Records(api.Source{Ingress: h.cfg.ID}, 1, len(body))
	}
	ctx, cancel := context.WithTimeout(r.Context(), playground.WaitMax)
	defer cancel()
	return answerFor(h.sender.Send(ctx, api.Message{Target: target, Argument: value}))
}

// answerFor words what became of a message.
func answerFor(err error) *refusal {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ingress.ErrUnknownFunction):
		return &refusal{http.StatusNotFound, err.Error() + "; nothing has happened. Write an endpoint for it into the module, or mend the path"}
	case errors.Is(err, ingress.ErrUnusable):
		return &refusal{http.StatusBadRequest, err.Error() + "; nothing has happened"}
	case errors.Is(err, ingress.ErrNotTaken):
		return &refusal{http.StatusServiceUnavailable, err.Error() + "; nothing has happened: send it again. The gateway's /readyz says what it waits for"}
	}
	return &refusal{http.StatusGatewayTimeout, err.Error() + "; sent again it may take effect twice"}
}
