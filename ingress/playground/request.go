package playground

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
)

const (
	bodyBytesMax   = 8 << 20  // of one event
	bodiesBytesMax = 64 << 20 // of all that are being read or wait, as far as they are larger than bodySmall
	bodySmall      = 64 << 10 // smaller ones are bounded by the number of connections
)

const pathRemedy = `the path is /<namespace>/<function>/<id>, a "/" within a part is written %2F, such as in: ` +
	`curl -X PUT -H "Content-Type: application/vnd.example/GreetRequest" -d '{"name":"Bob"}' localhost:8090/example/person/Bob`

// targetOf reads a path as it was sent, so that each part is decoded once.
func targetOf(path string) (api.Address, *refusal) {
	parts := strings.Split(strings.TrimPrefix(path, "/"), "/")
	if len(parts) != 3 {
		return api.Address{}, &refusal{http.StatusNotFound, fmt.Sprintf("the path has %d parts, and an address has three: %s", len(parts), pathRemedy)}
	}
	for i, part := range parts {
		text, err := url.PathUnescape(part)
		if err != nil {
			return api.Address{}, &refusal{http.StatusBadRequest, fmt.Sprintf("the path is not encoded as an URL is: %v; %s", err, pathRemedy)}
		}
		if text == "" {
			return api.Address{}, &refusal{http.StatusNotFound, "a part of the path is empty: " + pathRemedy}
		}
		parts[i] = text
	}
	a := api.Address{Type: api.FunctionType{Namespace: parts[0], Name: parts[1]}, ID: parts[2]}
	if err := api.CheckAddress(a); err != nil {
		return a, &refusal{http.StatusBadRequest, err.Error()}
	}
	return a, nil
}

// kind is what a body is: a value of a type, or text.
type kind struct {
	typeName string
	text     bool
}

const (
	vendor      = "application/vnd."
	stringType  = "io.statefun.types/string"
	kindsRemedy = `want "Content-Type: application/vnd.<namespace>/<type name>" for a value of that type, or another one for text (` + stringType + `)`
)

// kindOf reads the content type. StateFun takes what stands behind a semicolon for a part of the type's name; no type is named so.
func kindOf(h http.Header) (kind, *refusal) {
	all := h.Values("Content-Type")
	if len(all) == 0 {
		return kind{}, &refusal{http.StatusUnsupportedMediaType, "the request has no Content-Type: " + kindsRemedy}
	}
	if len(all) > 1 {
		return kind{}, &refusal{http.StatusBadRequest, "the request has several headers Content-Type: " + kindsRemedy}
	}
	text, _, _ := strings.Cut(all[0], ";")
	text = strings.TrimSpace(text)
	if len(text) < len(vendor) || !strings.EqualFold(text[:len(vendor)], vendor) {
		if text == "" {
			return kind{}, &refusal{http.StatusUnsupportedMediaType, "the Content-Type is empty: " + kindsRemedy}
		}
		return kind{typeName: stringType, text: true}, nil
	}
	name := text[len(vendor):]
	if name == "" {
		return kind{}, &refusal{http.StatusUnsupportedMediaType, "the Content-Type names no type: " + kindsRemedy}
	}
	if !utf8.ValidString(name) {
		return kind{}, &refusal{http.StatusBadRequest, "the type's name is not UTF-8: " + kindsRemedy}
	}
	return kind{typeName: name}, nil
}

// value is the argument of the message. Text is wrapped as SDKs read it, which StateFun's playground does not do.
func (k kind) value(body []byte) (api.TypedValue, *refusal) {
	if !k.text {
		return api.TypedValue{TypeName: k.typeName, HasValue: true, Value: body}, nil
	}
	if !utf8.Valid(body) {
		return api.TypedValue{}, &refusal{http.StatusUnsupportedMediaType, "the body is no text (UTF-8): " + kindsRemedy}
	}
	wrapped, err := proto.Marshal(&protocol.StringWrapper{Value: string(body)})
	if err != nil {
		return api.TypedValue{}, &refusal{http.StatusBadRequest, err.Error()}
	}
	return api.TypedValue{TypeName: stringType, HasValue: true, Value: wrapped}, nil
}

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

// read reads a body; held is what it has taken of the budget, which is to be given back in any case. Memory grows with what has come, not
// with what a header announces.
func (b *budget) read(r *http.Request) (body []byte, held int64, refused *refusal) {
	tooLarge := &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body is larger than %d bytes: keep it elsewhere and send where it is", bodyBytesMax)}
	if r.ContentLength > bodyBytesMax {
		return nil, 0, tooLarge
	}
	body = make([]byte, 0, min(max(r.ContentLength+1, 512), bodySmall))
	for {
		if len(body) == cap(body) {
			more := int64(min(cap(body), bodyBytesMax+1-cap(body)))
			if more <= 0 {
				return nil, held, tooLarge
			}
			if cap(body)+int(more) > bodySmall {
				if !b.grow(held, more) {
					return nil, held, &refusal{http.StatusServiceUnavailable, "too many large bodies are on their way; nothing has happened: send it again"}
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
		case errors.Is(err, io.EOF) && len(body) > bodyBytesMax:
			return nil, held, tooLarge
		case errors.Is(err, io.EOF):
			return body, held, nil
		case err != nil:
			return nil, held, &refusal{http.StatusBadRequest, fmt.Sprintf("the body did not arrive: %v; nothing has happened", err)}
		}
	}
}
