package statestore

import (
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/encoding/protowire"
)

// AppendProgress writes how far a source is finished, the source included. Fields: 1 ingress, 2 topic, 3 partition, 4 topic id,
// 5 start, 6 partitions, 8 target (1 key, 2 watermark, 3 ranges: for each the gap before it and its length).
func AppendProgress(b []byte, p *Progress) []byte {
	b = append(b, formatOne)
	b = appendText(b, 1, p.Source.Ingress)
	b = appendText(b, 2, p.Source.Topic)
	b = appendZigzag(b, 3, int64(p.Source.Partition))
	b = appendText(b, 4, p.TopicID)
	b = appendZigzag(b, 5, p.Start)
	b = appendZigzag(b, 6, int64(p.Partitions))
	for i := range p.Targets {
		t := &p.Targets[i]
		b = appendNested(b, 8, func(b []byte) []byte {
			b = appendText(b, 1, t.Key)
			b = appendZigzag(b, 2, t.Done.Watermark)
			if len(t.Done.Above) == 0 {
				return b
			}
			return appendNested(b, 3, func(b []byte) []byte {
				at := t.Done.Watermark
				for _, r := range t.Done.Above {
					b = protowire.AppendVarint(b, uint64(r.From-at))
					b = protowire.AppendVarint(b, uint64(r.To-r.From))
					at = r.To
				}
				return b
			})
		})
	}
	return b
}

// DecodeProgress reads what AppendProgress wrote.
func DecodeProgress(row []byte) (Progress, error) {
	r := open(row)
	var p Progress
	for r.next() {
		switch r.tag {
		case bytes1:
			p.Source.Ingress = string(r.data)
		case bytes2:
			p.Source.Topic = string(r.data)
		case varint3:
			p.Source.Partition = int32(r.zigzag())
		case bytes4:
			p.TopicID = string(r.data)
		case varint5:
			p.Start = r.zigzag()
		case varint6:
			p.Partitions = int32(r.zigzag())
		case bytes8:
			t, err := decodeTarget(r.data)
			r.keep(err)
			p.Targets = append(p.Targets, t)
		}
	}
	if r.err != nil {
		return Progress{}, fmt.Errorf("progress: %w", r.err)
	}
	return p, nil
}

func decodeTarget(data []byte) (t TargetProgress, err error) {
	r := reader{rest: data}
	var ranges []byte
	for r.next() {
		switch r.tag {
		case bytes1:
			t.Key = string(r.data)
		case varint2:
			t.Done.Watermark = r.zigzag()
		case bytes3:
			ranges = r.data
		}
	}
	if r.err != nil {
		return t, r.err
	}
	t.Done.Above, err = decodeRanges(ranges, t.Done.Watermark)
	return t, err
}

var errRanges = errors.New("read a stored row: ranges are not in order")

func decodeRanges(data []byte, at int64) (ranges []Range, err error) {
	step := func() (ok bool) {
		v, n := protowire.ConsumeVarint(data)
		if n < 0 || v == 0 || v > math.MaxInt64 || at+int64(v) < at {
			return false
		}
		data = data[n:]
		at += int64(v)
		return true
	}
	for len(data) > 0 {
		if !step() {
			return nil, errRanges
		}
		from := at
		if !step() {
			return nil, errRanges
		}
		ranges = append(ranges, Range{from, at})
	}
	return ranges, nil
}

// AppendNumbers writes sorted numbers as the steps between them.
func AppendNumbers(b []byte, numbers []uint64) []byte {
	b = append(b, formatOne)
	before := uint64(0)
	for _, n := range numbers {
		b = protowire.AppendVarint(b, n-before)
		before = n
	}
	return b
}

// DecodeNumbers reads what AppendNumbers wrote.
func DecodeNumbers(row []byte) ([]uint64, error) {
	r := open(row)
	if r.err != nil {
		return nil, fmt.Errorf("numbers: %w", r.err)
	}
	var numbers []uint64
	at := uint64(0)
	for rest := r.rest; len(rest) > 0; {
		v, n := protowire.ConsumeVarint(rest)
		if n < 0 {
			return nil, fmt.Errorf("numbers: %w", protowire.ParseError(n))
		}
		if at+v < at {
			return nil, errors.New("numbers: read a stored row: numbers are not in order")
		}
		at += v
		numbers = append(numbers, at)
		rest = rest[n:]
	}
	return numbers, nil
}
