package testfunction

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/stategate/stategate/api/protocol"
)

// scratch counts without the generated messages: as much as a function in a fast language would take, so that in a benchmark the
// machine's time is left to what is measured. It does what Handler.count does, and a test holds it to that.
type scratch struct {
	result, reply []byte // the last answer's
}

var (
	prefixes  = [][]byte{[]byte("bad-"), []byte("hang-"), []byte("slow-")}
	counting  = [][]byte{[]byte("count"), []byte("audit"), []byte("quiet")}
	quietName = counting[2]
)

// invocations is what count needs of a batch. It shares the batch's bytes.
type invocations struct {
	target, name, id []byte // target is the encoded address
	known            bool   // the state's name was there
	before           []byte // the state's value
	count            int
}

func (in *invocations) read(toFunction []byte) error {
	return fields(toFunction, func(number protowire.Number, _ uint64, batch []byte) error {
		if number != 100 {
			return nil
		}
		return fields(batch, func(number protowire.Number, _ uint64, content []byte) error {
			switch number {
			case 1:
				in.target = content
				return in.readAddress(content)
			case 2:
				return in.readState(content)
			case 3:
				in.count++
			}
			return nil
		})
	})
}

func (in *invocations) readAddress(b []byte) error {
	return fields(b, func(number protowire.Number, _ uint64, content []byte) error {
		switch number {
		case 2:
			in.name = content
		case 3:
			in.id = content
		}
		return nil
	})
}

func (in *invocations) readState(b []byte) error {
	var name, value []byte
	err := fields(b, func(number protowire.Number, _ uint64, content []byte) error {
		switch number {
		case 1:
			name = content
		case 2:
			return fields(content, func(number protowire.Number, _ uint64, content []byte) error {
				if number == 3 {
					value = content
				}
				return nil
			})
		}
		return nil
	})
	if string(name) == state {
		in.known, in.before = true, value
	}
	return err
}

// count answers a call of a function that counts, valid until the next; false: it is another, or one that takes the ordinary way.
func (s *scratch) count(in *invocations, topicPrefix string) ([]byte, bool) {
	if !in.known || in.count == 0 {
		return nil, false
	}
	plain := false
	for _, name := range counting {
		plain = plain || bytes.Equal(in.name, name)
	}
	if !plain || waits(in.id) {
		return nil, false
	}
	n := uint64(0)
	if len(in.before) == 9 {
		n = binary.LittleEndian.Uint64(in.before[1:])
	}
	s.result = appendMutation(s.result[:0], n+uint64(in.count))
	for range in.count {
		if n++; !bytes.Equal(in.name, quietName) {
			s.result = appendOutput(s.result, topicPrefix, in.name, in.id, n)
		}
	}
	s.reply = appendBytes(s.reply[:0], 100, s.result)
	return s.reply, true
}

// waits says whether calls of an id fail or take their time.
func waits(id []byte) bool {
	for _, prefix := range prefixes {
		if bytes.HasPrefix(id, prefix) {
			return true
		}
	}
	return false
}

func appendMutation(b []byte, n uint64) []byte {
	const value = 1 + 8 // LongWrapper
	const typed = 2 + len(protocol.TypeLong) + 2 + 2 + value
	b = appendLength(b, 1, 2+2+len(state)+2+typed)
	b = appendVarint(b, 1, uint64(protocol.FromFunction_PersistedValueMutation_MODIFY))
	b = appendString(b, 2, state)
	b = appendLength(b, 3, typed)
	b = appendString(b, 1, protocol.TypeLong)
	b = appendVarint(b, 2, 1)
	b = appendLength(b, 3, value)
	return protowire.AppendFixed64(protowire.AppendTag(b, 1, protowire.Fixed64Type), n)
}

func appendOutput(b []byte, topicPrefix string, name, key []byte, n uint64) []byte {
	var digits [20]byte
	value := strconv.AppendUint(digits[:0], n, 10)
	topic := len(topicPrefix) + len(name) + 1
	record := 1 + protowire.SizeBytes(len(key)) + 1 + protowire.SizeBytes(len(value)) + 1 + protowire.SizeBytes(topic)
	if len(key) == 0 {
		record -= 2 // a field with its default is not written
	}
	typed := 1 + protowire.SizeBytes(len(protocol.TypeKafkaProducerRecord)) + 2 + 1 + protowire.SizeBytes(record)
	b = appendLength(b, 4, 2+len(EgressNamespace)+2+len(EgressName)+1+protowire.SizeBytes(typed))
	b = appendString(b, 1, EgressNamespace)
	b = appendString(b, 2, EgressName)
	b = appendLength(b, 3, typed)
	b = appendString(b, 1, protocol.TypeKafkaProducerRecord)
	b = appendVarint(b, 2, 1)
	b = appendLength(b, 3, record)
	if len(key) > 0 {
		b = appendBytes(b, 1, key)
	}
	b = appendBytes(b, 2, value)
	b = appendLength(b, 3, topic)
	return append(append(append(b, topicPrefix...), name...), 's')
}

func appendVarint(b []byte, number protowire.Number, v uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.VarintType), v)
}

func appendBytes(b []byte, number protowire.Number, content []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, number, protowire.BytesType), content)
}

func appendString(b []byte, number protowire.Number, content string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, number, protowire.BytesType), content)
}

// appendLength begins a field of bytes that the caller appends.
func appendLength(b []byte, number protowire.Number, length int) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, number, protowire.BytesType), uint64(length))
}

var errWire = errors.New("cannot decode")

// fields tells each field of a message: v is the value of a number, content that of bytes.
func fields(b []byte, field func(number protowire.Number, v uint64, content []byte) error) error {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return errWire
		}
		b = b[n:]
		var v uint64
		var content []byte
		switch kind {
		case protowire.VarintType:
			v, n = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			content, n = protowire.ConsumeBytes(b)
		default:
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return errWire
		}
		if err := field(number, v, content); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}
