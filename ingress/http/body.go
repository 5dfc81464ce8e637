package http

import (
	"errors"
	"fmt"
	"io"
	nethttp "net/http"
	"os"
	"sync"
	"time"
)

const (
	bodiesBytesMax = 128 << 20 // of all that are being read or wait, as far as they are larger than bodySmall
	bodySmall      = 16 << 10  // smaller ones are bounded by the number of requests
)

// budget bounds the memory of bodies. One that finds no room is refused, and may be sent again; it never waits, for those that hold the
// room may take their time. One alone always has room.
type budget struct {
	bytesMax int64

	mu   sync.Mutex
	used int64 // guarded by mu
}

// grow adds to what its holder has already, and reports whether there was room.
func (b *budget) grow(held, more int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.used+more > b.bytesMax && b.used > held {
		return false
	}
	b.used += more
	return true
}

func (b *budget) give(bytes int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= bytes
}

// awaitBody gives the body time to arrive. A request without one has no deadline: its connection is being read already, to notice when the
// client is gone, and a deadline would end the request.
func awaitBody(control *nethttp.ResponseController, r *nethttp.Request, atMost time.Duration) {
	if r.Body != nil && r.Body != nethttp.NoBody {
		_ = control.SetReadDeadline(time.Now().Add(atMost)) // what cannot be given deadlines has none: a test that records answers
	}
}

const (
	discardBytesMax = 8 << 20
	discardTimeMax  = 2 * time.Second
)

// discard reads on in a body that is refused, within bounds: a client that is still writing when its connection ends may not see why.
func discard(control *nethttp.ResponseController, r *nethttp.Request) {
	if r.ContentLength > discardBytesMax {
		return
	}
	awaitBody(control, r, discardTimeMax)
	_, _ = io.CopyN(io.Discard, r.Body, discardBytesMax)
}

// read reads a body; held is what it has taken of the budget, which is to be given back in any case. Memory grows with what has come, not
// with what a header announces.
func (b *budget) read(r *nethttp.Request, bytesMax int) (body []byte, held int64, wrong *problem) {
	tooLarge := &problem{status: nethttp.StatusRequestEntityTooLarge, detail: fmt.Sprintf("the body is larger than %d bytes; nothing has happened", bytesMax), remedy: "keep it elsewhere and send where it is, or raise maxBodySize of the ingress"}
	if r.ContentLength > int64(bytesMax) {
		return nil, 0, tooLarge
	}
	body = make([]byte, 0, min(max(r.ContentLength+1, 512), bodySmall))
	for {
		if len(body) == cap(body) {
			more := int64(min(cap(body), bytesMax+1-cap(body)))
			if more <= 0 {
				return nil, held, tooLarge
			}
			if cap(body)+int(more) > bodySmall {
				if !b.grow(held, more) {
					return nil, held, &problem{status: nethttp.StatusServiceUnavailable, detail: "too many large bodies are on their way; nothing has happened", remedy: "send it again, a little later"}
				}
				held += more
			}
			grown := make([]byte, len(body), cap(body)+int(more))
			copy(grown, body)
			body = grown
		}
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		switch {
		case len(body) > bytesMax:
			return nil, held, tooLarge
		case errors.Is(err, io.EOF):
			return body, held, nil
		case err != nil:
			return nil, held, notArrived(err)
		}
	}
}

// notArrived is for a body that ends before its end.
func notArrived(err error) *problem {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return &problem{status: nethttp.StatusRequestTimeout, detail: "the body did not arrive in time; nothing has happened", remedy: "send it again, quicker"}
	}
	return &problem{status: nethttp.StatusBadRequest, detail: fmt.Sprintf("the body did not arrive: %v; nothing has happened", err), remedy: "send it again"}
}
