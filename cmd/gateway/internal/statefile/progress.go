package statefile

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// Progress tells people how far a long piece of work is: on a terminal by one line that changes, elsewhere by a line now and
// then. A nil one tells nothing.
type Progress struct {
	out      io.Writer
	verb     string // "exported"
	terminal bool
	began    time.Time

	mu    sync.Mutex
	n     int64     // guarded by mu
	told  time.Time // guarded by mu
	shown bool      // guarded by mu; the terminal's line has something on it
}

// How often it is told.
const (
	terminalEvery = 200 * time.Millisecond
	logEvery      = 5 * time.Second
)

// NewProgress begins to count.
func NewProgress(out io.Writer, verb string, terminal bool) *Progress {
	now := time.Now()
	return &Progress{out: out, verb: verb, terminal: terminal, began: now, told: now}
}

func (p *Progress) add(n int64) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += n
	now := time.Now()
	every := logEvery
	if p.terminal {
		every = terminalEvery
	}
	if now.Sub(p.told) < every {
		return
	}
	p.told = now
	text := fmt.Sprintf("%s %d values, %.0f/s", p.verb, p.n, rate(p.n, now.Sub(p.began)))
	if p.terminal {
		p.shown = true
		fmt.Fprintf(p.out, "\r\x1b[K%s", text)
		return
	}
	fmt.Fprintln(p.out, text)
}

// Clear makes room on a terminal for something else.
func (p *Progress) Clear() {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown {
		p.shown = false
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// Took is the time since it began.
func (p *Progress) Took() time.Duration { return time.Since(p.began) }

func rate(n int64, d time.Duration) float64 { return float64(n) / max(d.Seconds(), 0.001) }
