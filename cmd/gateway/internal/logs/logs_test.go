package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// written is a log and what it has written, a line each.
func written(level slog.Level) (*Log, func() []map[string]any) {
	var b guarded
	l := New(level, func(level slog.Leveler) slog.Handler {
		return slog.NewJSONHandler(&b, &slog.HandlerOptions{Level: level})
	})
	return l, func() (lines []map[string]any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for line := range strings.Lines(b.String()) {
			var fields map[string]any
			if err := json.Unmarshal([]byte(line), &fields); err != nil {
				panic(err)
			}
			lines = append(lines, fields)
		}
		b.Reset()
		return lines
	}
}

// guarded is a buffer for lines that a timer writes, too.
type guarded struct {
	mu sync.Mutex
	bytes.Buffer
}

func (g *guarded) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.Buffer.Write(p)
}

// TestRepeats: what fails for long is some lines a minute, none is lost from the count, and other lines are not held up.
func TestRepeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, lines := written(slog.LevelInfo)
		log := l.Logger().With("lane", "x")
		const minutes, perSecond = 10, 20
		for second := range minutes * 60 {
			for i := range perSecond {
				log.Warn(fmt.Sprintf("partition %d cannot be read", i), "second", second)
			}
			time.Sleep(time.Second)
		}
		log.Warn("another line")
		time.Sleep(window + time.Second)
		synctest.Wait()
		own, leftOut, told := 0, 0.0, 0
		for _, line := range lines() {
			switch line["msg"] {
			case "another line":
			case LeftOut:
				told++
				leftOut += line["lines"].(float64)
				if line["level"] != "WARN" || line["like"] != "partition 0 cannot be read" {
					t.Errorf("got %v", line)
				}
			default:
				own++
				if line["lane"] != "x" {
					t.Errorf("got %v", line)
				}
			}
		}
		if all := minutes * 60 * perSecond; own+int(leftOut) != all || own > (minutes+1)*linesMax || own < minutes*linesMax/2 || told > minutes+1 {
			t.Errorf("%d lines, and %d tell of %v others; want %d together", own, told, leftOut, all)
		}
		log.Warn("partition 7 cannot be read")
		if got := lines(); len(got) != 1 || got[0]["msg"] != "partition 7 cannot be read" {
			t.Errorf("after a quiet minute: %v", got)
		}
	})
}

// TestNothingIsLeftOutBelowWarnings, for what happens once for each of many things is no failure.
func TestNothingIsLeftOutBelowWarnings(t *testing.T) {
	l, lines := written(slog.LevelDebug)
	for range 10 * linesMax {
		l.Logger().Info("source begins")
		l.Logger().Debug("call failed")
	}
	if n := len(lines()); n != 20*linesMax {
		t.Errorf("%d lines", n)
	}
}

// TestKindsAreBounded: texts without end do not fill the memory.
func TestKindsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, lines := written(slog.LevelInfo)
		for i := range 10 * kindsMax {
			l.Logger().Warn(strings.Map(func(r rune) rune { return r - '0' + 'a' }, fmt.Sprint(i)))
		}
		if n := len(l.repeats.kinds); n != kindsMax+1 {
			t.Errorf("%d kinds", n)
		}
		if n := len(lines()); n != kindsMax+linesMax {
			t.Errorf("%d lines", n)
		}
		l.Logger().Error("of another level")
		if got := lines(); len(got) != 1 || got[0]["msg"] != "of another level" {
			t.Errorf("warnings leave no room for an error: %v", got)
		}
		time.Sleep(window + time.Second)
		synctest.Wait()
		if got := lines(); len(got) != 1 || got[0]["lines"] != float64(9*kindsMax-linesMax) {
			t.Errorf("at the end of the window: %v", got)
		}
		time.Sleep(window)
		l.Logger().Warn("new")
		if n := len(l.repeats.kinds); n > 2 {
			t.Errorf("%d kinds after a quiet window", n)
		}
	})
}

// TestLongTextsAreCut: what is kept of a text is short, however long it is, and what begins alike is alike.
func TestLongTextsAreCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, lines := written(slog.LevelInfo)
		long := strings.Repeat("long é", 1<<10)
		for i := range 2 * linesMax {
			l.Logger().Warn(long + strings.Repeat("x", i))
		}
		for as, k := range l.repeats.kinds {
			if len(as.text) > textMax || len(k.like) > textMax {
				t.Errorf("%d and %d bytes are kept", len(as.text), len(k.like))
			}
		}
		time.Sleep(window + time.Second)
		synctest.Wait()
		got := lines()
		last := got[len(got)-1]
		if len(got) != linesMax+1 || last["lines"] != float64(linesMax) || !strings.HasPrefix(long, last["like"].(string)) {
			t.Errorf("%d lines, at last %v", len(got), last)
		}
	})
}

// TestLevel: it counts from the next line on, also for loggers that were made before, and lines are counted as they are written.
func TestLevel(t *testing.T) {
	l, lines := written(slog.LevelInfo)
	log := l.Logger().WithGroup("g").With("a", 1)
	counts := map[slog.Level]int{}
	l.Count(func(level slog.Level) { counts[level]++ })
	say := func() {
		log.Debug("d")
		log.Info("i")
		log.Error("e")
	}
	say()
	l.Level.Set(slog.LevelDebug)
	say()
	l.Level.Set(slog.LevelError)
	say()
	if n := len(lines()); n != 6 {
		t.Errorf("%d lines", n)
	}
	if want := map[slog.Level]int{slog.LevelDebug: 1, slog.LevelInfo: 2, slog.LevelError: 3}; !maps.Equal(counts, want) {
		t.Errorf("counted %v, want %v", counts, want)
	}
}
