//go:build unix

package testgateway

import (
	"os"
	"strings"
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
func (g *Gateway) checkRaces() {
	g.t.Helper()
	if !raced {
		return
	}
	log, err := os.ReadFile(g.Log)
	if err != nil {
		return // it was never started
	}
	for _, report := range ownRaces(string(log)) {
		g.t.Errorf("%s: data race:\n%s", g.Name, report)
	}
}
