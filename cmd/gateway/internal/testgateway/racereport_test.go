//go:build unix

package testgateway

import "testing"

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
