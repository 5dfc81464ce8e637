package admin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/dispatcher"
	"github.com/stategate/stategate/statestore"
)

// Mender is what operators can change. A method returns when the change is durable, and by is who wants it, for the audit. Errors that
// say for certain that nothing has changed are dispatcher.ErrNothing, ErrChanged, ErrNotSent, an *Objection and a *report.Standby; after any other one the change may have been made, or may be yet.
type Mender interface {
	Retry(ctx context.Context, a api.Address, by string) error
	Skip(ctx context.Context, a api.Address, message uint64, by string) error
	// Pause pauses, or resumes when it is ended; who wants it is in it.
	Pause(ctx context.Context, p statestore.Pause) (report.PauseDone, error)
	ReplayOne(ctx context.Context, number uint64, to *api.Address, by string) error
	DiscardOne(ctx context.Context, number uint64, by string) error
	// LastDeadLetter is the highest number of a dead letter that there is now; 0: there are none. Asking changes nothing.
	LastDeadLetter(ctx context.Context) (uint64, error)
	Replay(ctx context.Context, s dispatcher.Selection, by string) (dispatcher.Batch, error)
	Discard(ctx context.Context, s dispatcher.Selection, by string) (dispatcher.Batch, error)
	// EditState answers the version that is there now, also with dispatcher.ErrChanged; "": it is not set.
	EditState(ctx context.Context, a api.Address, e dispatcher.Edit, by string) (version string, err error)
	ForgetIngress(ctx context.Context, id, by string) error
	ForgetEgress(ctx context.Context, id, by string) error
	// Noted puts into the audit what was done without it.
	Noted(ctx context.Context, what, on, detail, by string) error
	// Decide lets a lane go on that stands still, and says from which output on.
	Decide(ctx context.Context, egress string, slot int, d report.Decision, by string) (next uint64, err error)
}

// mends are the routes that change something. A path with a {place} comes before the one that ends there.
func (h *handler) mends() []route {
	rows := h.letterMends()
	rows = append(rows, h.addressMends()...)
	rows = append(rows, h.stateMends()...)
	rows = append(rows, h.wholeMends()...)
	return append(rows, route{
		Method: http.MethodPut, Path: logLevelPath, About: "changes the level of the log until the restart",
		Body: jsonLogLevel{}, Answer: jsonLogLevel{}, Serve: h.placed(soon(h.setLogLevel)),
	})
}

// mended is what a change answers.
type mended struct {
	answer any    // nil: nothing but that it is done
	etag   string // of what is there now; "": none
}

// mendMax bounds how long a change may take: one of a state waits for the call that is out. mendsMax bounds how many are made at a time.
const (
	mendMax  = 20 * time.Second
	mendsMax = 16
)

// changer is what a route changes something with.
type changer func(ctx context.Context, app Application, r *http.Request, by string) (mended, error)

// mend lets f change something, where there is a place for it.
func (h *handler) mend(f changer) http.HandlerFunc { return h.placed(soon(h.made(f))) }

func (h *handler) placed(next http.HandlerFunc) http.HandlerFunc {
	return noPage(within(h.mended, "too many changes are being made; nothing has happened", next))
}

// made lets f change something, and says what came of it: done, not done and why, or that nobody knows.
func (h *handler) made(f changer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), mendMax)
		defer cancel()
		app, err := h.Gateway.Application()
		if err != nil {
			h.failed(w, r, err)
			return
		}
		m, err := f(ctx, app, r, h.by(r))
		switch {
		case err != nil:
			if errors.Is(err, dispatcher.ErrChanged) && m.etag != "" {
				w.Header().Set("ETag", `"`+m.etag+`"`)
			}
			h.notMended(w, r, err)
		case m.answer == nil:
			w.WriteHeader(http.StatusNoContent)
		default:
			if m.etag != "" {
				w.Header().Set("ETag", `"`+m.etag+`"`)
			}
			writeJSON(w, http.StatusOK, m.answer)
		}
	}
}

// noPage refuses what a page in an operator's browser asks for, whoever has written that page: browsers say where a request that changes
// something comes from.
func noPage(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if len(r.Header.Values("Origin")) > 0 {
			write(w, problem{http.StatusForbidden, "a page in a browser asks to change something", "use the command line, or curl -X " + r.Method})
			return
		}
		next(w, r)
	}
}

// notMended says why something is not changed, or that it is not known whether it is.
func (h *handler) notMended(w http.ResponseWriter, r *http.Request, err error) {
	var p problem
	var no *dispatcher.Objection
	switch {
	case errors.As(err, &p):
		write(w, p)
	case errors.As(err, &no):
		write(w, problem{http.StatusConflict, no.Detail, no.Remedy})
	case errors.Is(err, dispatcher.ErrChanged):
		write(w, problem{http.StatusPreconditionFailed, "it is not as you have seen it: it has changed meanwhile", "look at it again, and ask with its version of now"})
	case errors.Is(err, dispatcher.ErrNothing):
		write(w, problem{http.StatusNotFound, err.Error(), "look what there is: " + listRemedy + "; it may be done already"})
	case errors.Is(err, report.ErrStandby):
		h.failed(w, r, err)
	case errors.Is(err, dispatcher.ErrNotSent):
		w.Header().Set("Retry-After", "1")
		p := problem{http.StatusServiceUnavailable, "the gateway has begun anew before this was made; nothing has happened", "ask again"}
		if errors.Is(err, context.DeadlineExceeded) {
			p.detail, p.remedy = "its turn has not come: a call is out, or others wait before it; nothing has happened", "ask again, or pause the address first"
		}
		write(w, p)
	default:
		status := http.StatusServiceUnavailable
		if errors.Is(err, context.DeadlineExceeded) {
			status = http.StatusGatewayTimeout
		}
		if r.Context().Err() == nil { // else whoever asked has gone, most likely: it is answered for those who have not
			h.Log.Warn("admin: it is not known whether a change was made", "path", chi.RouteContext(r.Context()).RoutePattern(), "error", err)
		}
		w.Header().Set("Retry-After", "1")
		write(w, problem{status, "it is not known whether this was done, or will be", "look what is there, or ask again: what is done is not done twice. /readyz and the log say what is wrong"})
	}
}

// by is who asks, for the audit: what he calls himself, which nobody has checked, where he is, and by which token he was let in.
func (h *handler) by(r *http.Request) string {
	by := plainName(r.Header.Get("Stategate-Operator"))
	if by == "" {
		by = "somebody"
	}
	if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
		by += " at " + host
	}
	if _, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && h.Access.Role != nil {
		digest := sha256.Sum256([]byte(strings.TrimSpace(token)))
		by += ", token " + hex.EncodeToString(digest[:3])
	}
	return by
}

// nameMax bounds a name, in characters.
const nameMax = 100

// plainName cuts a name, and takes out what is no letter to be seen.
func plainName(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError || !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r):
			return -1
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	text = strings.TrimSpace(text)
	if all := []rune(text); len(all) > nameMax {
		text = string(all[:nameMax])
	}
	return text
}
