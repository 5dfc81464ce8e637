// Package logs is between the program and what writes its log: it counts lines, lets their level be changed while the program runs, and
// sums up what repeats. It never changes what a line says, and writes nothing by itself but how many lines it has left out.
package logs

import (
	"context"
	"log/slog"
	"sync/atomic"
)

// Log is the log of one program.
type Log struct {
	// Level is the least important level that is written.
	Level slog.LevelVar

	counted atomic.Pointer[func(slog.Level)]
	repeats repeats
}

// New makes the log of what writes lines of a level and above. Its level begins as given.
func New(level slog.Level, writer func(slog.Leveler) slog.Handler) *Log {
	l := &Log{}
	l.Level.Set(level)
	l.repeats = repeats{next: counting{writer(&l.Level), l}, kinds: map[name]*kind{}}
	return l
}

// Logger is by what the program writes.
func (l *Log) Logger() *slog.Logger {
	return slog.New(handler{next: l.repeats.next, repeats: &l.repeats})
}

// Count says who counts the lines that are written from now on.
func (l *Log) Count(count func(slog.Level)) { l.counted.Store(&count) }

// counting is the way of each line to who writes it.
type counting struct {
	slog.Handler
	log *Log
}

func (c counting) Handle(ctx context.Context, r slog.Record) error {
	if count := c.log.counted.Load(); count != nil {
		(*count)(r.Level)
	}
	return c.Handler.Handle(ctx, r)
}

func (c counting) WithAttrs(attrs []slog.Attr) slog.Handler {
	return counting{c.Handler.WithAttrs(attrs), c.log}
}

func (c counting) WithGroup(name string) slog.Handler {
	return counting{c.Handler.WithGroup(name), c.log}
}
