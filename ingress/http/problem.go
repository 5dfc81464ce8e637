package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	nethttp "net/http"
	"strconv"
	"strings"

	"github.com/stategate/stategate/ingress"
)

// problem is an answer other than a success, as RFC 9457 writes it, with what to do about it.
type problem struct {
	status int
	detail string // what is wrong, and what has happened
	remedy string // what to do
}

func answer(w nethttp.ResponseWriter, p *problem) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
		Remedy string `json:"remedy"`
	}{"about:blank", nethttp.StatusText(p.status), p.status, p.detail, p.remedy}) // texts can always be encoded
	if p.status == nethttp.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	write(w, p.status, "application/problem+json", body.Bytes())
}

func write(w nethttp.ResponseWriter, status int, contentType string, body []byte) {
	if contentType != "" {
		w.Header().Set("Content-Type", contentType)
	}
	if status != nethttp.StatusNoContent {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // whoever asked is gone
}

// problemOf words what became of a message. 503 says that nothing has happened, so that whoever sends it again by itself does no harm; what
// may have happened is 502 or 504.
func problemOf(ctx context.Context, err error) *problem {
	late := errors.Is(context.Cause(ctx), context.DeadlineExceeded)
	status := nethttp.StatusBadGateway
	if late {
		status = nethttp.StatusGatewayTimeout
	}
	switch {
	case errors.Is(err, ingress.ErrUnknownFunction):
		return &problem{nethttp.StatusNotFound, err.Error() + "; nothing has happened", "write an endpoint for it into the module, or mend the path"}
	case errors.Is(err, ingress.ErrUnusable):
		return &problem{nethttp.StatusBadRequest, err.Error() + "; nothing has happened", "send another one"}
	case errors.Is(err, ingress.ErrNotTaken):
		return &problem{nethttp.StatusServiceUnavailable, err.Error() + "; nothing has happened", "send it again; the gateway's /readyz says what it waits for"}
	case errors.Is(err, ingress.ErrNoReply) && late:
		return &problem{status, "the event is durable and takes effect once, and its reply has not come in time", "ask the function what came of it, or raise the timeout of the ingress; sent again it takes effect once more"}
	case errors.Is(err, ingress.ErrNoReply), errors.Is(err, ingress.ErrReplyLost):
		return &problem{status, "the event is durable and takes effect once, and its reply is lost, for the gateway stops", "ask the function what came of it; sent again it takes effect once more"}
	}
	return &problem{status, "it is not known whether the event was taken", "ask the function what came of it; sent again it may take effect twice"}
}

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }
