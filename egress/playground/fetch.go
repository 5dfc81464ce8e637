package playground

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/stategate/stategate/internal/playground"
)

// ServeHTTP answers GET /<topic> with its oldest record, which is taken out: whoever asks next gets the next one.
func (r *Relay) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.Method == http.MethodHead || q.Method == http.MethodOptions {
		w.Header().Set("Allow", "GET")
		playground.Answer(w, http.StatusMethodNotAllowed, http.StatusMethodNotAllowed, q.Method+" would take a record and show nothing: use GET")
		return
	}
	name, err := url.PathUnescape(strings.TrimPrefix(q.URL.EscapedPath(), "/"))
	t := r.topics[name]
	if err != nil || t == nil { // StateFun's playground says 405 of a topic that its module does not have
		playground.Answer(w, http.StatusNotFound, http.StatusMethodNotAllowed, "there is no topic "+strconv.Quote(short(name))+": GET /<topic>; the module's topics are "+list(r.cfg.Topics))
		return
	}
	ctx, cancel := context.WithTimeout(q.Context(), playground.WaitMax)
	defer cancel()
	rec, ok, err := r.fetch(ctx, name, t)
	switch {
	case err != nil:
		playground.Answer(w, http.StatusServiceUnavailable, http.StatusServiceUnavailable, "the store does not answer; ask again")
		return
	case !ok:
		playground.Answer(w, http.StatusNotFound, http.StatusNotFound, "")
		return
	}
	if q.Context().Err() != nil || show(w, rec.payload) != nil {
		r.putBack(t, rec)
		return
	}
	r.finish(rec.number)
	if r.cfg.Hooks.Deliveries != nil {
		r.cfg.Hooks.Deliveries(r.cfg.ID, "ok", 1)
	}
}

// show writes a record out, as far as the connection can be trusted to have it.
func show(w http.ResponseWriter, payload string) error {
	h := w.Header()
	h.Set("Status", "200")
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(payload)))
	w.WriteHeader(http.StatusOK)
	_, err := io.WriteString(w, payload)
	return errors.Join(err, http.NewResponseController(w).Flush())
}
