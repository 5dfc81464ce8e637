package stategate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
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

	// BulkCallsMax is how many calls a gateway may put into one request: they run side by side, and a request of more is answered with
	// 400. 0: 256. 1: bulk calls are off, each request is one call.
	BulkCallsMax int

	// SigningKeys are those of the gateway's file of signing keys: a request that is signed with none of them is answered with 401, and none
	// of its calls run. Several, for the time in which one is replaced. None: whoever reaches the handler may call.
	SigningKeys []string

	// Logger is told of calls that failed. nil: slog.Default().
	Logger *slog.Logger
}

// Handler serves functions over HTTP. It answers 200 with the effects of a call; every other status means that none happened, and
// has the reason as plain text: 400 no request, 401 not signed as it should be, 404 a function that is not served, 405 not POST, 413 too large, 415 another content
// type, 500 the function failed.
//
// A gateway that offers bulk calls is told that it may send them. The answer to one is 200 with an answer to each call, as they finish:
// its effects, or the status and the reason that it would have had alone.
type Handler struct {
	functions       map[functionType]*function
	names           names // of the functions and of the types of their states
	requestBytesMax int64
	bulkCallsMax    int
	crewSize        atomic.Int64 // how many workers the next bulk begins with
	signatures      *signatures  // nil: none are asked for
	logger          *slog.Logger
}

// NewHandler makes a Handler of a Config.
func NewHandler(cfg Config) (*Handler, error) {
	h := &Handler{functions: make(map[functionType]*function), names: names{}, requestBytesMax: cfg.RequestBytesMax, bulkCallsMax: cfg.BulkCallsMax, logger: cfg.Logger}
	if h.requestBytesMax < 0 {
		return nil, fmt.Errorf("make handler: RequestBytesMax is %d: want 0 or more", h.requestBytesMax)
	}
	if h.requestBytesMax == 0 {
		h.requestBytesMax = requestBytesMaxDefault
	}
	if h.bulkCallsMax < 0 {
		return nil, fmt.Errorf("make handler: BulkCallsMax is %d: want 0 or more", h.bulkCallsMax)
	}
	if h.bulkCallsMax == 0 {
		h.bulkCallsMax = bulkCallsMaxDefault
	}
	if h.logger == nil {
		h.logger = slog.Default()
	}
	var err error
	if h.signatures, err = newSignatures(cfg.SigningKeys); err != nil {
		return nil, fmt.Errorf("make handler: %w", err)
	}
	if len(cfg.Functions) == 0 {
		return nil, errors.New("make handler: it has no functions")
	}
	for _, f := range cfg.Functions {
		checked, err := newFunction(f)
		if err != nil {
			return nil, fmt.Errorf("make handler: %w", err)
		}
		namespace, name := splitTypeName(f.Type)
		if h.functions[functionType{namespace, name}] != nil {
			return nil, fmt.Errorf("make handler: function %s is there twice", f.Type)
		}
		h.functions[functionType{namespace, name}] = checked
		h.know(namespace, name)
		for _, spec := range checked.specs {
			h.know(spec.TypeTypename)
		}
	}
	h.know(Bool.Name, Int.Name, Long.Name, Float.Name, Double.Name, String.Name)
	return h, nil
}

// functionType is the type of a function, taken apart.
type functionType struct{ namespace, name string }

func (h *Handler) know(texts ...string) {
	for _, text := range texts {
		h.names[text] = text
	}
}

func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	media, status, err := h.mediaOf(w, r)
	if err != nil {
		h.refuse(w, r, status, err)
		return
	}
	body := buffers.Get().(*bytes.Buffer)
	defer putBuffer(body)
	if status, err := h.read(body, w, r); err != nil {
		h.refuse(w, r, status, err)
		return
	}
	if err := h.signatures.check(r.Header.Values(signatureHeader), media, body.Bytes(), time.Now()); err != nil {
		w.Header().Set("WWW-Authenticate", signatureChallenge) // so that the gateway knows that no call is at fault
		h.refuse(w, r, http.StatusUnauthorized, err)
		return
	}
	if media == bulkContentType {
		h.serveBulk(w, r, body.Bytes())
		return
	}
	back := false
	defer func() {
		if back {
			return
		}
		if p := recover(); p != nil {
			h.refuse(w, r, http.StatusInternalServerError, fmt.Errorf("call: %w", &PanicError{Value: p, Stack: debug.Stack()}))
			return
		}
		h.refuseLast(w, r)
	}()
	reply, status, err := h.answer(r.Context(), body.Bytes(), nil)
	back = true
	if err != nil {
		h.refuse(w, r, status, err)
		return
	}
	if offersBulk(r.Header) {
		h.announce(w)
	}
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("Content-Length", strconv.Itoa(len(reply)))
	_, _ = w.Write(reply) // a caller that went away calls again
}

// mediaOf answers what a request carries, contentType or bulkContentType, or the status that refuses it.
func (h *Handler) mediaOf(w http.ResponseWriter, r *http.Request) (media string, status int, err error) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", http.MethodPost)
		return "", http.StatusMethodNotAllowed, fmt.Errorf("method %s: want POST", r.Method)
	}
	sent := r.Header.Get("Content-Type")
	if media = sent; media != contentType && media != bulkContentType { // what gateways write needs no parsing
		media, _, err = mime.ParseMediaType(sent)
	}
	if err == nil && (media == contentType || media == bulkContentType && h.bulkCallsMax > 1) {
		return media, 0, nil
	}
	want := contentType
	if h.bulkCallsMax > 1 {
		want += " or " + bulkContentType
	}
	return "", http.StatusUnsupportedMediaType, fmt.Errorf("content type %q: want %s", sent, want)
}

// read reads the body of a request, or answers the status that refuses it.
func (h *Handler) read(body *bytes.Buffer, w http.ResponseWriter, r *http.Request) (status int, err error) {
	if r.ContentLength > 0 {
		body.Grow(int(min(r.ContentLength, bodyBytesAhead)) + bytes.MinRead)
	}
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, h.requestBytesMax)); err != nil {
		status := http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		return status, fmt.Errorf("read request: %w", err)
	}
	return 0, nil
}

func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, status int, err error) {
	h.log(r.Context(), status, err)
	http.Error(w, err.Error(), status)
}

// errEnded: runtime.Goexit was called, as the FailNow of a test does.
var errEnded = errors.New("call: the function has ended its goroutine")

// refuseLast answers in a goroutine that is ending, which nothing can stop: the server's, which then closes the connection. So what it
// answers must be whole and leave now. A goroutine for each call would save the connection, and cost each call a tenth.
func (h *Handler) refuseLast(w http.ResponseWriter, r *http.Request) {
	h.log(r.Context(), http.StatusInternalServerError, errEnded)
	text := errEnded.Error()
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Header().Set("Connection", "close")
	w.WriteHeader(http.StatusInternalServerError)
	_, _ = io.WriteString(w, text)
	_ = http.NewResponseController(w).Flush()
}

// buffers are bodies of requests, to be used again: what is decoded shares nothing with them.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func putBuffer(b *bytes.Buffer) {
	if b.Cap() <= bodyBytesAhead {
		b.Reset()
		buffers.Put(b)
	}
}

// Call answers the body of a request with the body of a reply, for fronts that are no HTTP server. An error is one for which HTTP has
// a status other than 200 (a function that ends its goroutine ends the caller's): there is no reply, none of the effects happen, and the
// gateway is to call again. It is for ordinary requests, one call each: such a front hands its answer over whole, so it announces no bulk
// calls, and a gateway sends it none. It checks no signature: [Handler.CheckSignature] does.
func (h *Handler) Call(ctx context.Context, request []byte) (reply []byte, err error) {
	reply, _, err = h.answer(ctx, request, nil)
	return reply, err
}

// answer runs one call. The reply takes the space of scratch, if that suffices.
func (h *Handler) answer(ctx context.Context, body, scratch []byte) (reply []byte, status int, err error) {
	request, err := h.names.decodeRequest(body)
	if err != nil {
		return nil, http.StatusBadRequest, err
	}
	if !request.targeted {
		return nil, http.StatusBadRequest, errors.New("parse request: it has no target")
	}
	self := Address{Namespace: h.names.of(request.namespace), Name: h.names.of(request.name), ID: string(request.id)}
	f := h.functionOf(self)
	if f == nil {
		return nil, http.StatusNotFound, fmt.Errorf("function %q is not served here", self.Function())
	}
	if reply, err = f.call(ctx, h.logger, self, request, scratch); err != nil {
		return nil, http.StatusInternalServerError, err
	}
	return reply, http.StatusOK, nil
}

// functionOf is the function of an address. A name with a slash in it may have been cut at another one.
func (h *Handler) functionOf(self Address) *function {
	if f := h.functions[functionType{self.Namespace, self.Name}]; f != nil {
		return f
	}
	namespace, name := splitTypeName(self.Function())
	return h.functions[functionType{namespace, name}]
}

func (h *Handler) log(ctx context.Context, status int, err error) {
	if panicked := (*PanicError)(nil); errors.As(err, &panicked) {
		h.logger.ErrorContext(ctx, "call failed", "status", status, "error", err, "stack", string(panicked.Stack))
		return
	}
	h.logger.WarnContext(ctx, "call failed", "status", status, "error", err)
}
