//go:build linux

package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// The smallest runs of the other commands: each of their cells is there.
func TestSmallestTroubles(t *testing.T) {
	needKafka(t)
	for _, tt := range []struct {
		args  []string
		cells map[string][]string // measures by the beginning of the workload
	}{
		{[]string{"growth", "-scale", "0.002", "-what", "keys,outbox,mailbox,timers"}, map[string][]string{
			"growth 1000 keys":            {"records_per_second", "allocs"},
			"growth outbox of 2000, work": {"records_per_second"}, "growth outbox of 2000, grow": {"records_per_second"},
			"growth mailbox of 2000, work": {"records_per_second"}, "growth timers of 2000, fired": {"records_per_second", "resident_mib"},
		}},
		{[]string{"overload", "-for", "600ms", "-records", "2000", "-rate", "200", "-what", "input,calls,events,kafka"}, map[string][]string{
			"overload input at 3 times": {"records_per_second", "resident_mib"}, "overload input: at once": {"p99_ms"},
			"overload input at 3 times the capacity, third 3": {"asked_per_second"},
			"overload calls by HTTP: the capacity":            {"records_per_second", "resident_mib"}, "overload calls by HTTP: at once": {"records_per_second", "p99_ms"},
			"overload events by HTTP: at once": {"records_per_second", "p99_ms"}, "overload events by HTTP at 3 times the capacity, third 2": {"asked_per_second"},
			"overload Kafka away": {"gap_ms", "recovery_ms", "resident_mib"},
		}},
		{[]string{"steady", "-for", "1500ms", "-rate", "100"}, map[string][]string{
			"steady 100/s, third 1": {"p50_ms", "resident_mib", "stored_mib"}, "steady 100/s, third 3": {"p50_ms", "resident_mib", "stored_mib"},
		}},
	} {
		path := filepath.Join(t.TempDir(), "result.json")
		if err := command(t.Context(), append(tt.args, "-store", "sqlite", "-gateway", builtGateway(t), "-json", path), new(bytes.Buffer)); err != nil {
			t.Errorf("%v: %v", tt.args, err)
			continue
		}
		r, err := readReport(path)
		if err != nil {
			t.Fatal(err)
		}
		for begin, names := range tt.cells {
			found := false
			for _, c := range r.Cells {
				if !strings.HasPrefix(c.Workload, begin) {
					continue
				}
				found = true
				for _, name := range names {
					short := strings.Contains(c.Workload, ", third ") // of 200 ms: nothing may have come, or have been looked at
					if v := c.median(name); !(v > 0 || v == 0 && short) {
						t.Errorf("%s: %s is %v", c.id(), name, v)
					}
				}
			}
			if !found {
				t.Errorf("%v: there is no %q", tt.args, begin)
			}
		}
	}
}
