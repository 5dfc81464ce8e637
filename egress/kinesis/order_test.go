package kinesis

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/statestore"
)

// emitMany emits n records over some keys and two streams, in packs of several, and answers what each key of a stream must hold.
func emitMany(m *member, rng *rand.Rand, n int) map[[2]string][]string {
	want := map[[2]string][]string{}
	for i := 0; i < n; {
		var pack []api.Output
		for range rng.IntN(30) + 1 {
			p := place{fmt.Sprintf("s%d", rng.IntN(2)), fmt.Sprintf("k%d", rng.IntN(9)), ""}
			if rng.IntN(5) == 0 {
				p.hash = fmt.Sprint(rng.IntN(2))
			}
			v := fmt.Sprint(i)
			k := [2]string{p.stream, p.key}
			want[k] = append(want[k], v)
			pack = append(pack, record(p.stream, p.key, p.hash, v))
			i++
		}
		m.emit(pack...)
	}
	return want
}

// TestOrderThroughFailures: whatever Kinesis refuses, records of one key arrive in order, each once while nobody crashes.
func TestOrderThroughFailures(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	f := newFake("s0", "s1")
	f.refuse = func(*types.PutRecordsRequestEntry) string {
		return []string{"", "", codeThrottled, "InternalFailure"}[rng.IntN(4)]
	}
	f.call = func(*kinesis.PutRecordsInput) error {
		if rng.IntN(10) == 0 {
			return errors.New("connection reset")
		}
		return nil
	}
	o := newOutbox()
	cfg := f.config()
	cfg.Outstanding = 100
	m := begin(t, o, cfg)
	want := emitMany(m, rand.New(rand.NewPCG(seed, 1)), 2000)
	o.untilDelivered(t, o.next)
	for k, values := range want {
		if got := f.ofKey(k[0], k[1]); !slices.Equal(got, values) {
			t.Errorf("%v: got %v, want %v", k, got, values)
		}
	}
	if f.twice > 0 {
		t.Errorf("%d calls held several records of one key", f.twice)
	}
	if f.most > 100 {
		t.Errorf("%d outputs were on their way, want at most 100", f.most)
	}
	o.until(t, "counted", func() bool { return o.counts["ok"] == int(o.next-1) })
}

// TestOneKeySeveralHashes: what a key sends elsewhere by an explicit hash key keeps its order with the rest of that key, and a hash key is
// written as Kinesis takes it.
func TestOneKeySeveralHashes(t *testing.T) {
	f := newFake("s")
	refusals := 3
	f.refuse = func(e *types.PutRecordsRequestEntry) string {
		if string(e.Data) == "1" && refusals > 0 {
			refusals--
			return codeThrottled
		}
		return ""
	}
	o := newOutbox()
	m := begin(t, o, f.config())
	m.emit(record("s", "k", "5", "1"), record("s", "k", "05", "2"), record("s", "k", "6", "3"), record("s", "k", "", "4"), record("s", "k", "000", "5"))
	o.untilDelivered(t, o.next)
	if got := f.ofKey("s", "k"); !slices.Equal(got, []string{"1", "2", "3", "4", "5"}) {
		t.Errorf("got %v", got)
	}
	for hash, want := range map[string][]string{"5": {"1", "2"}, "6": {"3"}, "": {"4"}, "0": {"5"}} {
		if got := f.at("s", "k", hash); !slices.Equal(got, want) {
			t.Errorf("hash %q: got %v, want %v", hash, got, want)
		}
	}
}

// TestSuccessor: what was on its way when the owner died is sent again, in order, and nothing is left out.
func TestSuccessor(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	f := newFake("s0", "s1")
	o := newOutbox()
	m := begin(t, o, f.config())
	want := emitMany(m, rng, 300)
	o.untilDelivered(t, 100)
	next := begin(t, o, f.config()) // the old one sleeps on
	for k, values := range emitMany(next, rng, 300) {
		want[k] = append(want[k], values...)
	}
	o.untilDelivered(t, o.next)
	if err := m.stop(); err != nil && !errors.Is(err, statestore.ErrFenced) {
		t.Errorf("got %v", err)
	}
	for k, values := range want {
		got := f.ofKey(k[0], k[1])
		for i, v := range values { // repeated ones may stand between
			at := slices.Index(got, v)
			if at < 0 {
				t.Fatalf("%v: %s is missing", k, v)
			}
			if i+1 < len(values) && !slices.Contains(got[at:], values[i+1]) {
				t.Errorf("%v: %s does not come after %s", k, values[i+1], v)
			}
		}
	}
}
