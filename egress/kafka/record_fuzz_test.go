package kafka

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/internal/kafkaproperty"
	"github.com/stategate/stategate/statestore"
)

// FuzzJudge: an output is either a record that Kafka can take (a topic's name, a value, at most so large), or refused for one of the
// reasons that operators count by, with its whole value in a dead letter that comes back from its row.
func FuzzJudge(f *testing.F) {
	reasons := []string{reasonType, reasonParse, reasonTopic, reasonLarge}
	legal := regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)
	f.Fuzz(func(t *testing.T, typeName string, value []byte, recordBytes uint16) {
		most := recordOverhead + int(recordBytes)
		for _, name := range []string{typeName, protocol.TypeKafkaProducerRecord} {
			output := api.Output{Sender: api.Address{Type: api.FunctionType{Name: "f"}, ID: "k"}, Value: api.TypedValue{TypeName: name, HasValue: true, Value: value}}
			known := noTopics()
			it := item{number: 7, output: &output}
			it.judge(known, most)
			first := it
			if it.judge(known, most); !it.judged || it.reason != first.reason || it.record.topic != first.record.topic {
				t.Fatalf("judged anew: %+v, then %+v", first, it)
			}
			r := it.record
			if it.sends() {
				if name != protocol.TypeKafkaProducerRecord || !legal.MatchString(r.topic) || r.topic == "." || r.topic == ".." || r.value == nil || r.size() > most || r.key != nil && len(r.key) == 0 {
					t.Fatalf("sends %+v of %d bytes", r, r.size())
				}
				continue
			}
			if !slices.Contains(reasons, it.reason) || it.detail == "" || len(it.detail) > 1500 || r.topic != "" || r.key != nil || r.value != nil {
				t.Fatalf("refused as %q: %q with %+v", it.reason, it.detail, r)
			}
			d := it.dead("a/out")
			back, err := statestore.DecodeDeadLetter(statestore.AppendDeadLetter(nil, &d))
			if err != nil || !cmp.Equal(back, d) || !bytes.Equal(d.Value, value) || d.TypeName != name || d.Offset != 7 || d.Address != output.Sender {
				t.Fatalf("dead letter %+v comes back as %+v, %v", d, back, err)
			}
		}
	})
}

// FuzzProperties: a property of any name and text gives a configuration that the client takes, or is refused by its name.
func FuzzProperties(f *testing.F) {
	known := kafkaproperty.Names(kafkaproperty.Producer)
	f.Fuzz(func(t *testing.T, which uint16, name, value string) {
		if n := int(which) % (2 * len(known)); n < len(known) {
			name = known[n]
		}
		for _, semantic := range []Semantic{ExactlyOnce, AtLeastOnce, None} {
			cfg := Config{ID: "shop/out", Brokers: []string{"b:1"}, StoreID: testStore, Semantic: semantic, Properties: map[string]string{name: value}}
			set, complaints := translate(cfg)
			if err := kafkaproperty.Errors(complaints); err != nil {
				if !strings.Contains(err.Error(), "property "+name) {
					t.Errorf("%q=%q: %v", name, value, err)
				}
				continue
			}
			hurry, _ := newHurry()
			if err := set.client(cfg, noLane, newWires(nil), hurry).Validate(); err != nil {
				t.Errorf("%q=%q: the client does not take it: %v (complaints %v)", name, value, err, complaints)
			}
		}
	})
}
