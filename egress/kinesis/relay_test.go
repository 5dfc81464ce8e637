package kinesis

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"

	"github.com/stategate/stategate/api"
	"github.com/stategate/stategate/api/protocol"
	"github.com/stategate/stategate/statestore"
)

// TestStopKeepsWhatIsNotAcknowledged: a relay that stops in the middle of a call delivers nothing twice that was acknowledged.
func TestStopKeepsWhatIsNotAcknowledged(t *testing.T) {
	f := newFake("s0")
	o := newOutbox()
	m := begin(t, o, f.config())
	m.emit(record("s0", "a", "", "1"))
	o.untilDelivered(t, 2)
	f.set(func() { f.gate = make(chan struct{}) })
	m.emit(record("s0", "a", "", "2"), record("s0", "b", "", "3"), record("", "set aside", "", ""))
	o.until(t, "set aside", func() bool { return o.refused[4] })
	if err := m.stop(); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	if o.delivered != 2 {
		t.Errorf("delivered below %d, want 2", o.delivered)
	}
	f.set(func() { close(f.gate); f.gate = nil })
	begin(t, o, f.config())
	o.untilDelivered(t, 5)
	if got := f.at("s0", "a", ""); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("got %v", got)
	}
}

func TestUnusableOutputs(t *testing.T) {
	f := newFake("s")
	f.call = func(in *kinesis.PutRecordsInput) error {
		for _, r := range in.Records {
			if string(r.Data) == "poison" {
				return &types.InvalidArgumentException{Message: sdk.String("no")}
			}
		}
		return nil
	}
	wrong := record("s", "k", "", "v")
	wrong.Value.TypeName = protocol.TypeKafkaProducerRecord
	broken := record("s", "k", "", "v")
	broken.Value.Value = []byte{0xff}
	cases := []struct {
		output api.Output
		reason string
	}{
		{wrong, reasonType},
		{broken, reasonParse},
		{record("", "k", "", "v"), reasonStream},
		{record("no name", "k", "", "v"), reasonStream},
		{record(strings.Repeat("s", 129), "k", "", "v"), reasonStream},
		{record("s", "", "", "v"), reasonKey},
		{record("s", "\xff", "", "v"), reasonKey},
		{record("s", strings.Repeat("ä", 257), "", "v"), reasonKey},
		{record("s", "k", "x", "v"), reasonHash},
		{record("s", "k", "-1", "v"), reasonHash},
		{record("s", "k", "340282366920938463463374607431768211456", "v"), reasonHash},
		{record("s", "k", strings.Repeat("9", 1000), "v"), reasonHash},
		{record("s", "k", "", strings.Repeat("x", recordBytesMax)), reasonLarge},
		{record("s", "poison", "", "poison"), reasonRefused},
	}
	o := newOutbox()
	m := begin(t, o, f.config())
	var all []api.Output
	for i, c := range cases {
		all = append(all, c.output, record("s", fmt.Sprintf("good%d", i), "340282366920938463463374607431768211455", "v"))
	}
	all = append(all, record("s", strings.Repeat("ä", 256), "", ""))
	m.emit(all...)
	o.untilDelivered(t, o.next)
	reasons := map[uint64]string{}
	for _, d := range o.dead {
		reasons[uint64(d.Offset)] = d.Reason
		if d.Kind != api.DeadOutput || d.From != "shop/out" || d.Detail == "" {
			t.Errorf("got %+v", d)
		}
	}
	for i, c := range cases {
		if got := reasons[uint64(2*i+1)]; got != c.reason {
			t.Errorf("output %d: got reason %q, want %q", i, got, c.reason)
		}
		if n := len(f.at("s", fmt.Sprintf("good%d", i), "340282366920938463463374607431768211455")); n != 1 {
			t.Errorf("output beside %q was delivered %d times", c.reason, n)
		}
	}
	if len(o.dead) != len(cases) || len(f.at("s", strings.Repeat("ä", 256), "")) != 1 {
		t.Errorf("got %d dead letters, want %d", len(o.dead), len(cases))
	}
}

// TestMissingStream: it is waited for, then its outputs are set aside until it is there; those of other streams go on.
func TestMissingStream(t *testing.T) {
	f := newFake("s")
	o := newOutbox()
	cfg := f.config()
	cfg.pace = quick()
	cfg.pace.grace = 300 * time.Millisecond
	m := begin(t, o, cfg)
	m.emit(record("none", "a", "", "1"), record("none", "a", "", "2"), record("none", "b", "", "3"), record("s", "a", "", "4"))
	o.until(t, "another stream's output", func() bool { return o.counts["ok"] == 1 })
	if o.counts["refused"] != 0 {
		t.Errorf("outputs are refused before the stream was waited for")
	}
	o.untilDelivered(t, 5)
	o.until(t, "said", func() bool { return o.degraded["egress shop/out: stream missing"] != "" && o.counts["refused"] == 3 })
	for _, d := range o.dead {
		if d.Reason != reasonMissing {
			t.Errorf("got reason %q", d.Reason)
		}
	}
	f.create("none")
	for n := uint64(5); ; n++ {
		m.emit(record("none", "a", "", fmt.Sprint(n)))
		o.untilDelivered(t, n+1)
		if len(f.at("none", "a", "")) > 0 {
			break
		}
	}
	o.until(t, "over", func() bool { return o.degraded["egress shop/out: stream missing"] == "" })
}

// TestMissingStreamComes: one that is made within the time takes all outputs.
func TestMissingStreamComes(t *testing.T) {
	f := newFake()
	o := newOutbox()
	cfg := f.config()
	cfg.pace = quick()
	cfg.pace.grace = time.Hour
	m := begin(t, o, cfg)
	m.emit(record("s", "a", "", "1"), record("s", "a", "", "2"), record("s", "b", "", "3"))
	for range 4 {
		<-f.called
	}
	f.create("s")
	o.untilDelivered(t, 4)
	if got := f.at("s", "a", ""); !slices.Equal(got, []string{"1", "2"}) || len(o.dead) > 0 {
		t.Errorf("got %v and %d dead letters", got, len(o.dead))
	}
}

// TestMissingStreamBesideACall: what is on its way to a stream that is given up meanwhile may yet be delivered, and is not set aside before.
func TestMissingStreamBesideACall(t *testing.T) {
	f := newFake("s")
	f.gate = make(chan struct{})
	f.gated = func(in *kinesis.PutRecordsInput) bool { return string(in.Records[0].Data) == "1" }
	o := newOutbox()
	m := begin(t, o, f.config())
	m.emit(record("s", "a", "", "1"))
	<-f.called
	f.set(func() { delete(f.streams, "s") })
	m.emit(record("s", "b", "", "2"))
	o.until(t, "given up", func() bool { return o.degraded["egress shop/out: stream missing"] != "" })
	f.create("s")
	f.set(func() { close(f.gate); f.gate = nil })
	o.untilDelivered(t, 3)
	if len(o.dead) > 0 || len(f.at("s", "a", "")) != 1 || len(f.at("s", "b", "")) != 1 {
		t.Errorf("got %d dead letters, %v and %v", len(o.dead), f.at("s", "a", ""), f.at("s", "b", ""))
	}
}

// TestOldOwnerEnds: an owner that slept through a takeover finds out when a call fails, and sends no more.
func TestOldOwnerEnds(t *testing.T) {
	f := newFake("s")
	o := newOutbox()
	m := begin(t, o, f.config())
	m.emit(record("s", "a", "", "1"))
	o.untilDelivered(t, 2)
	f.set(func() { f.call = func(*kinesis.PutRecordsInput) error { return errors.New("connection reset") } })
	m.emit(record("s", "a", "", "2"))
	begin(t, o, f.config())
	select {
	case err := <-m.ended:
		if !errors.Is(err, statestore.ErrFenced) {
			t.Errorf("got %v, want ErrFenced", err)
		}
		m.ended <- err
	case <-time.After(patience):
		t.Error("the old owner goes on")
	}
}

// TestOfferedAfterReadBack: what was read from the store before it is offered is not taken twice.
func TestOfferedAfterReadBack(t *testing.T) {
	pack := func(first uint64, n int) statestore.OutputPack {
		return statestore.OutputPack{First: first, Outputs: make([]api.Output, n)}
	}
	q := newQueue(1, 3, memoryDefault)
	if _, next, behind := q.take(10, 1000); !behind || next != 1 {
		t.Fatalf("got %d, %v", next, behind)
	}
	if !q.readBack([]statestore.OutputPack{pack(1, 2), pack(3, 2)}) {
		t.Fatal("it does not take them")
	}
	q.offer(pack(3, 1), time.Now())
	if n, _ := q.pending(time.Now()); n != 4 {
		t.Errorf("pending: got %d, want 4", n)
	}
	q.offer(pack(4, 2), time.Now()) // one of them is known
	var got []uint64
	for items, _, _ := q.take(10, 1<<20); len(items) > 0; items, _, _ = q.take(10, 1<<20) {
		for _, it := range items {
			got = append(got, it.number)
		}
	}
	if !slices.Equal(got, []uint64{1, 2, 3, 4, 5}) {
		t.Errorf("got %v", got)
	}
	if n, age := q.pending(time.Now().Add(time.Minute)); n != 5 || age < time.Minute {
		t.Errorf("pending: got %d, %v", n, age)
	}
	q.delivered(6, time.Now())
	if n, age := q.pending(time.Now()); n != 0 || age != 0 {
		t.Errorf("pending: got %d, %v", n, age)
	}
}

// TestTroubles: what Kinesis does not take waits, operators hear of it, and of its end.
func TestTroubles(t *testing.T) {
	f := newFake("s", "other")
	o := newOutbox()
	m := begin(t, o, f.config())
	f.set(func() {
		f.call = func(in *kinesis.PutRecordsInput) error {
			if *in.StreamName == "s" {
				return &types.AccessDeniedException{Message: sdk.String("not allowed")}
			}
			return nil
		}
	})
	m.emit(record("s", "a", "", "1"), record("other", "a", "", "2"))
	o.until(t, "said", func() bool { return o.degraded["egress shop/out: kinesis: stream s"] != "" && o.counts["ok"] == 1 })
	f.set(func() {
		f.call = nil
		f.refuse = func(*types.PutRecordsRequestEntry) string { return codeThrottled }
	})
	o.until(t, "throttled", func() bool { return o.degraded["egress shop/out: throttled: stream s"] != "" })
	f.set(func() { f.refuse = nil })
	o.untilDelivered(t, 3)
	o.until(t, "over", func() bool { return len(o.degraded) == 0 })
	if len(o.dead) > 0 {
		t.Errorf("got dead letters %+v", o.dead)
	}
}

// TestReadsBack: what memory does not hold comes from the store, in order, without what was set aside before.
func TestReadsBack(t *testing.T) {
	f := newFake("s")
	o := newOutbox()
	cfg := f.config()
	cfg.MemoryBytes, cfg.Outstanding = 2000, 7
	f.gate = make(chan struct{})
	m := begin(t, o, cfg)
	var want []string
	for i := range 300 {
		v := fmt.Sprint(i)
		want = append(want, v)
		m.emit(record("s", "a", "", v), record("s", "", "", v))
	}
	f.set(func() { close(f.gate); f.gate = nil })
	o.untilDelivered(t, o.next)
	if got := f.at("s", "a", ""); !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	if o.reads == 0 || len(o.dead) != 300 {
		t.Errorf("got %d reads and %d dead letters", o.reads, len(o.dead))
	}
}

func TestConfig(t *testing.T) {
	if _, err := Check(Config{}); err == nil {
		t.Error("no id: no error")
	}
	if _, err := Check(Config{ID: "a/b", Properties: map[string]string{"KinesisEndpoint": "x"}}); err == nil {
		t.Error("another endpoint: no error")
	}
	if w, err := Check(Config{ID: "a/b", Properties: map[string]string{"RecordTtl": "x"}}); err != nil || len(w) != 1 {
		t.Errorf("got %v, %v", w, err)
	}
	c, err := Config{ID: "a/b", Outstanding: 1 << 30, Properties: map[string]string{"MaxConnections": "3", "CollectionMaxCount": "9"}}.withDefaults()
	if err != nil || c.Outstanding != outstandingMax || c.calls != 3 || c.callRecords != 9 {
		t.Errorf("got %+v, %v", c, err)
	}
}
