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
	again  bool   // it may be sent again, by a program too; 503 always may
	after  int    // seconds until then; 0: one
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
	if p.status == nethttp.StatusServiceUnavailable || p.again {
		w.Header().Set("Retry-After", strconv.Itoa(max(p.after, 1)))
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
func problemOf(ctx context.Context, err error, keyed bool) *problem {
	return outcome(ctx, err).under(keyed)
}

// under adds what a key makes of a problem: what has one may always be sent again.
func (p *problem) under(key bool) *problem {
	if key && p.status > nethttp.StatusInternalServerError {
		p.again, p.remedy = true, "send it again with the same "+keyHeader+": it takes effect once, and is answered with the same reply"
	}
	return p
}

func outcome(ctx context.Context, err error) *problem {
	late := errors.Is(context.Cause(ctx), context.DeadlineExceeded)
	status := nethttp.StatusBadGateway
	if late {
		status = nethttp.StatusGatewayTimeout
	}
	switch {
	case errors.Is(err, ingress.ErrUnknownFunction):
		return &problem{status: nethttp.StatusNotFound, detail: err.Error() + "; nothing has happened", remedy: "write an endpoint for it into the module, or mend the path"}
	case errors.Is(err, ingress.ErrUnusable):
		return &problem{status: nethttp.StatusBadRequest, detail: err.Error() + "; nothing has happened", remedy: "send another one"}
	case errors.Is(err, ingress.ErrKeyUsed):
		return &problem{status: nethttp.StatusUnprocessableEntity, detail: "the " + keyHeader + " was used at this address for another body, type or path; nothing has happened", remedy: "use another key for another thing"}
	case errors.Is(err, ingress.ErrNotTaken):
		return &problem{status: nethttp.StatusServiceUnavailable, detail: err.Error() + "; nothing has happened", remedy: "send it again; the gateway's /readyz says what it waits for"}
	case errors.Is(err, ingress.ErrSetAside):
		return &problem{status: nethttp.StatusBadGateway, detail: err.Error() + ": it has had no effect",
			remedy: "it is kept as a dead letter, which operators replay or discard; sent again it takes effect beside a replay"}
	case errors.Is(err, ingress.ErrFailing) && late:
		return &problem{status: status, detail: "the event is durable, and its function fails on what waits for this address",
			remedy: "the gateway's admin side says why, under /v1/addresses/NAMESPACE/NAME/ID; once the function is mended the event takes effect, once, unless it is set aside as a dead letter; sent again it takes effect once more"}
	case errors.Is(err, ingress.ErrNoReply) && late:
		return &problem{status: status, detail: "the event is durable, and its reply has not come in time",
			remedy: "ask the function what came of it, or raise the timeout of the ingress; the event takes effect once, unless it is set aside as a dead letter; sent again it takes effect once more"}
	case errors.Is(err, ingress.ErrNoReply), errors.Is(err, ingress.ErrReplyLost):
		return &problem{status: status, detail: "the event is durable, and its reply is lost, for the gateway stops",
			remedy: "ask the function what came of it; the event takes effect once, unless it is set aside as a dead letter; sent again it takes effect once more"}
	}
	return &problem{status: status, detail: "it is not known whether the event was taken", remedy: "ask the function what came of it; sent again it may take effect twice"}
}

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }
