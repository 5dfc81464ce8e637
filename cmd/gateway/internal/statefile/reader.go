package statefile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// lineBytesMax is the longest line: the largest value as base64, beside an id and names of which each byte is escaped.
const lineBytesMax = 192 << 20

// LineError is a line that cannot be used. The lines around it may be good.
type LineError struct {
	Name string // of the file
	Line int64
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("%s:%d: %v", e.Name, e.Line, e.Err) }

func (e *LineError) Unwrap() error { return e.Err }

// reader reads the lines of a file, one after the other.
type reader struct {
	name   string
	in     *bufio.Reader
	number int64 // of the last line, from 1 on
	buf    []byte
	max    int

	values int64 // lines with values
	broken int64 // lines that could not be read: they may have been values
	headed bool  // it began with a head, so it must have an end
	ended  bool
}

func newReader(name string, in io.Reader) *reader {
	return &reader{name: name, in: bufio.NewReaderSize(in, 256<<10), max: lineBytesMax}
}

var errTooLong = fmt.Errorf("a line of more than %d MiB", lineBytesMax>>20)

// next answers the next line with something on it. The error is io.EOF at the end of a whole file, a *LineError when the line
// cannot be used and the next one may be asked for, and else what the source says.
func (r *reader) next() (*line, error) {
	for {
		text, err := r.text()
		switch {
		case errors.Is(err, errTooLong):
			r.broken++
			return nil, r.bad(err)
		case err == io.EOF:
			return nil, r.end()
		case err != nil:
			return nil, fmt.Errorf("read %s, line %d: %w", r.name, r.number, err)
		case len(text) == 0:
			continue
		case r.ended:
			return nil, r.bad(errors.New("the file goes on behind its last line"))
		}
		l, err := parseLine(text)
		if err == nil {
			err = r.place(l)
		}
		if errors.Is(err, ErrPartial) { // lines that are not there cannot be left out
			return nil, fmt.Errorf("%s:%d: %w", r.name, r.number, err)
		}
		if err != nil {
			r.broken++
			return nil, r.bad(err)
		}
		return l, nil
	}
}

func (r *reader) bad(err error) error { return &LineError{r.name, r.number, err} }

// place checks that the line may stand where it stands.
func (r *reader) place(l *line) error {
	switch l.kind {
	case lineHead:
		if r.headed || r.values+r.broken > 0 {
			return errors.New("a first line in the middle: are these several files? Import them one by one")
		}
		r.headed = true
	case lineEnd:
		r.ended = true
		if l.values < r.values || l.values > r.values+r.broken {
			return fmt.Errorf("%w: it says that it holds %d values, and holds %d", ErrPartial, l.values, r.values)
		}
	case lineValue:
		r.values++
	}
	return nil
}

// ErrPartial: the file is not whole. Make it again.
var ErrPartial = errors.New("the file is not whole")

func (r *reader) end() error {
	if r.headed && !r.ended {
		return fmt.Errorf("%s:%d: %w: its last line is missing, so it was not written to its end", r.name, r.number, ErrPartial)
	}
	return io.EOF
}

var bom = []byte("\ufeff")

// text is the next line without its end. It belongs to the reader.
func (r *reader) text() ([]byte, error) {
	r.buf = r.buf[:0]
	r.number++
	long := false
	for {
		part, err := r.in.ReadSlice('\n')
		if long = long || len(r.buf)+len(part) > r.max; !long {
			r.buf = append(r.buf, part...)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(r.buf) == 0 && !long:
			r.number--
			return nil, io.EOF
		case err != nil && err != io.EOF:
			return nil, err
		case long:
			r.buf = nil
			return nil, errTooLong
		}
		if r.number == 1 {
			r.buf = bytes.TrimPrefix(r.buf, bom)
		}
		text := bytes.TrimSpace(r.buf)
		if cap(r.buf) > 1<<20 { // one huge line must not stay
			r.buf = nil
		}
		return text, nil
	}
}
