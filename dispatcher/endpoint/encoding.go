package endpoint

import (
	"bufio"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// decoder reads a body whose Content-Encoding is taken away. rest is what stands behind the compressed part, close gives back what
// can be used again.
type decoder struct {
	io.Reader
	rest  io.Reader
	close func()
}

// decode supports what requests offer: gzip and deflate. An empty body is empty in any encoding.
func (p *Pool) decode(source io.Reader, header http.Header) (decoder, error) {
	plain := decoder{source, source, func() {}}
	switch encoding := strings.ToLower(strings.TrimSpace(strings.Join(header["Content-Encoding"], ","))); encoding {
	case "", "identity":
		return plain, nil
	case "gzip", "x-gzip":
		return p.gunzip(source)
	case "deflate":
		return inflate(source)
	default:
		return decoder{}, fmt.Errorf("content encoding %q is neither gzip nor deflate", encoding)
	}
}

func (p *Pool) gunzip(source io.Reader) (decoder, error) {
	buffered := bufio.NewReader(source)
	if _, err := buffered.Peek(1); err != nil {
		return endOr(err)
	}
	var err error
	z, _ := p.gunzips.Get().(*gzip.Reader)
	if z == nil {
		z, err = gzip.NewReader(buffered)
	} else {
		err = z.Reset(buffered)
	}
	if err != nil {
		return decoder{}, err
	}
	return decoder{z, buffered, func() { p.gunzips.Put(z) }}, nil
}

// inflate takes deflate for zlib, which it is, and for the bare stream, which some servers send.
func inflate(source io.Reader) (decoder, error) {
	buffered := bufio.NewReader(source)
	start, err := buffered.Peek(2)
	if len(start) == 0 {
		return endOr(err)
	}
	if len(start) == 2 && start[0]&0x0f == 8 && (uint(start[0])<<8|uint(start[1]))%31 == 0 {
		z, err := zlib.NewReader(buffered)
		if err != nil {
			return decoder{}, err
		}
		return decoder{z, buffered, func() {}}, nil
	}
	return decoder{flate.NewReader(buffered), buffered, func() {}}, nil
}

func endOr(err error) (decoder, error) {
	if err == io.EOF {
		return decoder{http.NoBody, http.NoBody, func() {}}, nil
	}
	return decoder{}, err
}

var errHollow = fmt.Errorf("compressed bytes decode to next to nothing: %d beyond twice what they hold", hollowBytesMax)

// hollowBytesMax bounds compressed bytes beyond twice what they decode to. Whoever compresses answers one by one needs some bytes for
// the end of each.
const hollowBytesMax = 1 << 20

// hollow hands out compressed bytes of a stream without a known end only as far as they decode to something: empty members and blocks
// could go on for ever, and a decoder looks for the end of them in one Read.
type hollow struct {
	source io.Reader
	left   int64
}

func (h *hollow) Read(p []byte) (int, error) {
	if h.left <= 0 {
		return 0, errHollow
	}
	n, err := h.source.Read(p[:min(int64(len(p)), h.left)])
	h.left -= int64(n)
	return n, err
}

// filled is what they decode to.
type filled struct {
	decoded io.Reader
	hollow  *hollow
}

func (f filled) Read(p []byte) (int, error) {
	n, err := f.decoded.Read(p)
	f.hollow.left += 2 * int64(n)
	return n, err
}
