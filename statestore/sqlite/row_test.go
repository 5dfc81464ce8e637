package sqlite

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

func TestSizesComeBack(t *testing.T) {
	all := []statestore.Mail{{Number: 1, Message: api.Message{Target: addr("a")}}, {Number: 2, Message: api.Message{Target: addr("bcd")}}, {Number: math.MaxInt64, Message: api.Message{}}}
	var want []sizeEntry
	for i := range all {
		want = append(want, sizeEntry{all[i].Number, int64(all[i].Message.Size())})
	}
	got, err := decodeSizes(appendSizes(nil, all))
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(sizeEntry{})); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := decodeSizes([]byte{sizesFormat + 1}); !errors.Is(err, statestore.ErrNewer) {
		t.Errorf("another format: %v, want ErrNewer", err)
	}
	if _, err := decodeSizes(nil); err == nil {
		t.Error("an empty row is no error")
	}
}

// Keys of times sort as the times do, also before 1970.
func TestTimerKeysSort(t *testing.T) {
	dues := []int64{math.MinInt64, -1, 0, 1, math.MaxInt64}
	for i, due := range dues {
		k := statestore.TimerKey{Due: due, Number: math.MaxUint64}
		if got, err := decodeTimerKey(timerKey(k)); got != k || err != nil {
			t.Errorf("%v came back as %v, %v", k, got, err)
		}
		if i > 0 && bytes.Compare(timerKey(statestore.TimerKey{Due: dues[i-1], Number: math.MaxUint64}), timerKey(statestore.TimerKey{Due: due})) >= 0 {
			t.Errorf("%d does not sort before %d", dues[i-1], due)
		}
	}
	if _, err := decodeTimerKey([]byte("short")); err == nil {
		t.Error("a short key is no error")
	}
}

// Broken rows are errors: never a panic, nor an allocation that a few bytes ask for.
func FuzzSizes(f *testing.F) {
	f.Add(appendSizes(nil, []statestore.Mail{{Number: 1}, {Number: 9}}))
	f.Add([]byte{sizesFormat, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, err := decodeSizes(b); err == nil && len(all) > len(b)/2 {
			t.Errorf("%d entries from %d bytes", len(all), len(b))
		}
	})
}
