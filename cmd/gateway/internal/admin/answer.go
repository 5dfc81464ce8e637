package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/go-chi/chi/v5"

	"github.com/stategate/stategate/cmd/gateway/internal/report"
	"github.com/stategate/stategate/statestore"
)

// problem is an error as RFC 9457 writes it, with what to do about it.
type problem struct {
	status int
	detail string // what is wrong
	remedy string // what to do
}

func (p problem) Error() string { return p.detail }

func write(w http.ResponseWriter, p problem) {
	body := encode(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Remedy string `json:"remedy"`
	}{"about:blank", http.StatusText(p.status), p.status, p.detail, p.remedy})
	send(w, p.status, "application/problem+json", body)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	send(w, status, "application/json", encode(v))
}

func send(w http.ResponseWriter, status int, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever asked is gone
}

// encode writes a value of this package as JSON for people: indented, and harmless wherever it is shown.
func encode(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // & is as it is
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic("encode an answer: " + err.Error()) // our own types have nothing that cannot be encoded
	}
	return harmless(b.Bytes())
}

// harmless escapes in JSON what begins a tag in a page, and what a terminal obeys or shows in another order: ids, keys and reasons hold
// what others have sent. JSON has such characters in its strings only.
func harmless(text []byte) []byte {
	if !bytes.ContainsFunc(text, harmful) {
		return text
	}
	out := make([]byte, 0, len(text)+len(text)/8)
	for _, r := range string(text) {
		if !harmful(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}

func harmful(r rune) bool {
	return r == '<' || r == '>' || r >= 0x7f && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r))
}

const listRemedy = "GET / lists what can be asked"

func (h *handler) notFound(w http.ResponseWriter, _ *http.Request) {
	write(w, problem{http.StatusNotFound, "there is nothing at this path", listRemedy + "; a / within an id is written %2F, and an empty id ?id="})
}

// failed answers for the gateway's errors. What nobody expected goes to the log and not to whoever asked.
func (h *handler) failed(w http.ResponseWriter, r *http.Request, err error) {
	switch {
	case r.Context().Err() != nil: // nobody is there to be answered, most likely; for whoever is, it must not look like an answer
		write(w, problem{http.StatusServiceUnavailable, "the question has ended before its answer was there", "ask again"})
	case errors.Is(err, statestore.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		w.Header().Set("Retry-After", "1")
		write(w, problem{http.StatusServiceUnavailable, "the store does not answer", "ask again; /readyz and the log say what is wrong"})
	case errors.Is(err, report.ErrStandby):
		remedy := "ask the one whose /readyz says active; while there is none, /readyz of this one says what it waits for"
		var other *report.Standby
		if errors.As(err, &other) && other.Owner != "" {
			remedy = fmt.Sprintf("ask the one that works: its admin side is %s, on host %s", other.Owner, other.Host)
		}
		write(w, problem{http.StatusConflict, report.ErrStandby.Error(), remedy})
	default:
		h.Log.Error("admin: a question cannot be answered", "path", chi.RouteContext(r.Context()).RoutePattern(), "error", err)
		write(w, problem{http.StatusInternalServerError, "the question cannot be answered", "the log says why"})
	}
}

// answerMax bounds how long one answer may take to find.
const answerMax = 10 * time.Second

// timestamp is a time of the machine, in Unix milliseconds, as RFC 3339 in UTC; nil for 0.
func timestamp(ms int64) *string {
	const first, last = -62135596800000, 253402300799999 // the years 1 and 9999; RFC 3339 has no others
	if ms == 0 {
		return nil
	}
	text := time.UnixMilli(min(max(ms, first), last)).UTC().Format("2006-01-02T15:04:05.000Z")
	return &text
}
