//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// sections are the tables of a report: cells whose workload begins so, in this order; the first that fits has it.
var sections = []struct{ title, begin string }{
	{"at a rate: time from when a record was due to its output being visible at read_committed (ms), CPU per record (us)", latencyWorkload},
	{"requests by HTTP that wait for their reply (ms), many at once: requests/s and CPU per request (us)", httpWorkload},
	{"time without an output around a kill -9 at 1,500 records/s (ms)", killWorkload},
	{"start to ready (ms), CPU per second when nothing happens (ms)", idleWorkload},
	{"growth: CPU (us), allocations, bytes written to the store, each per record", growthWorkload},
	{"overload (ms, MiB)", overloadWorkload},
	{"steady load: the first third beside the last", steadyWorkload},
	{"worked off from a backlog: CPU (us), allocations and their bytes, bytes and rows written to the store, each per record", ""},
}

func sectionOf(c *cell) int {
	return slices.IndexFunc(sections, func(s struct{ title, begin string }) bool { return strings.HasPrefix(c.Workload, s.begin) })
}

// tables prints all that was measured: medians, where there are several runs.
func (r *report) tables(out io.Writer) {
	fmt.Fprintf(out, "%s, %s, %d CPUs (%s), load %.1f, %s, %s\n", r.Commit, r.Began.Format("2006-01-02 15:04"), r.Machine.CPUs, r.Machine.CPU, r.Machine.Load, r.Machine.Go, r.Took)
	order := append([]int{len(sections) - 1}, 0, 1, 2, 3, 4, 5, 6)
	for _, section := range order {
		var cells []*cell
		for _, c := range r.Cells {
			if sectionOf(c) == section {
				cells = append(cells, c)
			}
		}
		if len(cells) > 0 {
			fmt.Fprintf(out, "\n%s\n", sections[section].title)
			table(out, cells)
		}
	}
	if r.Judgement != "" {
		fmt.Fprintf(out, "\n%s\n", r.Judgement)
	}
}

// table has a line for each cell and a column for each measure that one of them has.
func table(out io.Writer, cells []*cell) {
	var columns []measure
	for _, m := range measures {
		if slices.ContainsFunc(cells, func(c *cell) bool { return len(c.Measures[m.name]) > 0 }) {
			columns = append(columns, m)
		}
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	defer w.Flush()
	fmt.Fprint(w, "store\tworkload\tmode\tegress\tsubject\t")
	for _, m := range columns {
		fmt.Fprint(w, m.title, "\t")
	}
	fmt.Fprintln(w)
	for _, c := range cells {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t", c.Store, strings.TrimPrefix(c.Workload, latencyWorkload), c.Mode, short(c.Semantic), c.Subject)
		for _, m := range columns {
			fmt.Fprint(w, figure(c.median(m.name)), "\t")
		}
		fmt.Fprintln(w)
	}
}

// short names a semantic where there is little room.
func short(semantic string) string {
	return map[string]string{exactlyOnce: "exactly", atLeastOnce: "at least"}[semantic]
}
