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

// millionKeys is the throughput with a million keys over that with a thousand.
func millionKeys(mode string) func(*report) float64 {
	of := func(keys int) func(*report) float64 {
		return of(postgresStore, keysGrowth(keys), mode, exactlyOnce, "records_per_second")
	}
	return ratio(of(1_000_000), of(1000))
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

// thirdOf says which third of a load a workload is: "third 2 of ...".
func thirdOf(n int) string { return fmt.Sprintf("third %d of ", n) }

// matching are the gateway's cells whose workload begins so and holds some text.
func (r *report) matching(store, begin, text string) (out []*cell) {
	for _, c := range r.Cells {
		if c.Subject == gatewaySubject && c.Store == store && strings.HasPrefix(c.Workload, begin) && strings.Contains(c.Workload, text) {
			out = append(out, c)
		}
	}
	return out
}

// highest is the largest that one of some cells has; NaN when none has it.
func highest(cells []*cell, of func(*cell) float64) float64 {
	most := math.NaN()
	for _, c := range cells {
		if v := of(c); !(v <= most) && !math.IsNaN(v) {
			most = v
		}
	}
	return most
}

// ofLimit is the most memory that a kind of load takes, as a part of the limit that the gateway has set itself.
func ofLimit(store, begin string) func(*report) float64 {
	return func(r *report) float64 {
		return highest(r.matching(store, begin, ""), func(c *cell) float64 { return c.median("resident_mib") / c.median("limit_mib") })
	}
}

// drift is a measure of the last third of a load over that of its first. Of several loads, the largest.
func drift(store, begin, name string) func(*report) float64 {
	return func(r *report) float64 {
		return highest(r.matching(store, begin, thirdOf(1)), func(first *cell) float64 {
			last := r.matching(store, strings.Replace(first.Workload, thirdOf(1), thirdOf(thirds), 1), "")
			return highest(last, func(c *cell) float64 { return c.median(name) / first.median(name) })
		})
	}
}

// roomOfNote is how large a table must be, in KiB, so that what it grows by is no matter of a few pages.
const roomOfNote = 1024

// swelling is the room that a table takes in the end, over that of the first third. Of several tables, the largest.
func swelling(r *report) float64 {
	return highest(r.matching(postgresStore, tablesWorkload, ""), func(c *cell) float64 {
		return c.median(byThird("room_kib", thirds-1)) / max(roomOfNote, c.median(byThird("room_kib", 0)))
	})
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
	{postgresStore, "1 million keys in bulk: throughput, times that of 1 thousand (growth)", 0.7, true, millionKeys(bulk), ""},
	{postgresStore, "1 million keys, a request per call: throughput, times that of 1 thousand (growth)", 0.7, true, millionKeys(single), ""},
	{postgresStore, "growth: resident memory, times the gateway's own limit", 1, false, ofLimit(postgresStore, growthWorkload), ""},
	{sqliteStore, "growth: resident memory, times the gateway's own limit", 1, false, ofLimit(sqliteStore, growthWorkload), ""},
	{postgresStore, "overload: resident memory, times the gateway's own limit", 1, false, ofLimit(postgresStore, overloadWorkload), ""},
	{sqliteStore, "overload: resident memory, times the gateway's own limit", 1, false, ofLimit(sqliteStore, overloadWorkload), ""},
	{postgresStore, "overload by HTTP: p99 of the last third, times the first's", 1.5, false, drift(postgresStore, overloadWorkload, "p99_ms"), ""},
	{sqliteStore, "overload by HTTP: p99 of the last third, times the first's", 1.5, false, drift(sqliteStore, overloadWorkload, "p99_ms"), ""},
	{postgresStore, "steady: resident memory of the last third, times the first's", 1.1, false, drift(postgresStore, steadyWorkload, "resident_mib"), ""},
	{sqliteStore, "steady: resident memory of the last third, times the first's", 1.1, false, drift(sqliteStore, steadyWorkload, "resident_mib"), ""},
	{postgresStore, "steady: p50 of the last third, times the first's", 1.5, false, drift(postgresStore, steadyWorkload, "p50_ms"), ""},
	{sqliteStore, "steady: p50 of the last third, times the first's", 1.5, false, drift(sqliteStore, steadyWorkload, "p50_ms"), ""},
	{postgresStore, "steady: room of any table in the end, times that after the first third", 1.5, false, swelling, ""},
	{sqliteStore, "steady: the file in the end, times that after the first third", 1.1, false, drift(sqliteStore, steadyWorkload, "stored_mib"), ""},
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
