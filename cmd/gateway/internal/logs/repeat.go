package logs

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// Warnings and errors that say the same are written linesMax times in a window; of the rest its end tells how many there were. What says
// the same is a matter of the text without its numbers: the partitions of a topic fail by the thousand.
const (
	window   = time.Minute
	linesMax = 20
	kindsMax = 1000 // beyond them all of a level share one
	textMax  = 200  // bytes of a text that tell it from others, and are kept
)

// LeftOut is the text of the line that tells how many others were not written.
const LeftOut = "more lines like one above were left out"

// repeats knows what was written in the present windows.
type repeats struct {
	next slog.Handler

	mu    sync.Mutex
	kinds map[name]*kind // guarded by mu
}

// name tells a kind from others. Without a text it is that of all for which there was no room.
type name struct {
	level slog.Level
	text  string // its beginning, without numbers
}

// kind is what says the same.
type kind struct {
	like    string     // its text, as it was first; never changed
	level   slog.Level // the highest of those that are left out
	ends    time.Time
	written int
	left    int // since the line was written that tells of them; not 0: a timer runs
}

// due reports whether a line is written now.
func (s *repeats) due(level slog.Level, text string, now time.Time) bool {
	text = strings.ToValidUTF8(strings.Clone(text[:min(len(text), textMax)]), "")
	as := name{level, withoutNumbers(text)}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.kinds[as]
	if k == nil && len(s.kinds) >= kindsMax {
		s.forget(now)
		if len(s.kinds) >= kindsMax {
			as.text, text = "", "several"
			k = s.kinds[as]
		}
	}
	if k == nil {
		k = &kind{like: text}
		s.kinds[as] = k
	}
	if !now.Before(k.ends) && k.left == 0 {
		k.ends, k.written = now.Add(window), 0
	}
	if k.written < linesMax {
		k.written++
		return true
	}
	k.level = max(k.level, level)
	if k.left++; k.left == 1 {
		time.AfterFunc(k.ends.Sub(now), func() { s.tell(k) })
	}
	return false
}

// tell writes how many lines were left out.
func (s *repeats) tell(k *kind) {
	now := time.Now()
	s.mu.Lock()
	level, left := k.level, k.left
	k.level, k.left, k.written, k.ends = 0, 0, 0, now.Add(window)
	s.mu.Unlock()
	r := slog.NewRecord(now, level, LeftOut, 0)
	r.AddAttrs(slog.String("like", k.like), slog.Int("lines", left))
	if ctx := context.Background(); s.next.Enabled(ctx, level) {
		_ = s.next.Handle(ctx, r) // there is nobody to tell that the log cannot be written
	}
}

// forget drops what has not been said for a window. The one that holds mu calls it.
func (s *repeats) forget(now time.Time) {
	for as, k := range s.kinds {
		if k.left == 0 && !now.Before(k.ends) {
			delete(s.kinds, as)
		}
	}
}

func withoutNumbers(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return -1
		}
		return r
	}, text)
}

// handler lets pass what is due.
type handler struct {
	next    slog.Handler
	repeats *repeats
}

func (h handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.next.Enabled(ctx, level)
}

func (h handler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn && !h.repeats.due(r.Level, r.Message, time.Now()) {
		return nil
	}
	return h.next.Handle(ctx, r)
}

func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.next.WithAttrs(attrs), h.repeats}
}

func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.next.WithGroup(name), h.repeats}
}
