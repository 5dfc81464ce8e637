package endpoint

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// signatureHeader carries when a request was made and proofs that it was made by who has a key: "t=SECONDS, v1=HEX, v1=HEX".
const signatureHeader = "Stategate-Signature"

// signatureChallenge is the WWW-Authenticate of a function that does not take a request's signature.
const signatureChallenge = "Stategate-Signature"

// Signer signs requests, so that functions can tell them from those of anybody else. It may be used and changed by any goroutine.
type Signer struct{ keys atomic.Pointer[signingKeys] }

// signingKeys are the keys of one time, with hashes that have worked through them already.
type signingKeys struct {
	count int
	made  sync.Pool // *signing
}

// signing is what one signature takes.
type signing struct {
	macs []hash.Hash
	text []byte
	sum  [sha256.Size]byte
}

// NewSigner signs with each of the keys.
func NewSigner(keys ...string) *Signer {
	s := &Signer{}
	s.Set(keys...)
	return s
}

// Set makes it sign with these keys from now on.
func (s *Signer) Set(keys ...string) {
	k := &signingKeys{count: len(keys)}
	k.made.New = func() any {
		one := &signing{}
		for _, key := range keys {
			one.macs = append(one.macs, hmac.New(sha256.New, []byte(key)))
		}
		return one
	}
	s.keys.Store(k)
}

// header is the value of the signature of a request.
func (s *Signer) header(contentType string, body []byte, now time.Time) string {
	k := s.keys.Load()
	one := k.made.Get().(*signing)
	defer k.made.Put(one)
	seconds := strconv.FormatInt(now.Unix(), 10)
	var out strings.Builder
	out.Grow(len("t=, ") + len(seconds) + k.count*(len(", v1=")+2*sha256.Size))
	out.WriteString("t=")
	out.WriteString(seconds)
	one.text = append(one.text[:0], "v1\n"...)
	one.text = append(append(one.text, seconds...), '\n')
	one.text = append(append(one.text, contentType...), '\n')
	prefix := len(one.text)
	for _, mac := range one.macs {
		mac.Reset()
		_, _ = mac.Write(one.text[:prefix])
		_, _ = mac.Write(body)
		one.text = hex.AppendEncode(one.text[:prefix], mac.Sum(one.sum[:0]))
		out.WriteString(", v1=")
		out.Write(one.text[prefix:])
	}
	return out.String()
}

// SignWith makes all requests of the pool's clients signed; nil: none. It is called before the pool is used.
func (p *Pool) SignWith(s *Signer) { p.signer = s }

// signed are the headers of a request with its signature, made for this very try: it holds for some minutes only.
func (s *Signer) signed(headers http.Header, body []byte) http.Header {
	headers = maps.Clone(headers)
	headers[signatureHeader] = []string{s.header(headers["Content-Type"][0], body, time.Now())}
	return headers
}

// appendHead appends what stands before the body of a request, with its signature and the trace that it is in.
func (a *attempt) appendHead(b, body []byte) []byte {
	h, signer := &a.base.head, a.client.pool.signer
	if signer == nil && a.in == nil {
		return h.append(b, len(body))
	}
	b = strconv.AppendInt(append(b, h.before...), int64(len(body)), 10)
	if signer != nil {
		b = append(append(b, "\r\n"+signatureHeader+": "...), signer.header(a.base.request.Header["Content-Type"][0], body, time.Now())...)
	}
	if a.in != nil {
		b = a.in.Append(append(b, "\r\n"+traceHeader+": "...))
	}
	return append(b, h.after...)
}

// refusesSignature reports whether a function takes no call because of how it is signed, or that it is not. Nothing is wrong with the call.
func refusesSignature(response *http.Response) bool {
	if response.StatusCode != http.StatusUnauthorized {
		return false
	}
	for _, challenge := range response.Header["Www-Authenticate"] {
		if scheme, _, _ := strings.Cut(strings.TrimSpace(challenge), " "); strings.EqualFold(scheme, signatureChallenge) {
			return true
		}
	}
	return false
}

// remedy says what to do about a function that does not take the signature. What is behind a colon is not in the log: see Outcome.
func (s *Signer) remedy() string {
	if s == nil {
		return " (requests are not signed; give the gateway a signingKeyFile)"
	}
	return " (give the function a key that the gateway signs with, and both the right time)"
}
