package protocol

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// EffectsMax bounds the effects (or missing states) of one reply. An effect of two bytes on the wire takes some hundred in memory, so
// a bound in bytes alone would let a reply of 32 MiB take well over 1 GiB. Real effects name a target or a state: 32 MiB hold fewer.
const EffectsMax = 1 << 20

// DecodeReply decodes the body of a reply. Zero bytes are a reply without effects. A reply with more than EffectsMax effects is an
// error, found before they take memory. The result shares nothing with b.
func DecodeReply(b []byte) (*FromFunction, error) {
	n, err := countEffects(b)
	if err != nil {
		return nil, fmt.Errorf("decode reply: %w", err)
	}
	if n > EffectsMax {
		return nil, fmt.Errorf("decode reply: it has %d effects: at most %d are allowed", n, EffectsMax)
	}
	reply := &FromFunction{}
	if err := proto.Unmarshal(b, reply); err != nil {
		return nil, fmt.Errorf("decode reply: %w", err)
	}
	return reply, nil
}

// Field numbers of the alternatives of FromFunction.
const (
	resultField     protowire.Number = 100
	incompleteField protowire.Number = 101
)

// countEffects counts the fields inside the alternatives of a FromFunction: each effect is one.
func countEffects(b []byte) (int, error) {
	n := 0
	err := eachField(b, func(number protowire.Number, content []byte) error {
		if number != resultField && number != incompleteField {
			return nil
		}
		return eachField(content, func(protowire.Number, []byte) error { n++; return nil })
	})
	return n, err
}

// eachField calls f with the content of each length-delimited field of a message and skips the others.
func eachField(b []byte, f func(number protowire.Number, content []byte) error) error {
	for len(b) > 0 {
		number, wireType, size := protowire.ConsumeTag(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		b = b[size:]
		if wireType != protowire.BytesType {
			if size = protowire.ConsumeFieldValue(number, wireType, b); size < 0 {
				return protowire.ParseError(size)
			}
			b = b[size:]
			continue
		}
		content, size := protowire.ConsumeBytes(b)
		if size < 0 {
			return protowire.ParseError(size)
		}
		if err := f(number, content); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}
