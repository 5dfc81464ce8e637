package main

import (
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// tellOfEnd waits beside a gateway for the second signal, which ends it before its stop has: the log says so, and the process ends by that
// signal, as whoever sent it expects. end ends the waiting.
func tellOfEnd(log *slog.Logger) (end func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM) // the first one, too: from then on none goes by unseen
	over := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Go(func() {
		for told := false; ; told = true {
			select {
			case s := <-signals:
				if told {
					log.Warn("told to stop again: the gateway ends at once, and waits for nothing more", "signal", s.String())
					endBy(s)
				}
			case <-over:
				return
			}
		}
	})
	return func() {
		signal.Stop(signals)
		close(over)
		waiting.Wait()
	}
}

// endBy ends the process by a signal that somebody has sent; where that does nothing to it, as an interrupt to what a script has put into the
// background, which begins with it ignored, as it would have.
func endBy(s os.Signal) {
	signal.Reset(s)
	if self, err := os.FindProcess(os.Getpid()); err == nil && self.Signal(s) == nil {
		time.Sleep(endMax) // it comes
	}
	code := exitFailed
	if n, ok := s.(syscall.Signal); ok {
		code = 128 + int(n) // as shells say that a signal ended it
	}
	os.Exit(code)
}

// endMax is how long the signal may take to come.
const endMax = 100 * time.Millisecond
