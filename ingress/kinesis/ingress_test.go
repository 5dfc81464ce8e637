package kinesis

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kinesis/types"
)

func TestRecords(t *testing.T) {
	f := newFake()
	f.create("s", 3)
	f.create("other", 1)
	e := newEngine(t)
	run(t, f.config(observe(t), "s", "other"), e)
	want := map[string][]string{}
	for i := range 200 {
		id := fmt.Sprintf("key-%d", i%17)
		want[id] = append(want[id], fmt.Sprintf("v%d", i))
		f.put("s", id, fmt.Sprintf("v%d", i))
	}
	f.put("other", "", "empty key")
	e.untilEffects(201)
	want[""] = []string{"empty key"}
	for id, values := range want {
		if !slices.Equal(e.order[id], values) {
			t.Errorf("id %q: got %v, want %v", id, e.order[id], values)
		}
	}
}

func TestStartupPositions(t *testing.T) {
	f := newFake()
	f.create("s", 1)
	date := time.Now().Add(-time.Hour)
	f.now = func() time.Time { return date.Add(-time.Minute) }
	f.put("s", "a", "old")
	f.now = func() time.Time { return date }
	f.put("s", "a", "middle")
	f.now = time.Now
	for _, c := range []struct {
		startup Startup
		want    []string
	}{
		{Startup{Kind: StartEarliest}, []string{"old", "middle", "new"}},
		{Startup{Kind: StartDate, Date: date}, []string{"middle", "new"}},
		{Startup{Kind: StartLatest}, []string{"new"}},
		{Startup{Kind: StartDate, Date: time.Now().Add(time.Hour)}, []string{"new"}},
	} {
		t.Run(fmt.Sprintf("%d %v", c.startup.Kind, c.startup.Date), func(t *testing.T) {
			e := newEngine(t)
			cfg := f.config(observe(t), "s")
			cfg.Startup = c.startup
			stop := run(t, cfg, e)
			e.until("start", func() bool { return len(e.starts) > 0 })
			f.put("s", "a", "new")
			e.untilEffects(len(c.want))
			stop()
			if !slices.Equal(e.order["a"], c.want) {
				t.Errorf("got %v, want %v", e.order["a"], c.want)
			}
			f.trim("s", 0, 0)
			f.remove("s")
			f.create("s", 1)
			f.now = func() time.Time { return date.Add(-time.Minute) }
			f.put("s", "a", "old")
			f.now = func() time.Time { return date }
			f.put("s", "a", "middle")
			f.now = time.Now
		})
	}
}

// TestLatestIsResolvedOnce: what arrives while a gateway that began at latest is down is read by the next.
func TestLatestIsResolvedOnce(t *testing.T) {
	f := newFake()
	f.now = func() time.Time { return time.Now().Add(-time.Minute) }
	f.create("s", 2)
	f.put("s", "a", "old")
	f.now = time.Now
	e := newEngine(t)
	cfg := f.config(observe(t), "s")
	cfg.Startup = Startup{}
	stop := run(t, cfg, e)
	e.until("start", func() bool { return len(e.starts) == 2 })
	stop()
	e = e.crash()
	f.put("s", "a", "new")
	run(t, cfg, e)
	e.untilEffects(1)
	if !slices.Equal(e.order["a"], []string{"new"}) {
		t.Errorf("got %v", e.order["a"])
	}
}

// TestStartIsAllOrNothing: a stream whose start positions were not all committed begins anew, by its startupPosition.
func TestStartIsAllOrNothing(t *testing.T) {
	f := newFake()
	f.create("s", 5)
	e := newEngine(t)
	asked := 0
	f.setFail(func(action string) error {
		if strings.HasPrefix(action, "GetShardIterator LATEST") {
			if asked++; asked == 3 {
				return &types.ProvisionedThroughputExceededException{}
			}
		}
		return nil
	})
	cfg := f.config(observe(t), "s")
	cfg.Startup = Startup{}
	run(t, cfg, e)
	e.until("start", func() bool { return len(e.starts) > 0 })
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.starts) != 5 || e.commits != 1 {
		t.Errorf("got %d starts in %d commits, want 5 in 1", len(e.starts), e.commits)
	}
}

// TestResharding: parents are read to their end before their children begin, also when a crash comes between, so that an id's
// records keep their order.
func TestResharding(t *testing.T) {
	f := newFake()
	f.create("s", 2)
	f.empty = 2
	e := newEngine(t)
	e.hold = func(r *apiRecord) bool { return strings.HasSuffix(string(r.Value.Value), "7") }
	want := map[string][]string{}
	n := 0
	some := func() {
		for range 60 {
			id := fmt.Sprintf("key-%d", n%11)
			want[id] = append(want[id], fmt.Sprintf("%s-%d", id, n))
			f.put("s", id, fmt.Sprintf("%s-%d", id, n))
			n++
		}
	}
	cfg := f.config(observe(t), "s")
	some()
	f.split("s", 0) // 2, 3
	some()
	f.merge("s", 3, 1) // 4
	some()
	stop := run(t, cfg, e)
	e.until("some", func() bool { return len(e.arrived) > 100 })
	again := e.crash()
	stop()
	f.split("s", 4) // 5, 6
	some()
	run(t, cfg, again)
	again.untilEffects(n)
	for id, values := range want {
		if !slices.Equal(again.order[id], values) {
			t.Errorf("%s: got %v, want %v", id, again.order[id], values)
		}
	}
	for _, shard := range []int32{0, 1, 3, 4} {
		again.untilAnchor(source("s", shard), "at the end", func(a anchor) bool { return a.kind == kindEnd })
	}
}

// TestClosedShardsAreNotReadAgain: neither those that were read to their end, nor those that were closed before the ingress began at latest.
func TestClosedShardsAreNotReadAgain(t *testing.T) {
	f := newFake()
	f.create("s", 1)
	f.put("s", "a", "old")
	f.split("s", 0)
	e := newEngine(t)
	cfg := f.config(observe(t), "s")
	cfg.Startup = Startup{}
	stop := run(t, cfg, e)
	e.until("start", func() bool { return len(e.starts) == 3 })
	f.put("s", "a", "v")
	e.untilEffects(1)
	f.merge("s", 1, 2)
	f.put("s", "a", "w")
	e.untilEffects(2)
	stop()
	e = e.crash()
	f.setFail(func(action string) error {
		if action == "GetShardIterator TRIM_HORIZON" {
			t.Error("a shard is read from its beginning")
		}
		return nil
	})
	run(t, cfg, e)
	f.put("s", "a", "x")
	e.untilEffects(3)
	if !slices.Equal(e.order["a"], []string{"v", "w", "x"}) {
		t.Errorf("got %v", e.order["a"])
	}
}

// TestShardIsGone: a shard that has left the list unread does not hold its children back.
func TestShardIsGone(t *testing.T) {
	f := newFake()
	f.create("s", 1)
	f.put("s", "a", "first")
	e := newEngine(t)
	cfg := f.config(observe(t), "s")
	stop := run(t, cfg, e)
	e.untilEffects(1)
	e = e.crash()
	stop()
	f.put("s", "a", "lost")
	f.split("s", 0)
	f.put("s", "a", "child")
	f.forget("s", 0)
	run(t, cfg, e)
	e.untilEffects(2)
	e.untilAnchor(source("s", 0), "at the end", func(a anchor) bool { return a.kind == kindEnd })
}

// TestShardIsGoneWhileItIsRead: a shard that ages out while the engine takes nothing ends, and its children begin.
func TestShardIsGoneWhileItIsRead(t *testing.T) {
	f := newFake()
	f.create("s", 1)
	e := newEngine(t)
	o := observe(t)
	run(t, f.config(o, "s"), e)
	f.put("s", "a", "first")
	e.untilEffects(1)
	gate := make(chan struct{})
	e.mu.Lock()
	e.gate = gate
	e.mu.Unlock()
	f.put("s", "a", "waits")
	e.until("a record waits", func() bool { return e.waiting })
	f.put("s", "a", "lost")
	f.split("s", 0)
	f.put("s", "a", "child")
	f.expire()
	f.trim("s", 0, 0)
	f.forget("s", 0)
	f.untilAsked(t, "ListShards", 3) // two looks agree
	e.mu.Lock()
	e.gate = nil
	e.mu.Unlock()
	close(gate)
	e.untilEffects(3)
	e.untilAnchor(source("s", 0), "at the end", func(a anchor) bool { return a.kind == kindEnd })
	if got := e.order["a"]; !slices.Equal(got, []string{"first", "waits", "child"}) {
		t.Errorf("got %v", got)
	}
}

func TestStreamMadeAnew(t *testing.T) {
	f := newFake()
	f.create("s", 1)
	f.put("s", "a", "v")
	e := newEngine(t)
	o := observe(t)
	run(t, f.config(o, "s"), e)
	e.untilEffects(1)
	f.remove("s")
	o.untilDegraded("stream does not exist")
	f.create("s", 1)
	f.put("s", "a", "other")
	o.untilDegraded("stream was made anew")
	if n := len(e.effects); n != 1 {
		t.Errorf("got %d effects", n)
	}
}

// TestStreamAppears: all that a stream holds which came after the ingress is new.
func TestStreamAppears(t *testing.T) {
	f := newFake()
	e := newEngine(t)
	o := observe(t)
	cfg := f.config(o, "s")
	cfg.Startup = Startup{}
	run(t, cfg, e)
	o.untilDegraded("stream does not exist")
	f.untilAsked(t, "ListShards", 2) // it is missing for longer than a moment
	f.mu.Lock()
	s := &fakeStream{name: "s"}
	sh := f.addShard(s, hashOfText("0"), hashMax)
	sh.records = append(sh.records, types.Record{PartitionKey: sdk.String("a"), Data: []byte("v"), SequenceNumber: f.sequence(), ApproximateArrivalTimestamp: sdk.Time(time.Now().Add(-time.Hour))})
	f.streams["s"] = s
	f.mu.Unlock()
	e.untilEffects(1)
	o.untilRecovered("stream does not exist")
}

// TestTroubles: what the service refuses is tried again, and said when it lasts.
func TestTroubles(t *testing.T) {
	f := newFake()
	f.create("s", 1)
	e := newEngine(t)
	o := observe(t)
	run(t, f.config(o, "s"), e)
	f.put("s", "a", "v1")
	e.untilEffects(1)
	for i, failure := range []error{
		&types.ProvisionedThroughputExceededException{Message: sdk.String("Rate exceeded")},
		&types.AccessDeniedException{Message: sdk.String("not allowed")},
		errors.New("connection refused"),
	} {
		f.setFail(func(action string) error {
			if action == "GetRecords" {
				return failure
			}
			return nil
		})
		f.put("s", "a", fmt.Sprintf("w%d", i))
		o.untilDegraded("cannot be read")
		f.setFail(nil)
		e.untilEffects(2 + i)
		o.untilRecovered("cannot be read")
	}
	f.expire()
	f.put("s", "a", "last")
	e.untilEffects(5)
}

// TestTrimmedWhileWaiting: a shard whose records were not taken for so long that the last one left the stream goes on, with new numbers.
func TestTrimmedWhileWaiting(t *testing.T) {
	f := newFake()
	f.create("s", 1)
	e := newEngine(t)
	cfg := f.config(observe(t), "s")
	cfg.pace.settled = time.Hour
	stop := run(t, cfg, e)
	f.put("s", "a", "v1")
	e.untilEffects(1)
	e.mu.Lock()
	e.gate = make(chan struct{})
	e.mu.Unlock()
	f.put("s", "a", "v2")
	e.until("a record waits", func() bool { return e.waiting })
	f.expire()
	f.put("s", "a", "lost")
	f.put("s", "a", "v4")
	f.trim("s", 0, 1)
	e.mu.Lock()
	close(e.gate)
	e.gate = nil
	e.mu.Unlock()
	e.until("the last", func() bool { return e.effects["v4"] == 1 })
	e = e.crash()
	stop()
	run(t, cfg, e)
	f.put("s", "a", "v5")
	e.until("what is new", func() bool { return e.effects["v5"] == 1 })
}

// TestNotForeign: a record that Kinesis denies by mistake is not taken for one that has left the stream.
func TestNotForeign(t *testing.T) {
	f := newFake()
	f.create("s", 1)
	e, o := newEngine(t), observe(t)
	cfg := f.config(o, "s")
	f.put("s", "a", "v1")
	f.put("s", "a", "v2")
	stop := run(t, cfg, e)
	e.untilEffects(2)
	e.untilAnchor(source("s", 0), "at the last", func(a anchor) bool { return a.next == 2 })
	f.setFail(func(action string) error {
		if action == "GetShardIterator AT_SEQUENCE_NUMBER" {
			return &types.InvalidArgumentException{}
		}
		return nil
	})
	f.expire()
	o.untilDegraded("cannot be read")
	e = e.crash()
	stop()
	f.put("s", "a", "v3")
	o = observe(t)
	cfg.Hooks = o.hooks()
	run(t, cfg, e)
	o.untilDegraded("cannot be read")
	f.setFail(nil)
	e.untilEffects(3)
}

func TestConnectTriesAgain(t *testing.T) {
	f := newFake()
	f.create("s", 1)
	f.put("s", "a", "v")
	e, o := newEngine(t), observe(t)
	cfg := f.config(o, "s")
	tries := make(chan struct{}, 1)
	cfg.dial = func(context.Context) (client, error) {
		select {
		case <-tries:
			return f, nil
		default:
			return nil, errors.New("no region")
		}
	}
	run(t, cfg, e)
	o.untilDegraded("AWS cannot be asked")
	tries <- struct{}{}
	e.untilEffects(1)
	o.untilRecovered("AWS cannot be asked")
}

func TestConfigIsChecked(t *testing.T) {
	good := func() Config {
		return Config{ID: "a/b", Streams: []Stream{{Name: "s"}}}
	}
	for want, change := range map[string]func(*Config){
		"no id":           func(c *Config) { c.ID = "" },
		"no stream":       func(c *Config) { c.Streams = nil },
		"without a name":  func(c *Config) { c.Streams[0].Name = "" },
		"given twice":     func(c *Config) { c.Streams = append(c.Streams, c.Streams[0]) },
		"before 1970":     func(c *Config) { c.Startup = Startup{Kind: StartDate, Date: time.Unix(-1, 0)} },
		"unknown startup": func(c *Config) { c.Startup.Kind = 9 },
		"value type":      func(c *Config) { c.Streams[0].ValueType = strings.Repeat("x", 1<<20) },
		"NTLM":            func(c *Config) { c.Properties = map[string]string{"aws.clientconfig.proxyDomain": "x"} },
	} {
		c := good()
		change(&c)
		if _, err := Check(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
		if _, err := New(c); err == nil {
			t.Errorf("%s: New takes it", want)
		}
	}
	c := good()
	c.Properties = map[string]string{"flink.stream.recordpublisher": "EFO"}
	if warnings, err := Check(c); err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "fan-out") {
		t.Errorf("got %v, %v", warnings, err)
	}
}
