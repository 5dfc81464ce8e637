package api

import "encoding/hex"

// Trace is where something stands in a distributed trace, as W3C's traceparent says it: which trace, and which span of it has caused this.
// It is shared and never changed. nil: it is in no trace.
type Trace struct {
	ID    [16]byte // of the trace; not all zero
	Span  [8]byte  // that has caused what carries this; not all zero
	Flags byte     // TraceSampled, TraceRandom
}

// Flags of a Trace; others have no meaning yet and are not passed on.
const (
	TraceSampled byte = 1 << iota // whoever began the trace wants its spans
	TraceRandom                   // its id was drawn at random
)

// TraceHeader is the name of the header that carries a Trace, of HTTP and of Kafka's records.
const TraceHeader = "traceparent"

// TraceTextBytes is the length of a Trace's text.
const TraceTextBytes = 55

// traceBytes is what a Trace costs in memory.
const traceBytes = 32

// Sampled reports whether spans are wanted.
func (t *Trace) Sampled() bool { return t != nil && t.Flags&TraceSampled != 0 }

// size is the memory that the trace holds, in bytes.
func (t *Trace) size() int {
	if t == nil {
		return 0
	}
	return traceBytes
}

// Append writes the value of a traceparent.
func (t *Trace) Append(b []byte) []byte {
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, t.ID[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, t.Span[:])
	return append(b, '-', '0', "0123456789abcdef"[t.Flags&(TraceSampled|TraceRandom)])
}

func (t *Trace) String() string { return string(t.Append(make([]byte, 0, TraceTextBytes))) }

// ParseTrace reads the value of a traceparent; nil: it is none, so whoever has sent it is in no trace. Of a later version than 00 it reads
// what that must have kept.
func ParseTrace[T string | []byte](text T) *Trace {
	if len(text) < TraceTextBytes || text[2] != '-' || text[35] != '-' || text[52] != '-' {
		return nil
	}
	var version, flags [1]byte
	var t Trace
	if !unhex(version[:], text[:2]) || !unhex(t.ID[:], text[3:35]) || !unhex(t.Span[:], text[36:52]) || !unhex(flags[:], text[53:55]) {
		return nil
	}
	switch longer := len(text) > TraceTextBytes; {
	case version[0] == 0xff, version[0] == 0 && longer, longer && text[55] != '-':
		return nil
	case t.ID == [16]byte{}, t.Span == [8]byte{}:
		return nil
	}
	t.Flags = flags[0] & (TraceSampled | TraceRandom)
	return &t
}

// unhex reads lower-case hexadecimal digits, two for each byte: nothing else is allowed.
func unhex[T string | []byte](out []byte, text T) bool {
	for i := range out {
		high, low := digit(text[2*i]), digit(text[2*i+1])
		if high|low > 15 {
			return false
		}
		out[i] = high<<4 | low
	}
	return true
}

func digit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 0xff
}
