package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/klauspost/compress/gzip"
	snappy "github.com/klauspost/compress/snappy/xerial"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// codec is how the records of a batch are compressed, by Kafka's number.
type codec uint8

const (
	codecNone codec = iota
	codecGzip
	codecSnappy
	codecLZ4
	codecZstd
)

func (c codec) String() string {
	if names := []string{"none", "gzip", "snappy", "lz4", "zstd"}; int(c) < len(names) {
		return names[c]
	}
	return fmt.Sprintf("codec %d", uint8(c))
}

const (
	// batchDecompressedMax is how large a batch may be when it is decompressed; beyond it, it cannot be read. A record of the largest
	// value there may be has room, and a few kilobytes that would fill the memory have not.
	batchDecompressedMax = 256 << 20
	// spaceKept is how much memory stays between two batches; more than that is a rare batch's, and given back.
	spaceKept = 1 << 20
	spaceMin  = 16 << 10
)

var errTooLarge = fmt.Errorf("larger than %d bytes when it is decompressed", batchDecompressedMax)

// decompressor decompresses one batch at a time. It is of one goroutine.
type decompressor struct {
	limit int    // bytes of a batch; 0: batchDecompressedMax
	space []byte // where the last one lies
	again bool   // the next one was read in part before

	input bytes.Reader
	gzip  *gzip.Reader
	lz4   *lz4.Reader
	zstd  *zstd.Decoder
}

// decompress answers what is compressed. It is good until the next call, or shares memory with b.
func (d *decompressor) decompress(c codec, b []byte) (out []byte, err error) {
	if c == codecNone {
		return b, nil
	}
	limit := d.limit
	if limit == 0 {
		limit = batchDecompressedMax
	}
	if cap(d.space) > spaceKept && !d.again {
		d.space = nil
	}
	d.input.Reset(b)
	switch c {
	case codecGzip:
		if d.gzip == nil {
			d.gzip = new(gzip.Reader)
		}
		if err = d.gzip.Reset(&d.input); err == nil {
			err = d.read(d.gzip, limit)
		}
	case codecSnappy:
		err = d.snappy(b, limit)
	case codecLZ4:
		if d.lz4 == nil {
			d.lz4 = lz4.NewReader(nil)
		}
		d.lz4.Reset(&d.input)
		err = d.read(d.lz4, limit)
	case codecZstd:
		if d.zstd == nil {
			if d.zstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(uint64(limit))); err != nil {
				return nil, err
			}
		}
		var out []byte
		if out, err = d.zstd.DecodeAll(b, d.space[:0]); errors.Is(err, zstd.ErrDecoderSizeExceeded) {
			err = errTooLarge
		}
		d.space = out
	default:
		err = errors.New("unknown compression")
	}
	d.input.Reset(nil)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", c, err)
	}
	return d.space, nil
}

// read fills the space from a reader, and sees to its bound.
func (d *decompressor) read(r io.Reader, limit int) error {
	d.space = d.space[:0]
	for {
		if len(d.space) == cap(d.space) {
			d.space = slices.Grow(d.space, max(spaceMin, len(d.space)))
		}
		n, err := r.Read(d.space[len(d.space):cap(d.space)])
		d.space = d.space[:len(d.space)+n]
		switch {
		case len(d.space) > limit:
			return errTooLarge
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// snappy decompresses into as much space as it says that it takes; what cannot be believed of that gets twice as much again and again.
func (d *decompressor) snappy(b []byte, limit int) error {
	said := snappySize(b)
	if said > limit {
		return errTooLarge
	}
	for size := max(cap(d.space), spaceMin, min(said, snappyRatioMax*len(b))); ; size *= 2 {
		size = min((size+snappyStep-1)/snappyStep*snappyStep, limit)
		if cap(d.space) < size {
			d.space = make([]byte, 0, size)
		}
		out, err := snappy.DecodeCapped(d.space[:0:size], b)
		if errors.Is(err, snappy.ErrDstTooSmall) && size < limit {
			continue
		}
		if errors.Is(err, snappy.ErrDstTooSmall) {
			err = errTooLarge
		}
		d.space = out
		return err
	}
}

const (
	// snappyRatioMax is about how much larger a batch becomes that a client has compressed: 64 bytes are repeated in 3. What says that it is
	// larger still gets no memory on its word.
	snappyRatioMax = 24
	// snappyStep is by how much space is larger at a time: of batches that are about as large as each other most find it large enough.
	snappyStep = 64 << 10
)

var snappyFrames = []byte("\x82SNAPPY\x00")

// snappySize is how much space a batch takes by what it says: one block, or the blocks that Kafka's clients write behind a head of 16 bytes,
// each behind its length. A block begins with how large it becomes.
func snappySize(b []byte) (size int) {
	block := func(b []byte) int {
		n, _ := binary.Uvarint(b)
		return int(min(n, batchDecompressedMax+1))
	}
	if !bytes.HasPrefix(b, snappyFrames) {
		size = block(b)
	} else {
		for rest := b[min(16, len(b)):]; len(rest) >= 4; {
			n := uint64(binary.BigEndian.Uint32(rest))
			if rest = rest[4:]; n > uint64(len(rest)) {
				break
			}
			size += block(rest[:n])
			rest = rest[n:]
		}
	}
	return size
}
