package postgres

import (
	"bytes"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

func TestRowsComeBack(t *testing.T) {
	hostile := api.Address{Type: api.FunctionType{Namespace: "", Name: "n/\x00\xff"}, ID: "\x00\x01'\"é"}
	message := api.Message{Target: hostile, Caller: addr(""), Argument: api.TypedValue{TypeName: "t", HasValue: true, Value: []byte{0, 255}}}
	progress := statestore.Progress{Source: api.Source{Ingress: "a/b", Topic: "t", Partition: math.MaxInt32}, TopicID: "id", Start: -1, Targets: []statestore.TargetProgress{
		{Key: "k", Done: statestore.Ranges{Watermark: math.MaxInt64 - 10, Above: []statestore.Range{{From: math.MaxInt64 - 5, To: math.MaxInt64}}}},
		{Key: "k#1", Done: statestore.Ranges{Watermark: -1}},
	}}
	function := statestore.FunctionSpec{Function: hostile.Type, States: []statestore.StateSpec{{Name: "s", TypeName: "", Expiration: statestore.ExpireAfterInvoke, TTL: math.MaxInt64}}}
	mails := []statestore.Mail{{Number: 1, Message: message}, {Number: math.MaxUint64, Message: api.Message{Target: hostile}}}
	timer := statestore.Timer{TimerKey: statestore.TimerKey{Due: math.MinInt64, Number: 9}, Token: "\x00", Message: message}
	outputs := []api.Output{{Sender: hostile, Value: message.Argument}, {}}
	dead := api.DeadLetter{Number: 7, Kind: api.DeadOutput, From: "f", Reason: "r", Detail: "d", AtMS: -1, Source: progress.Source, Offset: math.MinInt64,
		Address: hostile, Caller: addr("c"), TypeName: "t", Key: []byte{}, Value: nil, Headers: []api.Header{{Key: "h", Value: nil}, {Key: "", Value: []byte{}}}}

	same := func(what string, want, got any, err error) {
		t.Helper()
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", what, err, diff)
		}
	}
	p, err := decodeProgress(encodeProgress(&progress))
	same("progress", progress, p, err)
	f, err := decodeFunction(encodeFunction(&function))
	same("function", function, f, err)
	m, err := decodeMails(encodeMails(mails))
	same("mails", mails, m, err)
	tm, err := decodeTimer(timerKey(timer.TimerKey), encodeTimer(&timer))
	same("timer", timer, tm, err)
	o, err := decodeOutputs(encodeOutputs(outputs))
	same("outputs", outputs, o, err)
	d, err := decodeDeadLetter(encodeDeadLetter(&dead))
	same("dead letter", dead, d, err)
	n, err := decodeNumbers(encodeNumbers([]uint64{1, 5, math.MaxUint64}))
	same("numbers", []uint64{1, 5, math.MaxUint64}, n, err)
	a, err := decodeAddress(encodeAddress(hostile))
	same("address", hostile, a, err)
}

// Keys of times sort as the times do, also before 1970.
func TestTimerKeysSort(t *testing.T) {
	dues := []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}
	for i := 1; i < len(dues); i++ {
		low, high := timerKey(statestore.TimerKey{Due: dues[i-1], Number: math.MaxUint64}), timerKey(statestore.TimerKey{Due: dues[i]})
		if bytes.Compare(low, high) >= 0 {
			t.Errorf("%d does not sort before %d", dues[i-1], dues[i])
		}
	}
}

// Broken rows are errors: never a panic, nor an allocation that a few bytes ask for.
func FuzzRows(f *testing.F) {
	f.Add(encodeMails([]statestore.Mail{mail(1, "a", "b"), mail(2, "c", "d")}))
	f.Add(encodeNumbers([]uint64{1, 2, 3}))
	f.Add([]byte{255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _ = decodeProgress(b)
		_, _ = decodeFunction(b)
		_, _ = decodeState(b)
		_, _ = decodeSizes(b)
		_, _ = decodeNumbers(b)
		_, _ = decodeTimer(make([]byte, 16), b)
		_, _ = decodeOutputs(b)
		_, _ = decodeDeadLetter(b)
		if m, err := decodeMails(b); err == nil {
			again, err := decodeMails(encodeMails(m))
			if diff := cmp.Diff(m, again); err != nil || diff != "" {
				t.Errorf("%v %s", err, diff)
			}
		}
	})
}
