package endpoint

import (
	"bytes"
	"errors"
	"strings"
	"sync/atomic"
)

// HTTP2 says when HTTP/2 is spoken.
type HTTP2 uint8

const (
	// HTTP2Auto: over TLS where the endpoint offers it; in the clear, where nobody offers anything, when the endpoint answers HTTP/1.1
	// with frames of HTTP/2.
	HTTP2Auto HTTP2 = iota
	// HTTP2Always: and nothing else; in the clear without asking (prior knowledge).
	HTTP2Always
	// HTTP2Never: HTTP/1.1, whatever is offered.
	HTTP2Never
)

// Of a frame of HTTP/2 nine bytes are the head: three of length, one of type, one of flags, four of the stream's number.
const (
	frameHeadBytes = 9
	frameSettings  = 0x4
	frameGoAway    = 0x7
)

// surprise watches the first bytes of a peer that was taken for one protocol and may speak the other. Its fields belong to the
// goroutine that reads the connection, but where marked.
type surprise struct {
	spokenTo2 bool        // we spoke HTTP/2; never changed
	done      atomic.Bool // read by all
	start     []byte
}

// hear reports whether the bytes show the other protocol. A server that speaks HTTP/2 only answers a request of HTTP/1.1 with its
// settings, or with its farewell; one that does not know HTTP/2 answers the preface with a status of HTTP/1. In both cases the call
// was not understood, so it was not done.
func (s *surprise) hear(p []byte) bool {
	if s.done.Load() || len(p) == 0 {
		return false
	}
	s.start = append(s.start, p[:min(len(p), frameHeadBytes-len(s.start))]...)
	if s.spokenTo2 {
		const http1 = "HTTP/1."
		if len(s.start) < len(http1) {
			return false
		}
		s.done.Store(true)
		return bytes.HasPrefix(s.start, []byte(http1))
	}
	if len(s.start) < frameHeadBytes {
		return false
	}
	s.done.Store(true)
	ofConnection := bytes.Equal(s.start[5:], []byte{0, 0, 0, 0})
	return ofConnection && (s.start[3] == frameSettings || s.start[3] == frameGoAway) && s.start[0] == 0
}

// streamError is what net/http says of a reset; errors.As fills it in.
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return "stream reset" }

const refusedStream = 7

// brokenLine reports whether net/http ended a shared connection because of what came over it, as it does with headers far beyond its
// bound in several frames. It does not say to which call they belong. Where net/http has no type for it there is its text.
func brokenLine(err error) bool { return strings.HasPrefix(err.Error(), "connection error: ") }

// unseen reports whether a call that failed on a shared connection was not worked on: refused, or sent too late, to one that ends. Where
// net/http has no type for it there is its text, and a test that says so when it changes.
func unseen(err error) bool {
	var reset streamError
	if errors.As(err, &reset) {
		return reset.Code == refusedStream
	}
	switch err.Error() {
	case "http2: client conn not usable", "http2: client conn is closed", "http2: Transport received Server's graceful shutdown GOAWAY":
		return true
	}
	return false
}
