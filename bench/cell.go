//go:build linux

package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
)

// cell is one thing that was measured, and what each run of it has shown. All but the values is its identity: compare looks for
// the cell of the other report that has the same.
type cell struct {
	Subject  string `json:"subject"` // gateway, or one of the floors
	Store    string `json:"store"`
	Workload string `json:"workload"`
	Mode     string `json:"mode"`     // single, batch or bulk
	Semantic string `json:"semantic"` // of the egress
	// Measures are values by the name of the measure, one of each run.
	Measures map[string][]float64 `json:"measures"`
}

func (c *cell) id() string {
	return fmt.Sprintf("%s %s %s %s %s", c.Subject, c.Store, c.Workload, c.Mode, c.Semantic)
}

// measure is one column.
type measure struct {
	name, title string
	more        bool // better when it is more
	// told: it says something of the circumstances, and is neither good nor bad.
	told bool
}

// measures are all that there are, in the order in which tables show them.
var measures = []measure{
	{name: "records_per_second", title: "records/s", more: true},
	{name: "program_us", title: "program"},
	{name: "store_us", title: "store"},
	{name: "both_us", title: "both"},
	{name: "kafka_us", title: "kafka"},
	{name: "function_us", title: "function"},
	{name: "p50_ms", title: "p50"},
	{name: "p99_ms", title: "p99"},
	{name: "max_ms", title: "max"},
	{name: "bare_p50_ms", title: "bare p50"},
	{name: "gap_ms", title: "gap"},
	{name: "ready_ms", title: "ready"},
	{name: "idle_cpu_ms", title: "idle CPU"},
	{name: "recovery_ms", title: "recovery"},
	{name: "allocs", title: "allocs"},
	{name: "alloc_bytes", title: "bytes"},
	{name: "store_bytes", title: "written"},
	{name: "store_rows", title: "rows"},
	{name: "resident_mib", title: "MiB"},
	{name: "limit_mib", title: "limit", told: true},
	{name: "records_per_commit", title: "rec/commit", told: true},
	{name: "calls_per_record", title: "calls", told: true},
	{name: "calls_per_request", title: "calls/req", told: true},
	{name: "oldest_ms", title: "oldest"},
	{name: "asked_per_second", title: "asked/s", told: true},
	{name: "refused_per_second", title: "refused/s", told: true},
	{name: "unsent_per_second", title: "not sent/s", told: true},
	{name: "unknown", title: "unknown", told: true},
	{name: "stored_mib", title: "stored MiB"},
	{name: "room_kib_1", title: "KiB 1"},
	{name: "room_kib_2", title: "KiB 2"},
	{name: "room_kib_3", title: "KiB 3"},
	{name: "dead_rows_1", title: "dead 1"},
	{name: "dead_rows_2", title: "dead 2"},
	{name: "dead_rows_3", title: "dead 3"},
	{name: "live_rows_3", title: "live", told: true},
	{name: "in_place_3", title: "in place %", told: true},
	{name: "others_percent", title: "others %", told: true},
}

func measureOf(name string) measure {
	if i := slices.IndexFunc(measures, func(m measure) bool { return m.name == name }); i >= 0 {
		return measures[i]
	}
	return measure{name: name, title: name, told: true}
}

// median of the runs; NaN when it was not measured.
func (c *cell) median(name string) float64 { return median(c.Measures[name]) }

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// spread is how far the runs lie from their median at most, as a part of it; 0 with one run.
func spread(values []float64) float64 {
	m, far := median(values), 0.0
	if len(values) == 0 || m == 0 {
		return 0
	}
	for _, v := range values {
		far = max(far, math.Abs(v-m)/math.Abs(m))
	}
	return far
}

// figure writes a value with three digits that count, or all before the point.
func figure(v float64) string {
	switch a := math.Abs(v); {
	case math.IsNaN(v):
		return "-"
	case a >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}
