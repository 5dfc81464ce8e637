package endpoint

import (
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Kind says what a failed attempt means.
type Kind uint8

const (
	// Unreachable: no status came back. Refused, reset, name or TLS trouble, or closed before the status.
	Unreachable Kind = iota + 1
	// Overloaded: status 429, 502, 503 or 504.
	Overloaded
	// Timeout: the attempt's deadline passed, or the function was silent (or did not take the request) for too long.
	Timeout
	// TooLarge: status 413; a smaller batch may pass.
	TooLarge
	// Status: any other status outside 200-299; redirects are among them and never followed.
	Status
	// BadReply: a good status, and a reply that cannot be used: the wrong content type or none, too large, cut short,
	// broken compression, or something that is not HTTP.
	BadReply
	// Busy: the gateway has no memory for the reply now, for others are as large. Nobody's fault: ask again later.
	Busy
	// Unanswered: the bulk that carried the call ended without an answer to it. It is not known whether the function has seen it.
	Unanswered
	// NoBulk: the endpoint does not take bulk calls, or not any more.
	NoBulk
	// Canceled: the caller's context was cancelled or the pool closed; nothing is known about the function.
	Canceled
)

// Endpoint reports whether the attempt failed because of the endpoint and not because of this one call. A Timeout
// is not among them: whether it counts depends on how other calls to the endpoint fare.
func (k Kind) Endpoint() bool { return k == Unreachable || k == Overloaded }

// String is a lower-case word fit for a metric's label.
func (k Kind) String() string {
	switch k {
	case Unreachable:
		return "unreachable"
	case Overloaded:
		return "overloaded"
	case Timeout:
		return "timeout"
	case TooLarge:
		return "too_large"
	case Status:
		return "status"
	case BadReply:
		return "bad_reply"
	case Busy:
		return "busy"
	case Unanswered:
		return "unanswered"
	case NoBulk:
		return "no_bulk"
	case Canceled:
		return "canceled"
	}
	return "unknown"
}

// Failure is what became of an attempt that gave no usable reply.
type Failure struct {
	Kind Kind
	// Status is the HTTP status, 0 if none came.
	Status int
	// RetryAfter is how long the endpoint asks to be left alone, at most a day; 0 if it does not say.
	RetryAfter time.Duration
	// Text tells people what happened, with up to 1 KiB of what the function itself said. Control characters are
	// escaped. It never holds the URL or what was sent.
	Text string
}

const (
	// textBytesMax bounds a failure's text.
	textBytesMax = 2 << 10
	// saidBytesMax bounds what is shown of a body.
	saidBytesMax = 1 << 10
	// retryAfterMax keeps a hostile Retry-After from meaning for ever.
	retryAfterMax = 24 * time.Hour
)

func kindOfStatus(status int) Kind {
	switch status {
	case http.StatusRequestEntityTooLarge:
		return TooLarge
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return Overloaded
	}
	return Status
}

// retryAfter reads the header's two forms, seconds and a date. Anything else, and the past, is 0.
func retryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if header == "" || len(header) > 64 {
		return 0
	}
	if strings.Trim(header, "0123456789") == "" {
		seconds, err := strconv.ParseInt(header, 10, 64)
		if err != nil || seconds > int64(retryAfterMax/time.Second) {
			return retryAfterMax // more digits than fit
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), retryAfterMax)
}

// printable escapes what a terminal or a log line must not get and bounds the result.
func printable(text string, bytesMax int) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		var piece string
		switch {
		case r == utf8.RuneError && size <= 1:
			piece = `\x` + strconv.FormatUint(uint64(text[i])|0x100, 16)[1:]
		case unicode.IsPrint(r):
			piece = text[i : i+size]
		default:
			quoted := strconv.QuoteRuneToASCII(r)
			piece = quoted[1 : len(quoted)-1]
		}
		if b.Len()+len(piece) > bytesMax {
			b.WriteString("...")
			break
		}
		b.WriteString(piece)
		i += size
	}
	return b.String()
}

// said renders the beginning of a body for people; "" when there is nothing worth showing.
func said(body []byte) string {
	text := strings.TrimSpace(string(body))
	if text == "" {
		return ""
	}
	odd := 0
	for _, r := range text {
		if r == utf8.RuneError || unicode.IsControl(r) && !unicode.IsSpace(r) {
			odd++
		}
	}
	if odd*8 > len(text) { // a cut rune at the end or a stray byte still is text
		return "a body that is not text"
	}
	return printable(text, saidBytesMax)
}
