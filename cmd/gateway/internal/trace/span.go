package trace

import (
	"strings"
	"time"

	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/slim/otlp/trace/v1"

	"github.com/stategate/stategate/api"
)

// span is one that has ended. It becomes a message of OTLP aside from who made it.
type span struct {
	at         api.Trace
	parent     [8]byte // all zero: none
	remote     bool    // the parent is somebody else's: a header has named it
	name       string
	kind       otlp.Span_SpanKind
	begin, end time.Time
	wrong      string // error.type; "": nothing went wrong
	attributes []attribute
	links      []api.Trace
}

// attribute has a text or a number.
type attribute struct {
	key, text string
	number    int64
	numeric   bool
}

const (
	textBytesMax = 256 // of a name or an attribute: ids may have 64 KiB, and spans wait in memory
	linksMax     = 128
)

// cut keeps what of a text goes into a span, and holds no more of it in memory.
func cut(text string) string {
	if len(text) <= textBytesMax {
		return text
	}
	return strings.ToValidUTF8(text[:textBytesMax], "") + "..."
}

func text(key, value string) attribute     { return attribute{key: key, text: cut(value)} }
func number(key string, n int64) attribute { return attribute{key: key, number: n, numeric: true} }

// message is the span in OTLP's words.
func (s *span) message() *otlp.Span {
	m := &otlp.Span{
		TraceId: s.at.ID[:], SpanId: s.at.Span[:], Name: strings.ToValidUTF8(s.name, "\uFFFD"), Kind: s.kind, Flags: s.flags(),
		StartTimeUnixNano: uint64(s.begin.UnixNano()), EndTimeUnixNano: uint64(s.end.UnixNano()),
		Attributes: make([]*common.KeyValue, 0, len(s.attributes)+1),
	}
	if s.parent != [8]byte{} {
		m.ParentSpanId = s.parent[:]
	}
	for _, a := range s.attributes {
		m.Attributes = append(m.Attributes, a.message())
	}
	if s.wrong != "" {
		m.Attributes = append(m.Attributes, text("error.type", s.wrong).message())
		m.Status = &otlp.Status{Code: otlp.Status_STATUS_CODE_ERROR, Message: strings.ToValidUTF8(cut(s.wrong), "\uFFFD")}
	}
	for i := range s.links {
		l := &s.links[i]
		m.Links = append(m.Links, &otlp.Span_Link{TraceId: l.ID[:], SpanId: l.Span[:], Flags: uint32(l.Flags)})
	}
	return m
}

// flags are W3C's, and whether the parent is remote.
func (s *span) flags() uint32 {
	all := uint32(s.at.Flags) | uint32(otlp.SpanFlags_SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK)
	if s.remote {
		all |= uint32(otlp.SpanFlags_SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK)
	}
	return all
}

func (a attribute) message() *common.KeyValue {
	v := &common.AnyValue{Value: &common.AnyValue_StringValue{StringValue: strings.ToValidUTF8(a.text, "\uFFFD")}}
	if a.numeric {
		v.Value = &common.AnyValue_IntValue{IntValue: a.number}
	}
	return &common.KeyValue{Key: a.key, Value: v}
}
