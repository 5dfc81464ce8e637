//go:build unix

package killtest

import (
	"os"
	"strings"
	"testing"
)

// ownRaces finds the races that a gateway's log reports in which its own code touches the memory. The Kafka client has races of its own
// (sarama 1.61.1: the state of a transaction when a batch fails), which are not ours to mend.
func ownRaces(log string) (own []string) {
	reports := strings.Split(log, "WARNING: DATA RACE\n")
	for _, report := range reports[1:] {
		report, _, _ = strings.Cut(report, "==================")
		for _, stack := range strings.Split(report, "\n\n") { // of the two accesses, then of who started the goroutines
			if !strings.HasPrefix(stack, "Goroutine ") && strings.Contains(stack, "github.com/stategate/stategate/") {
				own = append(own, report)
				break
			}
		}
	}
	return own
}

// checkRaces fails the test when the gateway has raced.
func (g *gateway) checkRaces() {
	g.t.Helper()
	if !raced {
		return
	}
	log, err := os.ReadFile(g.log)
	if err != nil {
		return // it was never started
	}
	for _, report := range ownRaces(string(log)) {
		g.t.Errorf("%s: data race:\n%s", g.name, report)
	}
}

func TestOwnRaces(t *testing.T) {
	const ours, theirs = "  github.com/stategate/stategate/egress/kafka.(*Relay).x()\n      /r.go:1 +0x1\n", "  github.com/IBM/sarama.y()\n      /s.go:1 +0x1\n"
	report := func(first, second, created string) string {
		return "x\n==================\nWARNING: DATA RACE\nWrite at 0x1 by goroutine 1:\n" + first + "\nPrevious read at 0x1 by goroutine 2:\n" + second +
			"\nGoroutine 1 (running) created at:\n" + created + "==================\nmore " + ours
	}
	for _, c := range []struct {
		log  string
		want int
	}{{"", 0}, {report(theirs, theirs, ours), 0}, {report(ours, theirs, theirs), 1}, {report(theirs, ours, theirs), 1}, {report(theirs, theirs+ours, theirs) + report(ours, ours, ours), 2}} {
		if got := ownRaces(c.log); len(got) != c.want {
			t.Errorf("got %d races, want %d, in\n%s", len(got), c.want, c.log)
		}
	}
}
