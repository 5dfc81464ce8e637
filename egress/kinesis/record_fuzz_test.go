package kinesis

import (
	"testing"
	"unicode/utf8"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
)

// FuzzJudge: whatever a function sends, it is a record that Kinesis can be given, or it is refused with a reason.
func FuzzJudge(f *testing.F) {
	for _, o := range []api.Output{record("s", "k", "", "v"), record("s", "k", "340282366920938463463374607431768211456", "v"), record("", "", "", "")} {
		f.Add(o.Value.Value)
	}
	f.Add([]byte{0x0a, 0x02, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		it := &item{output: &api.Output{Value: api.TypedValue{TypeName: protocol.TypeKinesisEgressRecord, HasValue: true, Value: b}}}
		it.judge()
		if it.reason != "" {
			if it.data != nil || it.detail == "" {
				t.Errorf("refused for %q with detail %q, and data %q is left", it.reason, it.detail, it.data)
			}
			return
		}
		n := utf8.RuneCountInString(it.place.key)
		hash, isHash := hashNumber(it.place.hash)
		if it.data == nil || !utf8.ValidString(it.place.key) || n < 1 || n > keyLengthMax || !isStreamName(it.place.stream) || it.size() > recordBytesMax ||
			it.place.hash != "" && (!isHash || hash != it.place.hash) {
			t.Errorf("got %+v", it.place)
		}
	})
}
