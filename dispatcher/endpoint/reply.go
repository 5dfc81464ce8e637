package endpoint

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	// drainBytesMax and drainWait bound what is read of an answer that is a failure already, for its text and to
	// keep its connection. Beyond them the connection is closed.
	drainBytesMax = 64 << 10
	drainWait     = 500 * time.Millisecond
	// firstBytesMax bounds the memory taken on the word of a Content-Length.
	firstBytesMax = 256 << 10
)

// errBusy: there is no room for a large reply beside those that are there.
var errBusy = errors.New("too many large replies at a time")

var errTooLarge = errors.New("larger than its bound")

// read judges the status before the content type, for some SDKs send the right type with a 500, and the type before
// the body: a front may answer 200 with nothing but a header named Status.
func (a *attempt) read(response *http.Response) ([]byte, *Failure) {
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return nil, a.badStatus(response)
	}
	a.announced = a.client.announced(response.Header)
	if headerBytes(response.Header) > headerBytesMax {
		return nil, a.failure(BadReply, response.StatusCode, fmt.Sprintf("the reply's headers are larger than the bound of %d bytes", headerBytesMax))
	}
	if problem := contentTypeProblem(response.Header, contentType, a.client.spec.ExactContentType); problem != "" {
		if odd := response.Header.Get("Status"); odd != "" {
			problem += fmt.Sprintf(", and a header Status: %s", odd)
		}
		return nil, a.rejected(response, problem)
	}
	reply, err := a.body(response)
	if err == nil {
		return reply, nil
	}
	if f := a.stopped(); f != nil {
		f.Status = response.StatusCode
		return nil, f
	}
	a.broken = brokenLine(err)
	var netErr net.Error
	switch {
	case errors.Is(err, errBusy):
		return nil, a.failure(Busy, response.StatusCode, "no memory for the reply now: other replies are as large")
	case errors.Is(err, errTooLarge):
		text := fmt.Sprintf("the reply is larger than the bound of %d bytes", a.client.spec.ReplyBytesMax)
		return nil, a.failure(BadReply, response.StatusCode, text)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, a.failure(BadReply, response.StatusCode, "the reply was cut short")
	case errors.As(err, &netErr):
		return nil, a.failure(Unreachable, response.StatusCode, fmt.Sprintf("read reply: %v", err))
	}
	return nil, a.failure(BadReply, response.StatusCode, fmt.Sprintf("read reply: %v", err))
}

// headerBytes is the size of headers as HTTP/1.1 writes them.
func headerBytes(header http.Header) (total int) {
	for name, values := range header {
		for _, value := range values {
			total += len(name) + len(": ") + len(value) + len("\r\n")
		}
	}
	return total
}

func (a *attempt) badStatus(response *http.Response) *Failure {
	text := fmt.Sprintf("status %d", response.StatusCode)
	if name := http.StatusText(response.StatusCode); name != "" {
		text += " " + name
	}
	if location := response.Header.Get("Location"); location != "" && response.StatusCode < 400 {
		text += " (redirects are not followed)"
	}
	kind := kindOfStatus(response.StatusCode)
	if refusesSignature(response) {
		kind = Overloaded // as good as: it takes no call now, and it is not the call's fault
		text += a.client.pool.signer.remedy()
	}
	if words := said(a.client.withoutOurs(a.excerpt(response))); words != "" {
		text += ": " + words
	}
	f := a.failure(kind, response.StatusCode, text)
	f.RetryAfter = retryAfter(response.Header.Get("Retry-After"), time.Now())
	return f
}

func (a *attempt) rejected(response *http.Response, problem string) *Failure {
	text := fmt.Sprintf("status %d with %s", response.StatusCode, problem)
	if words := said(a.client.withoutOurs(a.excerpt(response))); words != "" {
		text += ": " + words
	}
	return a.failure(BadReply, response.StatusCode, text)
}

// excerpt is the beginning of a failed answer's body. What goes wrong in reading it does not matter.
func (a *attempt) excerpt(response *http.Response) []byte {
	if response.StatusCode == http.StatusSwitchingProtocols || response.ContentLength == 0 {
		return nil
	}
	defer a.hurry(drainWait)()
	decoder, err := a.client.pool.decode(io.LimitReader(response.Body, drainBytesMax), response.Header)
	if err != nil {
		return nil
	}
	defer decoder.close()
	start := make([]byte, saidBytesMax)
	n, err := io.ReadFull(decoder, start)
	if err == nil && response.ContentLength <= drainBytesMax {
		io.CopyN(io.Discard, response.Body, drainBytesMax)
	}
	return start[:n]
}

// hurry ends the attempt when it is not over by then. What it answers calls that off.
func (a *attempt) hurry(wait time.Duration) func() {
	if a.exchange.conn != nil {
		a.exchange.hurry(wait)
		return func() {}
	}
	timer := time.AfterFunc(wait, func() { a.stop(nil) })
	return func() { timer.Stop() }
}

// contentTypeProblem is "" if one of the values is the wanted one.
func contentTypeProblem(header http.Header, want string, exact bool) string {
	values := header["Content-Type"]
	if len(values) == 1 && values[0] == want {
		return ""
	}
	for _, value := range values {
		for one := range strings.SplitSeq(value, ",") {
			if !exact {
				one, _, _ = strings.Cut(one, ";")
			}
			if strings.EqualFold(strings.TrimSpace(one), want) {
				return ""
			}
		}
	}
	if len(values) == 0 {
		return "no content type (must be " + want + ")"
	}
	return fmt.Sprintf("content type %q (must be %s)", strings.Join(values, ", "), want)
}

// body reads a good answer to its end, decompressed, within the bound.
func (a *attempt) body(response *http.Response) ([]byte, error) {
	bytesMax := a.client.spec.ReplyBytesMax
	if response.ContentLength == 0 {
		return []byte{}, nil
	}
	source, watch := a.watch(response.Body)
	defer watch.pause()
	if len(response.Header["Content-Encoding"]) == 0 {
		if response.ContentLength > bytesMax {
			return nil, errTooLarge
		}
		return a.readAll(source, response.ContentLength, bytesMax)
	}
	// Bounded before decoding too, for compressed bytes can go on for ever and decode to nothing.
	raw := &bounded{source: source, left: bytesMax + bytesMax/64 + firstBytesMax}
	decoder, err := a.client.pool.decode(raw, response.Header)
	if err != nil {
		return nil, err
	}
	defer decoder.close()
	reply, err := a.readAll(decoder, -1, bytesMax)
	if err != nil {
		return nil, err
	}
	if n, err := io.CopyN(io.Discard, decoder.rest, drainBytesMax); n > 0 || err != io.EOF {
		a.client.pool.Release(Room(reply))
		if n > 0 {
			err = errors.New("bytes behind the compressed reply")
		}
		return nil, err
	}
	return reply, nil
}

// watch ends the attempt when no piece of a response comes for too long.
func (a *attempt) watch(source io.Reader) (watching io.Reader, w *watched) {
	wait := a.client.spec.Read
	if wait <= 0 || a.exchange.conn != nil { // which minds the time itself
		return source, nil
	}
	w = &watched{source: source, wait: wait}
	w.timer = time.AfterFunc(wait, func() { a.stop(errSilent) })
	return w, w
}

// readAll reads to the end; expected is the length if it is known, else -1. What it answers counts in the pool's budget until it is
// released.
func (a *attempt) readAll(source io.Reader, expected, bytesMax int64) (whole []byte, err error) {
	budget := &a.client.pool.replies
	size := int64(512)
	if expected >= 0 {
		size = min(expected, firstBytesMax) + 1 // one more, so that the end is seen without growing
	}
	reply := make([]byte, 0, size)
	defer func() {
		if err != nil {
			budget.give(weight(cap(reply)))
		}
	}()
	for {
		if len(reply) == cap(reply) {
			capacity := min(2*cap(reply), int(bytesMax)+1)
			if held := weight(cap(reply)); !budget.take(held, weight(capacity)-held) {
				return nil, errBusy
			}
			reply = append(make([]byte, 0, capacity), reply...)
		}
		room := int64(cap(reply) - len(reply))
		n, err := source.Read(reply[len(reply) : len(reply)+int(min(room, bytesMax+1-int64(len(reply))))])
		reply = reply[:len(reply)+n]
		if int64(len(reply)) > bytesMax {
			return nil, errTooLarge
		}
		if err == io.EOF {
			return reply, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// watched restarts the timer with each piece that arrives.
type watched struct {
	source io.Reader
	wait   time.Duration
	timer  *time.Timer
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.source.Read(p)
	if n > 0 {
		w.timer.Reset(w.wait)
	}
	return n, err
}

// pause stops the timer, resume starts it again; with nil nobody watches.
func (w *watched) pause() {
	if w != nil {
		w.timer.Stop()
	}
}

func (w *watched) resume() {
	if w != nil {
		w.timer.Reset(w.wait)
	}
}

// bounded fails where io.LimitReader would pretend an end.
type bounded struct {
	source io.Reader
	left   int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errTooLarge
	}
	n, err := b.source.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
