//go:build linux

package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
)

// runsMin is how many runs both sides need before a difference is called one.
const runsMin = 3

// Verdicts on a difference.
const (
	better  = "better"
	worse   = "worse"
	noise   = "~"
	tooFew  = "?"
	nothing = ""
)

func compareFiles(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("bench compare", flag.ContinueOnError)
	if err := parse(flags, args, 2, helpOf("compare", nil), out); err != nil {
		return err
	}
	if args = flags.Args(); len(args) != 2 {
		return errors.New("usage: bench compare OLD.json NEW.json")
	}
	older, err := readReport(args[0])
	if err != nil {
		return err
	}
	newer, err := readReport(args[1])
	if err != nil {
		return err
	}
	compare(older, newer, out)
	return nil
}

// judge compares the runs of a measure. A difference counts when the runs of the one side all lie on one side of those of the
// other: with three runs each that happens by chance one time in ten, with five one in 126.
func (m measure) judge(older, newer []float64) string {
	switch {
	case m.told:
		return nothing
	case len(older) < runsMin || len(newer) < runsMin:
		return tooFew
	case slices.Max(older) < slices.Min(newer):
		return map[bool]string{true: better, false: worse}[m.more]
	case slices.Min(older) > slices.Max(newer):
		return map[bool]string{true: worse, false: better}[m.more]
	default:
		return noise
	}
}

// compare prints a table for each measure: both medians, how far runs lie from them, the ratio and the verdict; below it the geometric
// mean of the ratios.
func compare(older, newer *report, out io.Writer) {
	fmt.Fprintf(out, "old: %s, %s, load %.1f\nnew: %s, %s, load %.1f\n", older.Commit, older.Began.Format("2006-01-02 15:04"), older.Machine.Load,
		newer.Commit, newer.Began.Format("2006-01-02 15:04"), newer.Machine.Load)
	if older.Machine.CPU != newer.Machine.CPU || older.Machine.CPUs != newer.Machine.CPUs {
		fmt.Fprintf(out, "THE MACHINES DIFFER (%d of %s, %d of %s): only ratios to the floor can be compared\n",
			older.Machine.CPUs, older.Machine.CPU, newer.Machine.CPUs, newer.Machine.CPU)
	}
	few := false
	for _, m := range measures {
		few = m.compare(older, newer, out) || few
	}
	if few {
		fmt.Fprintf(out, "\n?: fewer than %d runs, so nobody can tell a difference from noise; measure with -runs\n", runsMin)
	}
	only("only in old:", older, newer, out)
	only("only in new:", newer, older, out)
}

func (m measure) compare(older, newer *report, out io.Writer) (few bool) {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	logs, ratios, n := 0.0, 0, 0
	for _, c := range older.Cells {
		i := slices.IndexFunc(newer.Cells, func(d *cell) bool { return d.id() == c.id() })
		if i < 0 || len(c.Measures[m.name]) == 0 || len(newer.Cells[i].Measures[m.name]) == 0 {
			continue
		}
		was, is := c.Measures[m.name], newer.Cells[i].Measures[m.name]
		if n == 0 {
			fmt.Fprintf(w, "\n%s\told\t\tnew\t\tnew/old\t\n", m.name)
		}
		n++
		verdict := m.judge(was, is)
		few = few || verdict == tooFew
		ratio := median(is) / median(was)
		fmt.Fprintf(w, "%s\t%s\t±%.0f%%\t%s\t±%.0f%%\t%s\t%s\n", c.id(), figure(median(was)), 100*spread(was), figure(median(is)), 100*spread(is), ratioText(ratio), verdict)
		if ratio > 0 && !math.IsInf(ratio, 0) {
			logs, ratios = logs+math.Log(ratio), ratios+1
		}
	}
	if ratios > 1 && !m.told {
		fmt.Fprintf(w, "geometric mean\t\t\t\t\t%s\t\n", ratioText(math.Exp(logs/float64(ratios))))
	}
	return few
}

func ratioText(r float64) string {
	if math.IsNaN(r) || math.IsInf(r, 0) {
		return "-"
	}
	return fmt.Sprintf("%.2f", r)
}

// only tells the cells that the other report has not.
func only(title string, r, other *report, out io.Writer) {
	for _, c := range r.Cells {
		if !slices.ContainsFunc(other.Cells, func(d *cell) bool { return d.id() == c.id() }) {
			fmt.Fprintf(out, "%s %s\n", title, c.id())
		}
	}
}
