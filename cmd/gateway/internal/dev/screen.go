package dev

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
)

// screen shows lines, one after the other. Whoever has something to say never waits for the terminal: what does not fit is counted.
type screen struct {
	out    io.Writer
	colour bool

	mu    sync.Mutex
	lines []string      // guarded by mu
	lost  int           // guarded by mu
	ended bool          // guarded by mu
	wake  chan struct{} // has a token when there is something to write, or the end
	done  chan struct{}
}

// linesMax bounds what waits for a terminal that stands still.
const linesMax = 10_000

func newScreen(out io.Writer, colour bool) *screen {
	s := &screen{out: out, colour: colour, wake: make(chan struct{}, 1), done: make(chan struct{})}
	go s.write()
	return s
}

// tone is a colour.
type tone string

const (
	plain  tone = ""
	came   tone = "36" // cyan
	called tone = "34" // blue
	kept   tone = "33" // yellow
	went   tone = "35" // magenta
	left   tone = "32" // green
	bad    tone = "31" // red
	dim    tone = "2"
)

func (s *screen) paint(t tone, text string) string {
	if !s.colour || t == plain {
		return text
	}
	return "\x1b[" + string(t) + "m" + text + "\x1b[0m"
}

// step is one line of what happens.
func (s *screen) step(t tone, what, format string, args ...any) {
	s.put(s.paint(t, fmt.Sprintf("%-6s", what)) + " " + fmt.Sprintf(format, args...))
}

// said is one line of a program's output.
func (s *screen) said(name, text string) { s.put(s.paint(dim, name+" |") + " " + text) }

// log writes what the gateway's own log says.
func (s *screen) log(level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(logged{s}, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// logged is where a log is written.
type logged struct{ *screen }

func (l logged) Write(b []byte) (int, error) {
	l.step(bad, "log", "%s", strings.TrimSuffix(string(b), "\n"))
	return len(b), nil
}

// print shows text as it is.
func (s *screen) print(format string, args ...any) {
	for line := range strings.Lines(fmt.Sprintf(format, args...)) {
		s.put(strings.TrimSuffix(line, "\n"))
	}
}

func (s *screen) put(line string) {
	s.mu.Lock()
	if len(s.lines) < linesMax && !s.ended {
		s.lines = append(s.lines, line)
	} else {
		s.lost++
	}
	s.mu.Unlock()
	s.rouse()
}

func (s *screen) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

func (s *screen) write() {
	defer close(s.done)
	for range s.wake {
		s.mu.Lock()
		lines, lost, ended := s.lines, s.lost, s.ended
		s.lines, s.lost = nil, 0
		s.mu.Unlock()
		var b strings.Builder
		for _, l := range lines {
			b.WriteString(l + "\n")
		}
		if lost > 0 && !ended {
			fmt.Fprintf(&b, "(%d more lines are not shown)\n", lost)
		}
		_, _ = io.WriteString(s.out, b.String())
		if ended {
			return
		}
	}
}

// close returns when all is written.
func (s *screen) close() {
	s.mu.Lock()
	s.ended = true
	s.mu.Unlock()
	s.rouse()
	<-s.done
}
