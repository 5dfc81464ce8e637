package http

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	nethttp "net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/ingress"
)

// routes are all paths: those below /v1 of the gateway's own, and those of the module.
func (s *Server) routes() nethttp.Handler {
	r := chi.NewRouter()
	r.NotFound(s.notFound)
	r.MethodNotAllowed(s.methodNotAllowed)
	for _, verb := range []string{"send", "call"} {
		call := verb == "call"
		for _, path := range []string{"/v1/" + verb + "/{namespace}/{name}/{id}", "/v1/" + verb + "/{namespace}/{name}"} {
			r.Post(path, s.here(s.traced(path, func(w nethttp.ResponseWriter, r *nethttp.Request) { s.general(w, r, call) })))
			if !call {
				r.Delete(path, s.here(s.traced(path, s.cancel)))
			}
		}
	}
	for i := range s.cfg.Ingresses {
		in := &s.cfg.Ingresses[i]
		for j := range in.Routes {
			route := &in.Routes[j]
			r.MethodFunc(route.Method, route.Path, s.here(s.traced(route.Path, func(w nethttp.ResponseWriter, r *nethttp.Request) { s.special(w, r, in, route) })))
		}
	}
	return r
}

// here lets this member answer if it works, and passes the request on if another one does.
func (s *Server) here(serve nethttp.HandlerFunc) nethttp.HandlerFunc {
	return func(w nethttp.ResponseWriter, r *nethttp.Request) {
		s.mu.Lock()
		works, during := s.worker != nil, s.waiting
		refuses := s.stopping
		if works {
			refuses = s.worker.draining
		} else if !refuses {
			s.passing++
		}
		s.mu.Unlock()
		switch {
		case refuses:
			answer(w, stopping())
		case works:
			serve(w, r)
		default:
			defer s.passed()
			s.pass(w, r, during)
		}
	}
}

func stopping() *problem {
	return &problem{status: nethttp.StatusServiceUnavailable, detail: "the gateway stops; nothing has happened", remedy: "send it again, a little later"}
}

func (s *Server) notFound(w nethttp.ResponseWriter, _ *nethttp.Request) {
	answer(w, &problem{status: nethttp.StatusNotFound, detail: "there is nothing at this path; nothing has happened",
		remedy: `POST to /v1/send/NAMESPACE/NAME/ID or /v1/call/NAMESPACE/NAME/ID, where a "/" within a part is written %2F and an id that is ".", ".." or empty ?id=; or to a route of the module`})
}

func (s *Server) methodNotAllowed(w nethttp.ResponseWriter, r *nethttp.Request) {
	var allowed []string
	for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
		if chi.RouteContext(r.Context()).Routes.Match(chi.NewRouteContext(), method, r.URL.EscapedPath()) {
			allowed = append(allowed, method)
		}
	}
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	answer(w, &problem{status: nethttp.StatusMethodNotAllowed, detail: "this path does not know the method; nothing has happened", remedy: "use " + strings.Join(allowed, " or ")})
}

func bad(format string, args ...any) *problem {
	return &problem{status: nethttp.StatusBadRequest, detail: fmt.Sprintf(format, args...) + "; nothing has happened", remedy: "mend the path: each part is percent-encoded once and is UTF-8"}
}

// general serves /v1/send and /v1/call.
func (s *Server) general(w nethttp.ResponseWriter, r *nethttp.Request, call bool) {
	ask, wrong := s.target(r, []string{"id", "delay", "token"})
	if wrong == nil && call && (ask.later || ask.token != "") {
		wrong = &problem{status: nethttp.StatusBadRequest, detail: "a call waits for its reply, so it cannot be delayed; nothing has happened", remedy: "use /v1/send"}
	}
	if wrong == nil && !ask.later && ask.token != "" {
		wrong = &problem{status: nethttp.StatusBadRequest, detail: "the query has a token and no delay; nothing has happened", remedy: "a token is by what a delayed event is replaced or cancelled: add ?delay=10s"}
	}
	if wrong != nil {
		answer(w, wrong)
		return
	}
	ask.call = call
	s.serve(w, r, ask)
}

// special serves a route of the module.
func (s *Server) special(w nethttp.ResponseWriter, r *nethttp.Request, in *Ingress, route *Route) {
	id, wrong := routeID(r, route.ID)
	if wrong != nil {
		answer(w, wrong)
		return
	}
	s.serve(w, r, request{ingress: in, target: api.Address{Type: route.Target, ID: id}, call: route.Call, valueType: route.ValueType})
}

var hole = regexp.MustCompile(`\{[^{}]*\}`)

// routeID fills the names of a route's id with the parts of the path.
func routeID(r *nethttp.Request, template string) (id string, wrong *problem) {
	id = hole.ReplaceAllStringFunc(template, func(name string) string {
		text, err := url.PathUnescape(chi.URLParam(r, name[1:len(name)-1]))
		if err != nil {
			wrong = bad("a part of the path is not encoded as an URL is: %v", err)
		}
		return text
	})
	if wrong == nil {
		if err := api.CheckAddress(api.Address{Type: api.FunctionType{Namespace: "n", Name: "n"}, ID: id}); err != nil {
			wrong = bad("%v", err)
		}
	}
	return id, wrong
}

// request is what a path and its query say.
type request struct {
	ingress   *Ingress
	target    api.Address
	call      bool
	valueType string
	later     bool
	delay     time.Duration
	token     string
}

// delayMax is far beyond anything that is meant.
const delayMax = 100 * 365 * 24 * time.Hour

// target reads a path below /v1 and its query, which may hold the named keys once each.
func (s *Server) target(r *nethttp.Request, keys []string) (ask request, wrong *problem) {
	var parts [3]string
	for i, name := range []string{"namespace", "name", "id"} {
		text, err := url.PathUnescape(chi.URLParam(r, name))
		if err != nil {
			return ask, bad("the path is not encoded as an URL is: %v", err)
		}
		parts[i] = text
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return ask, bad("the query is not encoded as an URL is: %v", err)
	}
	for key, values := range query {
		if !slices.Contains(keys, key) || len(values) > 1 {
			return ask, &problem{status: nethttp.StatusBadRequest, detail: fmt.Sprintf("the query has %q %d times; nothing has happened", shown(key), len(values)), remedy: "known here are, once each: " + strings.Join(keys, ", ")}
		}
	}
	id, inQuery := parts[2], query.Has("id")
	switch inPath := strings.Count(r.URL.EscapedPath(), "/") > 4; {
	case inPath && inQuery:
		return ask, bad("the path has an id, and so does the query")
	case !inPath && !inQuery:
		return ask, bad("the path has no id")
	case inQuery:
		id = query.Get("id")
	}
	ask.target = api.Address{Type: api.FunctionType{Namespace: parts[0], Name: parts[1]}, ID: id}
	if err := api.CheckAddress(ask.target); err != nil {
		return ask, bad("%v", err)
	}
	ask.token, ask.later = query.Get("token"), query.Has("delay")
	if len(ask.token) > api.TokenBytesMax {
		return ask, bad("the token has %d bytes: at most %d are allowed", len(ask.token), api.TokenBytesMax)
	}
	if ask.later {
		if ask.delay, err = time.ParseDuration(query.Get("delay")); err != nil || ask.delay < 0 || ask.delay > delayMax {
			return ask, &problem{status: nethttp.StatusBadRequest, detail: fmt.Sprintf("the delay %q is none; nothing has happened", shown(query.Get("delay"))), remedy: "write it as 500ms, 10s, 5m or 24h"}
		}
	}
	for i := range s.cfg.Ingresses {
		if in := &s.cfg.Ingresses[i]; in.Reach(ask.target.Type) {
			ask.ingress = in
			return ask, nil
		}
	}
	return ask, s.unreached(ask.target.Type)
}

func (s *Server) unreached(t api.FunctionType) *problem {
	var all []string
	for i := range s.cfg.Ingresses {
		all = append(all, s.cfg.Ingresses[i].Reaches...)
	}
	if len(all) == 0 {
		all = []string{"nothing"}
	}
	return &problem{status: nethttp.StatusNotFound, detail: fmt.Sprintf("%s cannot be reached by HTTP; nothing has happened", shown(t.String())),
		remedy: "the module's functions: of its HTTP ingress names what can: " + strings.Join(all, ", ")}
}

// serve reads the body of a request and does what it asks.
func (s *Server) serve(w nethttp.ResponseWriter, r *nethttp.Request, ask request) {
	control := nethttp.NewResponseController(w)
	limit := sendTimeMax
	if ask.call {
		limit = ask.ingress.Timeout
	}
	awaitBody(control, r, s.cfg.BodyTimeMax)
	_ = control.SetWriteDeadline(time.Now().Add(s.cfg.BodyTimeMax + limit + answerTimeMax))
	key, value, held, wrong := s.argument(r, &ask)
	defer s.bodies.give(held)
	if wrong == nil {
		wrong = s.paused(ask.ingress)
	}
	if wrong != nil {
		discard(control, r)
		answer(w, wrong)
		return
	}
	if s.cfg.Hooks.Records != nil {
		s.cfg.Hooks.Records(api.Source{Ingress: ask.ingress.ID}, 1, len(value.Value))
	}
	var v api.TypedValue
	wrong = s.inside(r.Context(), limit, func(ctx context.Context, to ingress.Asker) (err error) {
		msg := api.Message{Target: ask.target, Argument: value, Trace: traceIn(r.Context())}
		switch {
		case key != "":
			v, err = to.Once(ctx, msg, key, ask.call)
		case ask.call:
			v, err = to.Ask(ctx, msg)
		case ask.later:
			err = to.Later(ctx, msg, ask.delay, laterName(ask.target, ask.token))
		default:
			err = to.Send(ctx, msg)
		}
		return err
	}, func(ctx context.Context, err error) *problem { return problemOf(ctx, err, key != "") })
	switch {
	case wrong != nil:
		answer(w, wrong)
	case ask.call:
		reply(w, v)
	default:
		write(w, nethttp.StatusAccepted, "", nil)
	}
}

// paused refuses what comes while an operator has paused its ingress.
func (s *Server) paused(in *Ingress) *problem {
	if s.cfg.Paused == nil || !s.cfg.Paused(in.ID) {
		return nil
	}
	return &problem{status: nethttp.StatusServiceUnavailable, detail: fmt.Sprintf("the ingress %s is paused by an operator; nothing has happened", in.ID),
		remedy: "send it again when it is resumed", after: pausedRetry}
}

// pausedRetry is after how many seconds who is refused may look again.
const pausedRetry = 10

// argument reads headers and body; held is what the body has taken of the budget.
func (s *Server) argument(r *nethttp.Request, ask *request) (key string, value api.TypedValue, held int64, wrong *problem) {
	if key, wrong = keyOf(r.Header, ask); wrong != nil {
		return key, value, 0, wrong
	}
	if wrong = s.paused(ask.ingress); wrong != nil { // nobody sends a body for nothing
		return key, value, 0, wrong
	}
	of, wrong := kindOf(r.Header, ask.valueType)
	if wrong != nil {
		return key, value, 0, wrong
	}
	body, held, wrong := s.bodies.read(r, ask.ingress.BodyMax)
	if wrong == nil {
		value, wrong = of.value(body)
	}
	return key, value, held, wrong
}

const (
	keyHeader   = "Idempotency-Key"
	keyBytesMax = 255
)

// keyOf is the key under which a request takes effect once; "": it has none.
func keyOf(h nethttp.Header, ask *request) (key string, wrong *problem) {
	all := h.Values(keyHeader)
	if len(all) == 0 {
		return "", nil
	}
	key = all[0]
	remedy := fmt.Sprintf("send one %s of 1 to %d letters, digits and signs of ASCII, drawn anew for each thing that is to happen", keyHeader, keyBytesMax)
	switch {
	case len(all) > 1 || key == "" || len(key) > keyBytesMax || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }):
		return "", &problem{status: nethttp.StatusBadRequest, detail: "the " + keyHeader + " cannot be used; nothing has happened", remedy: remedy}
	case ask.later:
		return "", &problem{status: nethttp.StatusBadRequest, detail: "a delayed event has a token and no " + keyHeader + "; nothing has happened", remedy: "send it with a ?token=: sent again it replaces the one that waits"}
	}
	return key, nil
}

// inside lets f ask the incarnation that works, within a time, and words what goes wrong. Only this is waited for by a stop, not bodies
// that come slowly, nor clients that read slowly.
func (s *Server) inside(request context.Context, limit time.Duration, f func(context.Context, ingress.Asker) error, word func(context.Context, error) *problem) *problem {
	k := s.enter()
	if k == nil {
		return stopping()
	}
	defer s.leave(k)
	ctx, cause := context.WithCancelCause(request)
	defer cause(nil)
	defer context.AfterFunc(k.ctx, func() { cause(context.Cause(k.ctx)) })()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := f(ctx, k.asker); err != nil {
		return word(ctx, err)
	}
	return nil
}

// cancel removes a delayed event that was not delivered.
func (s *Server) cancel(w nethttp.ResponseWriter, r *nethttp.Request) {
	ask, wrong := s.target(r, []string{"id", "token"})
	if wrong == nil && ask.token == "" {
		wrong = &problem{status: nethttp.StatusBadRequest, detail: "the query has no token; nothing has happened", remedy: "add the ?token= with which the delayed event was sent"}
	}
	if wrong == nil {
		discard(nethttp.NewResponseController(w), r) // it has none that means anything
		wrong = s.inside(r.Context(), sendTimeMax, func(ctx context.Context, to ingress.Asker) error {
			return to.CancelLater(ctx, laterName(ask.target, ask.token))
		}, func(ctx context.Context, _ error) *problem {
			status := nethttp.StatusBadGateway
			if errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				status = nethttp.StatusGatewayTimeout
			}
			return &problem{status: status, detail: "it is not known whether the delayed event is cancelled", remedy: "send the request again: that does no harm"}
		})
	}
	if wrong != nil {
		answer(w, wrong)
		return
	}
	write(w, nethttp.StatusNoContent, "", nil)
}

// laterName is by which a delayed event is known: of its address and its token, and of one length; "" without a token.
func laterName(a api.Address, token string) string {
	if token == "" {
		return ""
	}
	h := sha256.New()
	for _, part := range []string{a.Type.Namespace, a.Type.Name, a.ID, token} {
		var n [8]byte
		binary.BigEndian.PutUint64(n[:], uint64(len(part)))
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return "io.stategate.http/" + hex.EncodeToString(h.Sum(nil))
}
