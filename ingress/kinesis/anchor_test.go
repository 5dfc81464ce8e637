package kinesis

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stategate/stategate/api"
)

func TestAnchorText(t *testing.T) {
	for _, a := range []anchor{
		{kind: kindBegin, shard: "49"}, {kind: kindTime, shard: "49", atMS: 1700000000000}, {kind: kindEnd, shard: "49", next: 12},
		{kind: kindAfter, shard: "49", sequence: "4955", next: 7, seenMS: 5},
	} {
		if got, err := parseAnchor(a.String()); err != nil || got != a {
			t.Errorf("%q: got %+v, %v", a.String(), got, err)
		}
	}
	for _, bad := range []string{"", "x", "begin", "after 1 2 3", "after 1 2 x 0", "end 1 -1", "time 1", "aBcDeFgHiJkLmNoPqRsTuA"} {
		if a, err := parseAnchor(bad); err == nil {
			t.Errorf("%q: got %+v, want an error", bad, a)
		}
	}
}

// holdSome holds every record whose value begins with "hold".
func holdSome(r *api.Record) bool { return strings.HasPrefix(string(r.Value.Value), "hold") }

// TestCrashAboveHole: records that finished above one that did not are not run again after a crash, and it is.
func TestCrashAboveHole(t *testing.T) {
	f := newFake()
	f.create("s", 1)
	f.empty = 1
	e := newEngine(t)
	e.hold = holdSome
	f.put("s", "a", "first")
	stop := run(t, f.config(observe(t), "s"), e)
	e.untilEffects(1)
	f.put("s", "h", "hold")
	for i := range 50 {
		f.put("s", fmt.Sprint(i), fmt.Sprintf("v%d", i))
	}
	e.untilEffects(51)
	again := e.crash()
	stop()
	p, _ := again.Progress(source("s", 0))
	if len(p.Targets[0].Done.Above) == 0 {
		t.Fatalf("nothing is finished above a hole: %+v", p)
	}
	f.put("s", "b", "last")
	run(t, f.config(observe(t), "s"), again)
	again.untilEffects(53)
}

// TestAnchorStaysWhileReadingAgain: until a shard was read past what was finished before a crash, its anchor does not move: Start would
// forget what is finished above.
func TestAnchorStaysWhileReadingAgain(t *testing.T) {
	f := newFake()
	f.create("s", 1)
	e := newEngine(t)
	e.hold = holdSome
	cfg := f.config(observe(t), "s")
	f.put("s", "a", "first")
	stop := run(t, cfg, e)
	e.untilEffects(1)
	f.put("s", "h", "hold")
	for i := range 300 {
		f.put("s", "a", fmt.Sprintf("v%d", i))
	}
	e.untilEffects(301)
	again := e.crash()
	stop()

	// Ten records at a time, and an anchor that would like to move at once.
	cfg.Properties = map[string]string{"flink.shard.getrecords.maxrecordcount": "10"}
	cfg.pace.settled, cfg.pace.anchored, cfg.pace.anchoredBy = time.Nanosecond, time.Nanosecond, 1
	stop = run(t, cfg, again)
	again.untilEffects(302)
	f.put("s", "a", "last")
	again.untilEffects(303)
	again.untilAnchor(source("s", 0), "behind all", func(a anchor) bool { return a.next == 303 })
	third := again.crash()
	stop()
	run(t, cfg, third)
	f.put("s", "a", "very last")
	third.untilEffects(304)
}

// TestReanchoringUnderLoad: whatever is held, done, cut off by a crash or kept when the anchor moves, each record takes effect once.
func TestReanchoringUnderLoad(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	f := newFake()
	f.create("s", 2)
	e := newEngine(t)
	put := 0
	some := func(n int) {
		for range n {
			v := fmt.Sprintf("v%d", put)
			if rng.IntN(20) == 0 {
				v = "hold" + v
			}
			f.put("s", fmt.Sprint(rng.IntN(30)), v)
			put++
		}
	}
	for life := range 30 {
		e.mu.Lock()
		e.hold = holdSome
		e.mu.Unlock()
		cfg := f.config(observe(t), "s")
		cfg.pace.settled, cfg.pace.anchoredBy = time.Duration(rng.IntN(20)+1)*time.Millisecond, int64(rng.IntN(200)+1)
		cfg.Properties = map[string]string{"flink.shard.getrecords.maxrecordcount": fmt.Sprint(rng.IntN(60) + 1)}
		stop := run(t, cfg, e)
		before := put
		some(rng.IntN(400))
		if life%5 == 4 {
			open := f.open("s")
			f.split("s", open[rng.IntN(len(open))])
		}
		if rng.IntN(2) == 0 {
			f.expire()
		}
		some(rng.IntN(100))
		e.until("some progress", func() bool { return len(e.arrived) >= before*9/10 })
		if life%3 == 2 {
			stop() // in good order
			e = e.crash()
			continue
		}
		next := e.crash()
		stop()
		e = next
	}
	e.hold = nil
	run(t, f.config(observe(t), "s"), e)
	e.untilEffects(put)
	if len(e.effects) != put {
		t.Errorf("got %d effects, want %d", len(e.effects), put)
	}
}

// TestAnchorExpired: where nothing behind the anchor is finished, reading goes on with what is still there.
func TestAnchorExpired(t *testing.T) {
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprintf("strict=%v", strict), func(t *testing.T) {
			f := newFake()
			f.strict = strict
			f.create("s", 1)
			e := newEngine(t)
			stop := run(t, f.config(observe(t), "s"), e)
			for i := range 10 {
				f.put("s", "a", fmt.Sprintf("v%d", i))
			}
			e.untilEffects(10)
			e.untilAnchor(source("s", 0), "at the last", func(a anchor) bool { return a.next == 10 })
			e = e.crash()
			stop()
			f.put("s", "a", "lost")
			f.put("s", "a", "kept")
			f.trim("s", 0, 1)
			stop = run(t, f.config(observe(t), "s"), e)
			e.untilEffects(11)
			f.put("s", "a", "next")
			e.untilEffects(12)
			e = e.crash()
			stop()
			run(t, f.config(observe(t), "s"), e)
			f.put("s", "a", "last")
			e.untilEffects(13)
			if e.effects["lost"] != 0 || e.effects["kept"] != 1 {
				t.Errorf("got effects %v", e.effects)
			}
		})
	}
}

// TestAnchorExpiredAboveHole: where some behind the anchor are finished and some are not, nobody knows which: the shard stops. Others go on.
func TestAnchorExpiredAboveHole(t *testing.T) {
	for _, strict := range []bool{false, true} {
		t.Run(fmt.Sprintf("strict=%v", strict), func(t *testing.T) {
			f := newFake()
			f.strict = strict
			f.create("s", 1)
			f.create("other", 1)
			e := newEngine(t)
			e.hold = holdSome
			f.put("s", "a", "first")
			stop := run(t, f.config(observe(t), "s", "other"), e)
			e.untilEffects(1)
			f.put("s", "h", "hold")
			f.put("s", "a", "above")
			e.untilEffects(2)
			e = e.crash()
			stop()
			f.trim("s", 0, 1)
			o := observe(t)
			stop = run(t, f.config(o, "s", "other"), e)
			text := o.untilDegraded("position is lost")
			if !strings.Contains(text, "give the ingress another id") {
				t.Errorf("got %q, want it to say what to do", text)
			}
			f.put("other", "a", "other")
			e.untilEffects(3)
			stop()
			if e.effects["above"] != 1 {
				t.Errorf("got effects %v", e.effects)
			}
		})
	}
}

// TestStopLeavesAnchor: a gateway that was stopped in good order goes on although its last record left the stream.
func TestStopLeavesAnchor(t *testing.T) {
	f := newFake()
	f.create("s", 1)
	e := newEngine(t)
	e.hold = holdSome
	cfg := f.config(observe(t), "s")
	cfg.pace.settled = time.Hour
	f.put("s", "a", "first")
	stop := run(t, cfg, e)
	e.untilEffects(1)
	f.put("s", "h", "hold")
	f.put("s", "a", "above")
	e.untilEffects(2)
	stop()
	if a, _ := parseAnchor(e.progress[source("s", 0)].TopicID); a.next != 3 {
		t.Errorf("got anchor %+v, want it behind all three records", a)
	}
	if e.effects["hold"] != 1 {
		t.Errorf("what is not finished is not kept: %v", e.effects)
	}
	e = e.crash()
	f.put("s", "a", "new")
	f.trim("s", 0, 1)
	run(t, cfg, e)
	e.untilEffects(4)
}

// TestStopInDoubt: where it is not known whether the engine has taken records, the anchor stays: they would be read again behind it.
func TestStopInDoubt(t *testing.T) {
	f := newFake()
	f.create("s", 1)
	e := newEngine(t)
	cfg := f.config(observe(t), "s")
	cfg.pace.settled = time.Hour
	f.put("s", "a", "v1")
	stop := run(t, cfg, e)
	e.untilEffects(1)
	f.put("s", "a", "v1b") // behind the anchor
	e.untilEffects(2)
	e.mu.Lock()
	e.late = true
	e.mu.Unlock()
	f.put("s", "a", "v2")
	e.untilEffects(3)
	stop()
	e = e.crash()
	f.put("s", "a", "v3")
	run(t, cfg, e)
	e.untilEffects(4)
}

func FuzzParseAnchor(f *testing.F) {
	f.Add("after 49 4955 7 5")
	f.Add("time 49 17")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseAnchor(s)
		if err != nil {
			return
		}
		again, err := parseAnchor(a.String())
		if err != nil || again != a {
			t.Errorf("%q: got %+v, then %+v, %v", s, a, again, err)
		}
	})
}
