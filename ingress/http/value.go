package http

import (
	"encoding/json"
	"fmt"
	"math"
	"mime"
	nethttp "net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
)

// Types that a body has when nothing else is said.
const (
	stringType = "io.statefun.types/string"
	jsonType   = "io.stategate.types/json"
	bytesType  = "io.stategate.types/bytes"
)

// typeHeader says the type of a body, in requests and in answers.
const typeHeader = "Stategate-Type"

// kind is what a body is.
type kind struct {
	typeName string
	text     bool // it is wrapped as SDKs read text
	json     bool // it must be JSON
}

func wrongType(status int, format string, args ...any) *problem {
	return &problem{status: status, detail: fmt.Sprintf(format, args...) + "; nothing has happened",
		remedy: "say the type of the body with the header " + typeHeader + ": NAMESPACE/NAME, or send Content-Type: application/json, text/plain (UTF-8) or application/octet-stream"}
}

// kindOf finds the type of the body: the header that is for it, the type of the route, that of a CloudEvent, the content type.
func kindOf(h nethttp.Header, valueType string) (kind, *problem) {
	if encoding := h.Get("Content-Encoding"); encoding != "" && !equalFold(encoding, "identity") {
		return kind{}, wrongType(nethttp.StatusUnsupportedMediaType, "the body has the Content-Encoding %q, and only plain bodies are read", shown(encoding))
	}
	for _, name := range []string{typeHeader, "Content-Type"} {
		if len(h.Values(name)) > 1 {
			return kind{}, wrongType(nethttp.StatusBadRequest, "the request has several headers %s", name)
		}
	}
	event, wrong := eventType(h)
	if wrong != nil {
		return kind{}, wrong
	}
	for _, name := range []string{h.Get(typeHeader), valueType, event} {
		if name == "" {
			continue
		}
		if !utf8.ValidString(name) {
			return kind{}, wrongType(nethttp.StatusBadRequest, "the name of the type is not UTF-8")
		}
		return kind{typeName: name}, nil
	}
	return contentKind(h.Get("Content-Type"))
}

func contentKind(text string) (kind, *problem) {
	if text == "" {
		return kind{typeName: bytesType}, nil
	}
	media, params, err := mime.ParseMediaType(text)
	if err != nil {
		return kind{}, wrongType(nethttp.StatusBadRequest, "the Content-Type cannot be read: %v", err)
	}
	switch media {
	case "text/plain":
		if set := params["charset"]; set != "" && !equalFold(set, "utf-8") && !equalFold(set, "us-ascii") {
			return kind{}, wrongType(nethttp.StatusUnsupportedMediaType, "the text is in %q, and only UTF-8 is read", shown(set))
		}
		return kind{typeName: stringType, text: true}, nil
	case "application/json":
		return kind{typeName: jsonType, json: true}, nil
	case "application/x-protobuf", "application/protobuf":
		name := params["messagetype"]
		if name == "" {
			return kind{}, wrongType(nethttp.StatusUnsupportedMediaType, "the Content-Type names no message, as in: application/x-protobuf; messageType=shop.AddItem")
		}
		return kind{typeName: "type.googleapis.com/" + name}, nil
	case "application/cloudevents+json", "application/cloudevents-batch+json", "application/cloudevents+protobuf", "application/cloudevents+avro":
		return kind{}, wrongType(nethttp.StatusUnsupportedMediaType, "CloudEvents are read in their binary mode only: attributes in headers ce-..., the data as the body")
	}
	return kind{typeName: bytesType}, nil
}

// eventType is the type of a CloudEvent in binary mode; "": the request is none.
func eventType(h nethttp.Header) (string, *problem) {
	version := h.Get("ce-specversion")
	if version == "" {
		return "", nil
	}
	wrong := func(format string, args ...any) (string, *problem) {
		return "", &problem{status: nethttp.StatusBadRequest, detail: "the CloudEvent " + fmt.Sprintf(format, args...) + "; nothing has happened", remedy: "send the headers ce-specversion: 1.0, ce-id, ce-source and ce-type"}
	}
	if version != "1.0" {
		return wrong("has the version %q, and 1.0 is read", shown(version))
	}
	for _, name := range []string{"ce-id", "ce-source", "ce-type"} {
		if all := h.Values(name); len(all) != 1 || all[0] == "" {
			return wrong("has %d headers %s that are not empty, and must have one", len(all), name)
		}
	}
	name, err := url.PathUnescape(h.Get("ce-type"))
	if err != nil {
		return wrong("has a type that is not encoded as headers of CloudEvents are: %v", err)
	}
	return name, nil
}

// value is the argument of the message.
func (k kind) value(body []byte) (api.TypedValue, *problem) {
	switch {
	case k.json && !json.Valid(body):
		return api.TypedValue{}, wrongType(nethttp.StatusBadRequest, "the body is no JSON, though its Content-Type says so")
	case k.text && !utf8.Valid(body):
		return api.TypedValue{}, wrongType(nethttp.StatusBadRequest, "the body is no text in UTF-8, though its Content-Type says so")
	case k.text:
		body, _ = proto.Marshal(&protocol.StringWrapper{Value: string(body)}) // valid text can always be wrapped
	}
	return api.TypedValue{TypeName: k.typeName, HasValue: true, Value: body}, nil
}

// reply is a value as an answer: what SDKs have built in as JSON, what is JSON as such, and anything else as bytes.
func reply(w nethttp.ResponseWriter, v api.TypedValue) {
	w.Header().Set(typeHeader, headerText(v.TypeName))
	if !v.HasValue {
		write(w, nethttp.StatusNoContent, "", nil)
		return
	}
	if text, ok := scalar(v); ok {
		write(w, nethttp.StatusOK, "application/json", text)
		return
	}
	if json.Valid(v.Value) && utf8.Valid(v.Value) {
		write(w, nethttp.StatusOK, "application/json", v.Value)
		return
	}
	write(w, nethttp.StatusOK, "application/octet-stream", v.Value)
}

// scalar is a value of a type that SDKs have built in, as JSON; ok is false when it is none.
func scalar(v api.TypedValue) (text []byte, ok bool) {
	name, ours := strings.CutPrefix(v.TypeName, "io.statefun.types/")
	if !ours {
		return nil, false
	}
	var of proto.Message
	var say func() any
	switch name {
	case "bool":
		m := &protocol.BooleanWrapper{}
		of, say = m, func() any { return m.GetValue() }
	case "int":
		m := &protocol.IntWrapper{}
		of, say = m, func() any { return m.GetValue() }
	case "long":
		m := &protocol.LongWrapper{}
		of, say = m, func() any { return m.GetValue() }
	case "float":
		m := &protocol.FloatWrapper{}
		of, say = m, func() any { return number(float64(m.GetValue()), 32) }
	case "double":
		m := &protocol.DoubleWrapper{}
		of, say = m, func() any { return number(m.GetValue(), 64) }
	case "string":
		m := &protocol.StringWrapper{}
		of, say = m, func() any { return m.GetValue() }
	default:
		return nil, false
	}
	if err := proto.Unmarshal(v.Value, of); err != nil {
		return nil, false
	}
	text, err := json.Marshal(say())
	return text, err == nil
}

// number is a number for JSON, which has no infinite ones: those are text.
func number(f float64, bits int) any {
	text := strconv.FormatFloat(f, 'g', -1, bits)
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return text
	}
	return json.Number(text)
}

// headerText is a name as a header can carry it: what is not plain text is percent-encoded.
func headerText(name string) string {
	var b strings.Builder
	for i := range len(name) {
		if c := name[i]; c > ' ' && c < 0x7f && c != '%' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	const most = 4 << 10
	return b.String()[:min(b.Len(), most)]
}

// shown cuts what a request says for a text.
func shown(text string) string {
	const most = 80
	if len(text) > most {
		text = text[:most] + "..."
	}
	return strings.ToValidUTF8(text, "?")
}
