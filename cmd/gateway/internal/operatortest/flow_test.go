//go:build linux

package operatortest

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// flow is clients that send an event each in turn, all the time, at a rate that leaves the machine room. An event is answered by the
// commit that holds it.
type flow struct {
	t    *testing.T
	url  string
	stop chan struct{}
	done sync.WaitGroup

	mu   sync.Mutex
	took []time.Duration // since the last cut; guarded by mu
}

const (
	flowClients = 4
	flowEvery   = 20 * time.Millisecond // of each
)

func startFlow(t *testing.T, url string) *flow {
	t.Helper()
	f := &flow{t: t, url: url, stop: make(chan struct{})}
	for n := range flowClients {
		f.done.Go(func() { f.send(n) })
	}
	t.Cleanup(f.end)
	return f
}

func (f *flow) end() {
	select {
	case <-f.stop:
	default:
		close(f.stop)
	}
	f.done.Wait()
}

func (f *flow) send(n int) {
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	turn := time.NewTicker(flowEvery)
	defer turn.Stop()
	for i := 0; ; i++ {
		select {
		case <-f.stop:
			return
		case <-turn.C:
		}
		start := time.Now()
		resp, err := client.Post(fmt.Sprintf("%s/v1/send/scale/flow/%d-%d", f.url, n, i%50), "text/plain", strings.NewReader("event"))
		if err != nil {
			f.t.Errorf("an event of the flow: %v", err)
			return
		}
		said, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if resp.StatusCode/100 != 2 {
			f.t.Errorf("an event of the flow: %s %s", resp.Status, said)
			return
		}
		f.mu.Lock()
		f.took = append(f.took, time.Since(start))
		f.mu.Unlock()
	}
}

// part is what a part of the flow was like.
type part struct {
	events      int
	half, worst time.Duration // the median, and what one in a hundred takes
	resident    int           // MiB, the most that was seen
}

func (p part) String() string {
	return fmt.Sprintf("%d events, half of them within %.1f ms, 99 of 100 within %.1f ms; at most %d MiB resident", p.events, ms(p.half), ms(p.worst), p.resident)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// during measures the flow while do runs.
func (f *flow) during(g *testgateway.Gateway, do func()) part {
	f.t.Helper()
	f.mu.Lock()
	f.took = nil
	f.mu.Unlock()
	most, over := make(chan int), make(chan struct{})
	go func() {
		seen := 0
		for tick := time.NewTicker(20 * time.Millisecond); ; {
			seen = max(seen, resident(g.Process.PID()))
			select {
			case <-tick.C:
			case <-over:
				tick.Stop()
				most <- seen
				return
			}
		}
	}()
	do()
	testgateway.Poll(f.t, "the flow to go on", func() (bool, string) { // what do does may be done before any event is
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.took) > 0, "no event"
	})
	close(over)
	p := part{resident: <-most}
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.Sort(f.took)
	p.events = len(f.took)
	p.half, p.worst = f.took[p.events/2], f.took[p.events*99/100]
	return p
}

// resident is the memory of a process in MiB; 0 when it has gone.
func resident(pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	var size, pages int
	if _, err := fmt.Sscan(string(text), &size, &pages); err != nil {
		return 0
	}
	return pages * os.Getpagesize() >> 20
}
