package kafka

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/egress"
)

func noTopics() *topics {
	return newTopics(newTrouble("e", egress.Hooks{}, slog.New(slog.DiscardHandler)))
}

func TestJudge(t *testing.T) {
	raw := func(typeName string, b []byte) api.Output {
		return api.Output{Value: api.TypedValue{TypeName: typeName, HasValue: true, Value: b}}
	}
	record := func(m *protocol.KafkaProducerRecord) api.Output {
		b, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		return raw(protocol.TypeKafkaProducerRecord, b)
	}
	tests := []struct {
		name   string
		output api.Output
		topic  string
		key    []byte
		value  []byte
		reason string
		detail string
	}{
		{"plain", record(&protocol.KafkaProducerRecord{Topic: "t", Key: []byte("k"), ValueBytes: []byte("v")}), "t", []byte("k"), []byte("v"), "", ""},
		{"an empty key is no key", record(&protocol.KafkaProducerRecord{Topic: "t", ValueBytes: []byte("v")}), "t", nil, []byte("v"), "", ""},
		{"no value is an empty one", record(&protocol.KafkaProducerRecord{Topic: "t", Key: []byte("k")}), "t", []byte("k"), []byte{}, "", ""},
		{"a key of any bytes", record(&protocol.KafkaProducerRecord{Topic: "t", Key: []byte{0, 0xff}}), "t", []byte{0, 0xff}, []byte{}, "", ""},
		{"another type", raw("io.statefun.types/string", []byte("x")), "", nil, nil, reasonType, "io.statefun.types/string"},
		{"no record", raw(protocol.TypeKafkaProducerRecord, []byte{0xff}), "", nil, nil, reasonParse, ""},
		{"cut short", raw(protocol.TypeKafkaProducerRecord, []byte{0x0a, 5, 'a'}), "", nil, nil, reasonParse, ""},
		{"no topic", record(&protocol.KafkaProducerRecord{Key: []byte("k")}), "", nil, nil, reasonTopic, "empty"},
		{"a topic of dots", record(&protocol.KafkaProducerRecord{Topic: ".."}), "", nil, nil, reasonTopic, "not a name"},
		{"a topic with a slash", record(&protocol.KafkaProducerRecord{Topic: "a/b"}), "", nil, nil, reasonTopic, "only letters"},
		{"a topic that is no text", raw(protocol.TypeKafkaProducerRecord, []byte{0x1a, 1, 0xff}), "", nil, nil, reasonTopic, "only letters"},
		{"a long topic", record(&protocol.KafkaProducerRecord{Topic: strings.Repeat("a", 250)}), "", nil, nil, reasonTopic, "at most 249"},
		{"as large as allowed", record(&protocol.KafkaProducerRecord{Topic: "t", ValueBytes: make([]byte, 1000-recordOverhead)}), "t", nil, make([]byte, 1000-recordOverhead), "", ""},
		{"too large", record(&protocol.KafkaProducerRecord{Topic: "t", ValueBytes: make([]byte, 1001-recordOverhead)}), "", nil, nil, reasonLarge, "max.request.size allows 1000"},
	}
	known := noTopics()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			it := item{number: 7, output: &test.output}
			it.judge(known, 1000)
			if it.reason != test.reason || !strings.Contains(it.detail, test.detail) {
				t.Errorf("refused as %q (%s), want %q (...%s...)", it.reason, it.detail, test.reason, test.detail)
			}
			if it.record.topic != test.topic || !cmp.Equal(it.record.key, test.key) || !cmp.Equal(it.record.value, test.value) {
				t.Errorf("got %q %q %q, want %q %q %q", it.record.topic, it.record.key, it.record.value, test.topic, test.key, test.value)
			}
			if it.sends() != (test.reason == "") {
				t.Errorf("sends: %v", it.sends())
			}
		})
	}
}

// FuzzParse: what the lean decoder reads is what protobuf's own reads.
func FuzzParse(f *testing.F) {
	whole, _ := proto.Marshal(&protocol.KafkaProducerRecord{Topic: "t", Key: []byte("k"), ValueBytes: []byte("v")})
	f.Add(whole)
	f.Add(append(bytes.Clone(whole), whole...))
	f.Add(protowire.AppendVarint(protowire.AppendTag(bytes.Clone(whole), fieldKey, protowire.VarintType), 3))
	f.Add([]byte{0x23, 0x1a, 1, 'x', 0x24, 0x0a, 0})
	f.Add([]byte{0x1a, 0x02, 0xc3, 0xa9})
	f.Fuzz(func(t *testing.T, b []byte) {
		var want protocol.KafkaProducerRecord
		wantErr := proto.Unmarshal(b, &want)
		topic, key, value, err := parse(b)
		if wantErr != nil && strings.Contains(wantErr.Error(), "UTF-8") {
			return // judge finds such a topic invalid
		}
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("%x: %v, protobuf says %v", b, err, wantErr)
		}
		if err == nil && (string(topic) != want.Topic || !bytes.Equal(key, want.Key) || !bytes.Equal(value, want.ValueBytes)) {
			t.Fatalf("%x: %q %q %q, protobuf reads %q %q %q", b, topic, key, value, want.Topic, want.Key, want.ValueBytes)
		}
	})
}

// TestPartitionsAreJavas: keys go where Kafka's Java client sends them. franz-go's partitioner is the second opinion; the numbers are
// of org.apache.kafka.common.utils.UtilsTest.
func TestPartitionsAreJavas(t *testing.T) {
	const partitions = 1440
	for key, hash := range map[string]int32{"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, "abc": 479470107} {
		if got, want := partition([]byte(key), partitions), int(hash&0x7fffffff)%partitions; got != want {
			t.Errorf("key %q: partition %d, want %d", key, got, want)
		}
	}
	second := kgo.StickyKeyPartitioner(nil).ForTopic("t")
	for n := range 200 {
		key := bytes.Repeat([]byte{byte(n), byte(n * 7), 0xff}, 1+n%5)[:1+n%13%(3*(1+n%5))]
		if got, want := partition(key, partitions), second.Partition(&kgo.Record{Key: key}, partitions); got != want {
			t.Errorf("key %x: partition %d, want %d", key, got, want)
		}
	}
}

// BenchmarkJudge: what one output costs us before the client has it.
func BenchmarkJudge(b *testing.B) {
	output := kafkaOutput("some-topic", "key-0", strings.Repeat("v", 100))
	known := noTopics()
	b.ReportAllocs()
	for b.Loop() {
		it := item{number: 1, output: &output}
		it.judge(known, 1<<20)
	}
}
