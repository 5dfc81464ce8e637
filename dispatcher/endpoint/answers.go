package endpoint

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Answer is what a bulk brought for one of its calls.
type Answer struct {
	Number  int      // of the call, from 1
	Reply   []byte   // as of Call, not nil; nil where there is a failure
	Failure *Failure // nil where there is none
	Room    int64    // what it counts in the pool's budget, until it is released; 0 where it is small
}

var errStream = errors.New("what came is no stream of answers")

var errUnknown = fmt.Errorf("more than %d bytes came that are no answers", unknownBytesMax)

// unknownBytesMax bounds what a stream may hold beside answers: fields of a later version.
const unknownBytesMax = 1 << 20

// frameHeadMax is what an answer has beside its reply, by far.
const frameHeadMax = 1 << 10

// Field numbers of FromFunctions (api/protocol/bulk.proto).
const (
	answersField   = 1
	numberField    = 1
	replyField     = 2
	failureField   = 3
	statusField    = 1
	reasonField    = 2
	retryField     = 3
	longestTagSize = 10
)

// answers reads a FromFunctions as it arrives: each piece brings those answers that are complete with it.
type answers struct {
	client   *Client
	source   io.Reader
	bytesMax int // of a frame
	wait     func(bytes int64) bool
	small    []byte
	buffer   []byte // what has come: small, or memory for the one frame that did not fit
	from     int    // where what was not answered yet begins in it
	need     int    // bytes of the frame that begins there, as far as that is known
	unknown  int64  // bytes of fields that are no answers
	room     int64  // what that frame holds of the pool's budget
	pace     pace   // of that frame
}

func newAnswers(c *Client, source io.Reader, small []byte) *answers {
	bytesMax := min(c.spec.ReplyBytesMax, math.MaxInt-frameHeadMax)
	s := &answers{client: c, source: source, bytesMax: int(bytesMax) + frameHeadMax, small: small, buffer: small[:0]}
	s.pace.budget = &c.pool.replies
	return s
}

// end gives back the room of a frame that was not read to its end.
func (s *answers) end() {
	s.pace.end()
	s.client.pool.Release(s.room)
}

// next waits for the next piece, and appends the answers that are complete with it. They are valid until it is called again. With an
// error it may answer too; io.EOF is an end where one may be.
func (s *answers) next(into []Answer) ([]Answer, error) {
	if err := s.makeRoom(); err != nil {
		return into, err
	}
	n, err := s.source.Read(s.buffer[len(s.buffer):cap(s.buffer)])
	s.buffer = s.buffer[:len(s.buffer)+n]
	s.pace.got.Add(int64(n))
	for s.from < len(s.buffer) {
		content, size, problem := s.frame(s.buffer[s.from:])
		if problem != nil {
			return into, problem
		}
		if size == 0 {
			break
		}
		s.from += size
		room := s.room
		if s.room = 0; room > 0 {
			s.pace.end()
		}
		if content == nil {
			s.client.pool.Release(room)
			if s.unknown += int64(size); s.unknown > unknownBytesMax {
				return into, errUnknown
			}
			continue
		}
		answer, problem := s.client.answer(content)
		if problem != nil {
			s.client.pool.Release(room)
			return into, problem
		}
		answer.Room = room
		into = append(into, answer)
	}
	if err == io.EOF && s.from < len(s.buffer) {
		err = io.ErrUnexpectedEOF
	}
	return into, err
}

// makeRoom moves what is left to the front. A frame that does not fit gets memory of its own: all at once, as soon as the budget has
// room for it, which is the answer's from then on. So what has been told counts, and a reader that waits holds nothing.
func (s *answers) makeRoom() error {
	left := s.buffer[s.from:]
	switch {
	case s.from == 0 && len(left) == cap(s.buffer):
		size := max(s.need, len(left)+longestTagSize)
		s.pace.end()
		s.client.pool.Release(s.room)
		s.room = 0
		if !s.wait(int64(size)) {
			return errBusy
		}
		s.room = int64(size)
		s.pace.begin(s.room)
		s.buffer = append(make([]byte, 0, size), left...)
	case cap(s.buffer) > cap(s.small) && s.from > 0 && len(left) <= cap(s.small):
		s.buffer = append(s.small[:0], left...)
	case s.from > 0:
		s.buffer = s.buffer[:copy(s.buffer, left)]
	}
	s.from = 0
	return nil
}

// frame cuts the first field of b: size is 0 when it is not complete, and content nil when it is not an answer. There are no groups in
// any version.
func (s *answers) frame(b []byte) (content []byte, size int, err error) {
	s.need = 0
	tag, n := protowire.ConsumeVarint(b)
	if n < 0 {
		return nil, 0, unlessCut(b, n)
	}
	number := tag >> 3
	if number == 0 || number > uint64(protowire.MaxValidNumber) {
		return nil, 0, errStream
	}
	value := b[n:]
	switch kind := protowire.Type(tag & 7); kind {
	case protowire.BytesType:
		length, head := protowire.ConsumeVarint(value)
		if head < 0 {
			return nil, 0, unlessCut(value, head)
		}
		if length > uint64(s.bytesMax) {
			return nil, 0, errTooLarge
		}
		size = n + head + int(length)
		if size > len(b) {
			s.need = size
			return nil, 0, nil
		}
		if number != answersField {
			return nil, size, nil
		}
		return b[n+head : size : size], size, nil
	case protowire.VarintType, protowire.Fixed32Type, protowire.Fixed64Type:
		length := protowire.ConsumeFieldValue(protowire.Number(number), kind, value)
		if length < 0 {
			return nil, 0, unlessCut(value, length)
		}
		return nil, n + length, nil
	}
	return nil, 0, errStream
}

// unlessCut is an error unless more bytes may mend it.
func unlessCut(b []byte, code int) error {
	if len(b) < longestTagSize && errors.Is(protowire.ParseError(code), io.ErrUnexpectedEOF) {
		return nil
	}
	return errStream
}

// answer reads an Answer. As in any message of protobuf the last alternative counts, and parts of it are put together.
func (c *Client) answer(b []byte) (Answer, error) {
	var out Answer
	var failure failed
	isFailure := false
	err := eachField(b, func(number protowire.Number, value uint64, content []byte) error {
		switch {
		case number == numberField && content == nil:
			out.Number = int(uint32(value))
		case number == replyField && content != nil:
			if out.Reply == nil || isFailure {
				out.Reply, isFailure = content, false
			} else {
				out.Reply = append(out.Reply, content...) // its capacity ends: that makes a new one
			}
		case number == failureField && content != nil:
			if !isFailure {
				failure, isFailure = failed{}, true
			}
			return failure.read(content)
		}
		return nil
	})
	switch {
	case err != nil:
		return out, err
	case isFailure:
		out.Reply, out.Failure = nil, c.failed(failure)
	case out.Reply == nil:
		out.Reply = []byte{} // neither: no effects
	case int64(len(out.Reply)) > c.spec.ReplyBytesMax:
		return out, errTooLarge
	}
	return out, nil
}

// failed is a Failure of the wire.
type failed struct {
	status      uint32
	reason      []byte
	retryMillis uint64
}

func (f *failed) read(b []byte) error {
	return eachField(b, func(number protowire.Number, value uint64, content []byte) error {
		switch {
		case number == statusField && content == nil:
			f.status = uint32(value)
		case number == reasonField && content != nil:
			f.reason = content
		case number == retryField && content == nil:
			f.retryMillis = value
		}
		return nil
	})
}

// failed judges a failure as the ordinary response would be that it stands for.
func (c *Client) failed(f failed) *Failure {
	status := int(f.status)
	out := &Failure{Kind: kindOfStatus(status), Status: status}
	text := fmt.Sprintf("status %d", status)
	if status < 100 || status > 599 || status/100 == 2 {
		out.Kind, out.Status = BadReply, 0
		text = fmt.Sprintf("a failure with a status of %d", status)
	} else if name := http.StatusText(status); name != "" {
		text += " " + name
	}
	if words := said(c.withoutOurs(f.reason[:min(len(f.reason), saidBytesMax)])); words != "" {
		text += ": " + words
	}
	out.Text = printable(text, textBytesMax)
	out.RetryAfter = time.Duration(min(f.retryMillis, uint64(retryAfterMax/time.Millisecond))) * time.Millisecond
	return out
}

// eachField calls f with each varint of a message, and with the content of each field of a length, which is not nil then.
func eachField(b []byte, f func(number protowire.Number, value uint64, content []byte) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 || number > protowire.MaxValidNumber {
			return errStream
		}
		b = b[n:]
		var value uint64
		var content []byte
		switch kind {
		case protowire.VarintType:
			value, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			content, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return errStream
		}
		b = b[n:]
		if kind != protowire.VarintType && kind != protowire.BytesType {
			continue
		}
		if content != nil {
			content = content[:len(content):len(content)]
		}
		if err := f(number, value, content); err != nil {
			return err
		}
	}
	return nil
}
