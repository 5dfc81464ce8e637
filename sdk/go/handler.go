package stategate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"net/http"
	"strconv"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/sdk/go/internal/protocol"
)

const contentType = "application/octet-stream"

// requestBytesMaxDefault leaves room for one large message and its state; a gateway sends batches of 512 KiB.
const requestBytesMaxDefault = 64 << 20

// bodyBytesAhead bounds the memory that a request gets for a Content-Length before its bytes are there.
const bodyBytesAhead = 1 << 20

// Config is what a Handler is made from.
type Config struct {
	// Functions are the functions to serve, each type once. The request says which one it is for, not the URL.
	Functions []Function

	// RequestBytesMax bounds the body of a request, in bytes; a larger one is answered with 413. 0: 64 MiB.
	RequestBytesMax int64

	// Logger is told of calls that failed. nil: slog.Default().
	Logger *slog.Logger
}

// Handler serves functions over HTTP. It answers 200 with the effects of a call; every other status means that none happened, and
// has the reason as plain text: 400 no request, 404 a function that is not served, 405 not POST, 413 too large, 415 another content
// type, 500 the function failed.
type Handler struct {
	functions       map[string]*function
	requestBytesMax int64
	logger          *slog.Logger
}

// NewHandler makes a Handler of a Config.
func NewHandler(cfg Config) (*Handler, error) {
	h := &Handler{functions: make(map[string]*function), requestBytesMax: cfg.RequestBytesMax, logger: cfg.Logger}
	if h.requestBytesMax < 0 {
		return nil, fmt.Errorf("make handler: RequestBytesMax is %d: want 0 or more", h.requestBytesMax)
	}
	if h.requestBytesMax == 0 {
		h.requestBytesMax = requestBytesMaxDefault
	}
	if h.logger == nil {
		h.logger = slog.Default()
	}
	if len(cfg.Functions) == 0 {
		return nil, errors.New("make handler: it has no functions")
	}
	for _, f := range cfg.Functions {
		checked, err := newFunction(f)
		if err != nil {
			return nil, fmt.Errorf("make handler: %w", err)
		}
		if h.functions[f.Type] != nil {
			return nil, fmt.Errorf("make handler: function %s is there twice", f.Type)
		}
		h.functions[f.Type] = checked
	}
	return h, nil
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	reply, status, err := h.serve(w, r)
	if err != nil {
		h.log(r, status, err)
		http.Error(w, err.Error(), status)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(reply)))
	_, _ = w.Write(reply) // a caller that went away calls again
}

// serve answers the reply, or why there is none and the status that says so.
func (h *Handler) serve(w http.ResponseWriter, r *http.Request) (reply []byte, status int, err error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return nil, http.StatusMethodNotAllowed, fmt.Errorf("method %s: want POST", r.Method)
	}
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != contentType {
		return nil, http.StatusUnsupportedMediaType, fmt.Errorf("content type %q: want %s", r.Header.Get("Content-Type"), contentType)
	}
	var body bytes.Buffer
	if r.ContentLength > 0 {
		body.Grow(int(min(r.ContentLength, bodyBytesAhead)) + bytes.MinRead)
	}
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, h.requestBytesMax)); err != nil {
		status := http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		return nil, status, fmt.Errorf("read request: %w", err)
	}
	return h.answer(r.Context(), body.Bytes())
}

// Call answers the body of a request with the body of a reply, for fronts that are no HTTP server. An error is one for which HTTP has
// a status other than 200: there is no reply, none of the effects happen, and the gateway is to call again.
func (h *Handler) Call(ctx context.Context, request []byte) (reply []byte, err error) {
	reply, _, err = h.answer(ctx, request)
	return reply, err
}

func (h *Handler) answer(ctx context.Context, body []byte) (reply []byte, status int, err error) {
	var request protocol.ToFunction
	if err := proto.Unmarshal(body, &request); err != nil {
		return nil, http.StatusBadRequest, fmt.Errorf("parse request: %w", err)
	}
	invocation := request.GetInvocation()
	if invocation.GetTarget() == nil {
		return nil, http.StatusBadRequest, errors.New("parse request: it has no target")
	}
	f := h.functions[addressOf(invocation.GetTarget()).Function()]
	if f == nil {
		return nil, http.StatusNotFound, fmt.Errorf("function %q is not served here", addressOf(invocation.GetTarget()).Function())
	}
	effects, err := f.call(ctx, h.logger, invocation)
	if err != nil {
		return nil, http.StatusInternalServerError, err
	}
	if reply, err = proto.Marshal(effects); err != nil {
		return nil, http.StatusInternalServerError, fmt.Errorf("encode reply of %s: %w", addressOf(invocation.GetTarget()), err)
	}
	return reply, http.StatusOK, nil
}

func (h *Handler) log(r *http.Request, status int, err error) {
	if panicked := (*PanicError)(nil); errors.As(err, &panicked) {
		h.logger.ErrorContext(r.Context(), "call failed", "status", status, "error", err, "stack", string(panicked.Stack))
		return
	}
	h.logger.WarnContext(r.Context(), "call failed", "status", status, "error", err)
}
