//go:build unix

package chaos

import (
	"sync"
	"time"
)

// progressEvery is how often a run says how far it is.
const progressEvery = 10 * time.Second

// progress is how far a run is.
type progress struct {
	mu           sync.Mutex
	blows, kills int
	now          string
}

// progress changes what is said next.
func (a *arena) progress(change func(p *progress)) {
	a.far.mu.Lock()
	defer a.far.mu.Unlock()
	change(&a.far)
}

// report says again and again how far the run is, until stop.
func (a *arena) report(steps int) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		for {
			select {
			case <-end:
				return
			case <-tick.C:
			}
			called, acked, _ := a.ledger.counts()
			a.far.mu.Lock()
			a.t.Logf("%4.0f s: blow %d of %d, %d kills, %d events (%d acknowledged), %d outputs; now %s",
				a.ledger.now().Seconds(), a.far.blows+1, steps, a.far.kills, called, acked, a.out.count(), a.far.now)
			a.far.mu.Unlock()
		}
	}()
	return sync.OnceFunc(func() { close(end); <-ended })
}
