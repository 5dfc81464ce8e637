//go:build linux

package main

import (
	"fmt"
	"io"
	"math"
	"strings"
	"text/tabwriter"
)

// target is what was hoped for. measured is NaN when the report has not what it takes.
type target struct {
	store    string
	what     string
	limit    float64
	more     bool // at least, not at most
	measured func(r *report) float64
	floor    string // that it is compared with; in doubt where that is
}

// of reads one measure of the gateway's cell.
func of(store, workload, mode, semantic, name string) func(*report) float64 {
	return func(r *report) float64 {
		v, ok := r.find(cell{Subject: gatewaySubject, Store: store, Workload: workload, Mode: mode, Semantic: semantic}, name)
		if !ok {
			return math.NaN()
		}
		return v
	}
}

// toFloor is the gateway's figure over a floor's, in bulk, exactly once, on PostgreSQL.
func toFloor(subject, workload, name string) func(*report) float64 {
	return func(r *report) float64 {
		floor, ok := r.find(cell{Subject: subject, Store: postgresStore, Workload: workload, Mode: bulk, Semantic: exactlyOnce}, name)
		if !ok {
			return math.NaN()
		}
		return of(postgresStore, workload, bulk, exactlyOnce, name)(r) / floor
	}
}

func difference(a, b func(*report) float64) func(*report) float64 {
	return func(r *report) float64 { return a(r) - b(r) }
}

func ratio(a, b func(*report) float64) func(*report) float64 {
	return func(r *report) float64 { return a(r) / b(r) }
}

const (
	slowRate = latencyWorkload + "20/s"
	fastRate = latencyWorkload + "1500/s"
)

var targets = []target{
	{postgresStore, "count in bulk: CPU of gateway and store, times the floor's", 1.5, false, toFloor(floorSubject, countWorkload, "both_us"), floorSubject},
	{postgresStore, "count in bulk: CPU of gateway and store, times that of the floor with its own batches", 1.5, false, toFloor(ownSubject, countWorkload, "both_us"), ownSubject},
	{postgresStore, "count in bulk: CPU of gateway and store, us", 17, false, of(postgresStore, countWorkload, bulk, exactlyOnce, "both_us"), ""},
	{postgresStore, "count in bulk: records/s", 53_000, true, of(postgresStore, countWorkload, bulk, exactlyOnce, "records_per_second"), ""},
	{postgresStore, "count, a request per call: CPU of gateway and store, us", 110, false, of(postgresStore, countWorkload, single, exactlyOnce, "both_us"), ""},
	{postgresStore, "chain of 3, a request per call: CPU of gateway and store, us", 260, false, of(postgresStore, chainWorkload, single, exactlyOnce, "both_us"), ""},
	{postgresStore, "chain of 3 in bulk: CPU of gateway and store, us", 45, false, of(postgresStore, chainWorkload, bulk, exactlyOnce, "both_us"), ""},
	{postgresStore, "hot key: CPU of gateway and store, us", 6, false, of(postgresStore, hotWorkload, batch, exactlyOnce, "both_us"), ""},
	{postgresStore, "1,500/s: p50, times the floor's", 1.5, false, toFloor(floorSubject, fastRate, "p50_ms"), floorSubject},
	{postgresStore, "1,500/s: p99, ms", 95, false, of(postgresStore, fastRate, bulk, exactlyOnce, "p99_ms"), ""},
	{postgresStore, "20/s: p50, ms", 15, false, of(postgresStore, slowRate, bulk, exactlyOnce, "p50_ms"), ""},
	{postgresStore, "1,500/s at least once: p50, ms", 8, false, of(postgresStore, fastRate, bulk, atLeastOnce, "p50_ms"), ""},
	{postgresStore, "1,500/s at least once: p99, ms", 30, false, of(postgresStore, fastRate, bulk, atLeastOnce, "p99_ms"), ""},
	{sqliteStore, "HTTP call, idle: p50 above that of the bare function, ms", 1.5, false,
		difference(of(sqliteStore, httpWorkload, bulk, exactlyOnce, "p50_ms"), of(sqliteStore, httpWorkload, bulk, exactlyOnce, "bare_p50_ms")), ""},
	{postgresStore, "kill -9: time without an output, ms", 1000, false, of(postgresStore, killWorkload, bulk, exactlyOnce, "gap_ms"), ""},
	{sqliteStore, "kill -9: time without an output, ms", 1000, false, of(sqliteStore, killWorkload, bulk, exactlyOnce, "gap_ms"), ""},
	{sqliteStore, "start to ready, ms", 500, false, of(sqliteStore, idleWorkload, bulk, exactlyOnce, "ready_ms"), ""},
	{postgresStore, "idle: CPU ms per second", 5, false, of(postgresStore, idleWorkload, bulk, exactlyOnce, "idle_cpu_ms"), ""},
	{sqliteStore, "idle: CPU ms per second", 5, false, of(sqliteStore, idleWorkload, bulk, exactlyOnce, "idle_cpu_ms"), ""},
	{postgresStore, "count in bulk: resident memory, MiB", 150, false, of(postgresStore, countWorkload, bulk, exactlyOnce, "resident_mib"), ""},
	{postgresStore, "1 million keys: throughput, times that of 1 thousand (growth)", 0.7, true,
		ratio(of(postgresStore, keysGrowth(1_000_000), bulk, exactlyOnce, "records_per_second"), of(postgresStore, keysGrowth(1000), bulk, exactlyOnce, "records_per_second")), ""},
}

// targets prints what was hoped for beside what was measured, and names the rest in a line.
func (r *report) targets(out io.Writer) {
	fmt.Fprintln(out, "\ntargets (a figure of records per second or of time counts on a quiet machine only; in doubt: the floor that it is compared with may be none)")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	var not []string
	shown := false
	for _, t := range targets {
		v := t.measured(r)
		what := t.store + ": " + t.what
		if math.IsNaN(v) {
			not = append(not, what)
			continue
		}
		if !shown {
			fmt.Fprintln(w, "what\ttarget\tmeasured\tmet")
			shown = true
		}
		sign, met := "<=", v <= t.limit
		if t.more {
			sign, met = ">=", v >= t.limit
		}
		text := map[bool]string{true: "yes", false: "no"}[met]
		if t.floor != "" && r.doubted(t.floor) {
			text = "in doubt"
		}
		fmt.Fprintf(w, "%s\t%s %g\t%s\t%s\n", what, sign, t.limit, figure(v), text)
	}
	w.Flush()
	switch len(not) {
	case 0:
	case len(targets):
		fmt.Fprintln(out, "nothing was measured that one of them is about")
	default:
		fmt.Fprintf(out, "not measured: %s\n", strings.Join(not, "; "))
	}
}
