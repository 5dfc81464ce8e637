//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// section is one table of a report: the cells whose workload begins so.
type section struct {
	title, begin string
	columns      []string // measures, those that none of the cells has left out
}

// costs are what a record costs in CPU, in the store and in memory.
var costs = []string{"program_us", "store_us", "both_us", "kafka_us", "function_us", "allocs", "alloc_bytes", "store_bytes", "store_rows"}

// sections in the order in which they are shown. The one for every other workload stands last in this list and first in a report.
var sections = []section{
	{"at a rate: from when a record was due to its output being visible, ms; CPU per record, us", latencyWorkload,
		[]string{"asked_per_second", "p50_ms", "p99_ms", "max_ms", "program_us", "store_us", "resident_mib", "others_percent"}},
	{"requests by HTTP that wait for their reply: one at a time, ms, and without a gateway; 64 at once, requests/s and CPU per request, us", httpWorkload,
		[]string{"p50_ms", "bare_p50_ms", "p99_ms", "records_per_second", "program_us", "store_us", "allocs", "resident_mib", "others_percent"}},
	{"kill -9 at 1,500 records/s: time without an output, ms", killWorkload, []string{"gap_ms", "max_ms"}},
	{"nothing to do: start to ready, ms; CPU ms per second", idleWorkload, []string{"ready_ms", "idle_cpu_ms", "resident_mib"}},
	{"growth: CPU (us), allocations and bytes written to the store, each per record", growthWorkload,
		[]string{"records_per_second", "program_us", "store_us", "both_us", "function_us", "allocs", "store_bytes", "resident_mib", "limit_mib", "records_per_commit", "calls_per_record", "others_percent"}},
	{"overload: the oldest record that was let in, ms; behind an absence, until the first output and until outputs are prompt again, ms", overloadWorkload,
		[]string{"asked_per_second", "records_per_second", "refused_per_second", "unsent_per_second", "unknown", "both_us", "oldest_ms", "p50_ms", "p99_ms", "max_ms", "gap_ms", "recovery_ms", "resident_mib", "limit_mib", "others_percent"}},
	{"a load that does not change", steadyWorkload, []string{"records_per_second", "both_us", "p50_ms", "p99_ms", "max_ms", "resident_mib", "stored_mib", "others_percent"}},
	{"its tables at the end of each third: KiB with indexes and large values; rows that are dead and not yet removed", tablesWorkload,
		[]string{"room_kib_1", "room_kib_2", "room_kib_3", "dead_rows_1", "dead_rows_2", "dead_rows_3", "live_rows_3", "in_place_3"}},
	{"a backlog worked off: CPU (us), allocations and their bytes, bytes and rows written to the store, each per record", "",
		slices.Concat([]string{"records_per_second"}, costs, []string{"resident_mib", "calls_per_record", "calls_per_request", "records_per_commit", "others_percent"})},
}

// identities are the columns that tell cells apart.
var identities = []struct {
	title string
	of    func(*cell) string
}{
	{"store", func(c *cell) string { return c.Store }},
	{"workload", (*cell).workload},
	{"mode", func(c *cell) string { return c.Mode }},
	{"egress", func(c *cell) string { return short(c.Semantic) }},
	{"subject", func(c *cell) string { return c.Subject }},
}

// workload names it, and for a part of a drain's rate the rate, which differs from subject to subject.
func (c *cell) workload() string {
	if rate := c.median("asked_per_second"); strings.HasSuffix(c.Workload, ofTheDrain) && !math.IsNaN(rate) {
		return fmt.Sprintf("%s, %.0f/s", c.Workload, rate)
	}
	return c.Workload
}

// coarseMark stands before a figure that is coarse.
const coarseMark = "~"

// short names a semantic where there is little room.
func short(semantic string) string {
	return map[string]string{exactlyOnce: "exactly", atLeastOnce: "at least"}[semantic]
}

// showFiles prints reports that were kept.
func showFiles(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench show", flag.ContinueOnError)
	if err := parse(flags, args, len(args), helpOf("show", nil), out); err != nil {
		return err
	}
	if args = flags.Args(); len(args) == 0 {
		return errors.New("usage: bench show FILE.json [FILE.json]")
	}
	for _, path := range args {
		r, err := readReport(path)
		if err != nil {
			return err
		}
		r.tables(out)
		r.targets(out)
		fmt.Fprintln(out)
	}
	return nil
}

// tables prints all that was measured: medians, where there are several runs.
func (r *report) tables(out io.Writer) {
	fmt.Fprintf(out, "%s, %s, %d CPUs (%s), load %.1f, %s, %s\n",
		r.Commit, r.Began.Format("2006-01-02 15:04"), r.Machine.CPUs, r.Machine.CPU, r.Machine.Load, r.Machine.Go, r.Took)
	last := len(sections) - 1
	r.table(out, sections[last])
	for _, s := range sections[:last] {
		r.table(out, s)
	}
	if r.Judgement != "" {
		fmt.Fprintf(out, "\n%s\n", r.Judgement)
	}
}

// table has a line for each cell of the section, a column for what tells them apart and one for each measure that one of them has.
func (r *report) table(out io.Writer, s section) {
	var cells []*cell
	for _, c := range r.Cells {
		if i := slices.IndexFunc(sections, func(s section) bool { return strings.HasPrefix(c.Workload, s.begin) }); sections[i].begin == s.begin {
			cells = append(cells, c)
		}
	}
	if len(cells) == 0 {
		return
	}
	fmt.Fprintf(out, "\n%s\n", s.title)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	marked := false
	lines := make([][]string, len(cells)+1)
	for _, identity := range identities {
		alike := !slices.ContainsFunc(cells, func(c *cell) bool { return identity.of(c) != identity.of(cells[0]) })
		if alike && (identity.title != "workload" || cells[0].Workload == s.begin) {
			continue
		}
		lines[0] = append(lines[0], identity.title)
		for i, c := range cells {
			lines[i+1] = append(lines[i+1], strings.TrimPrefix(identity.of(c), s.begin))
		}
	}
	for _, name := range s.columns {
		if !slices.ContainsFunc(cells, func(c *cell) bool { return len(c.Measures[name]) > 0 }) {
			continue
		}
		lines[0] = append(lines[0], measureOf(name).title)
		for i, c := range cells {
			text := figure(c.median(name))
			if len(c.Measures[name]) > 0 && c.coarse(name) {
				text, marked = coarseMark+text, true
			}
			lines[i+1] = append(lines[i+1], text)
		}
	}
	for _, line := range lines {
		fmt.Fprintln(w, strings.Join(line, "\t")+"\t")
	}
	w.Flush()
	if marked {
		fmt.Fprintf(out, "%s: the system counts CPU time in steps of %v, more than %g %% of this figure: more records tell it better\n", coarseMark, tick, 100*coarseShare)
	}
}
