package playground

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/stategate/stategate/internal/playground"
)

// ServeHTTP answers GET /<topic> with its oldest record, which is taken out: whoever asks next gets the next one.
func (r *Relay) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if q.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		playground.Answer(w, http.StatusMethodNotAllowed, http.StatusMethodNotAllowed, "records are taken with GET, not with "+short(q.Method))
		return
	}
	name, err := url.PathUnescape(strings.TrimPrefix(q.URL.EscapedPath(), "/"))
	t := r.topics[name]
	if err != nil || t == nil { // StateFun's playground says 405 of a topic that its module does not have
		playground.Answer(w, http.StatusNotFound, http.StatusMethodNotAllowed, "there is no topic "+strconv.Quote(short(name))+": GET /<topic>; the module's topics are "+list(r.cfg.Topics))
		return
	}
	rec, ok, err := r.take(q.Context(), name, t)
	switch {
	case err != nil:
		playground.Answer(w, http.StatusServiceUnavailable, http.StatusServiceUnavailable, later(err))
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

// take fetches within a bound of time, and no longer than the relay runs.
func (r *Relay) take(ctx context.Context, name string, t *topic) (waiting, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, r.lookTimeMax)
	defer cancel()
	defer context.AfterFunc(r.over, cancel)()
	return r.fetch(ctx, name, t)
}

// later says why nobody knows whether there is a record.
func later(err error) string {
	if e := (*unsorted)(nil); errors.As(err, &e) {
		return fmt.Sprintf("it is not known yet whether the topic has a record: %d outputs that are committed are still to be looked at; ask again", e.left)
	}
	return "the store does not answer; ask again"
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
