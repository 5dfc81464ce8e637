package protocol_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api/protocol"
)

// fuzzDecode feeds any bytes to the decoder of one message: what it accepts must survive encoding and decoding.
func fuzzDecode(f *testing.F, files []string, newMessage func() proto.Message) {
	for _, file := range files {
		for _, v := range vectors(f, file) {
			f.Add(v.bytes(f))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newMessage()
		if proto.Unmarshal(b, m) != nil {
			return
		}
		encoded, err := proto.Marshal(m)
		if err != nil {
			t.Fatalf("encode what was decoded: %v", err)
		}
		again := newMessage()
		if err := proto.Unmarshal(encoded, again); err != nil {
			t.Fatalf("decode what was encoded: %v", err)
		}
		// Bytes, not proto.Equal: that holds every NaN for different from itself.
		encodedAgain, err := proto.MarshalOptions{Deterministic: true}.Marshal(again)
		if err != nil {
			t.Fatalf("encode again: %v", err)
		}
		if string(encodedAgain) != string(encoded) {
			t.Fatalf("encoded %x, then %x", encoded, encodedAgain)
		}
	})
}

func FuzzFromFunction(f *testing.F) {
	fuzzDecode(f, []string{"reply.json", "broken.json"}, func() proto.Message { return &protocol.FromFunction{} })
}

func FuzzToFunction(f *testing.F) {
	fuzzDecode(f, []string{"request.json", "broken.json"}, func() proto.Message { return &protocol.ToFunction{} })
}

func FuzzBulkRequest(f *testing.F) {
	fuzzDecode(f, []string{"bulk.json", "bulk-refused.json", "broken.json"}, func() proto.Message { return &protocol.ToFunctions{} })
}

func FuzzBulkResponse(f *testing.F) {
	fuzzDecode(f, []string{"bulk.json", "broken.json"}, func() proto.Message { return &protocol.FromFunctions{} })
}

func FuzzKafkaProducerRecord(f *testing.F) {
	fuzzDecode(f, []string{"egress.json", "broken.json"}, func() proto.Message { return &protocol.KafkaProducerRecord{} })
}
