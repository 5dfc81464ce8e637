//go:build linux

package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestMedianAndSpread(t *testing.T) {
	for _, tt := range []struct {
		values         []float64
		median, spread float64
	}{
		{[]float64{3}, 3, 0}, {[]float64{1, 3}, 2, 0.5}, {[]float64{9, 1, 2}, 2, 3.5}, {[]float64{4, 1, 2, 3}, 2.5, 0.6}, {[]float64{0, 0}, 0, 0},
	} {
		if got := median(tt.values); got != tt.median {
			t.Errorf("median of %v: got %v, want %v", tt.values, got, tt.median)
		}
		if got := spread(tt.values); math.Abs(got-tt.spread) > 1e-9 {
			t.Errorf("spread of %v: got %v, want %v", tt.values, got, tt.spread)
		}
	}
	if !math.IsNaN(median(nil)) || spread(nil) != 0 {
		t.Error("of nothing there is no median")
	}
}

func TestQuantile(t *testing.T) {
	var took []time.Duration
	for ms := range 100 {
		took = append(took, time.Duration(ms+1)*time.Millisecond)
	}
	for q, want := range map[float64]float64{0: 1, 0.5: 51, 0.99: 100, 1: 100} {
		if got := quantile(took, q); got != want {
			t.Errorf("quantile %v: got %v, want %v", q, got, want)
		}
	}
}

func TestJudgeDifference(t *testing.T) {
	cost, rate := measureOf("both_us"), measureOf("records_per_second")
	for _, tt := range []struct {
		m            measure
		older, newer []float64
		want         string
	}{
		{cost, []float64{10, 11, 12}, []float64{7, 8, 9}, better},
		{cost, []float64{7, 8, 9}, []float64{10, 11, 12}, worse},
		{cost, []float64{7, 8, 10}, []float64{9, 11, 12}, noise},
		{cost, []float64{7, 8, 10}, []float64{10, 11, 12}, noise},
		{rate, []float64{10, 11, 12}, []float64{7, 8, 9}, worse},
		{rate, []float64{7, 8, 9}, []float64{10, 11, 12}, better},
		{cost, []float64{100, 100}, []float64{1, 1, 1}, tooFew},
		{measureOf("others_percent"), []float64{1, 1, 1}, []float64{9, 9, 9}, nothing},
	} {
		if got := tt.m.judge(tt.older, tt.newer); got != tt.want {
			t.Errorf("%s: %v and %v: got %q, want %q", tt.m.name, tt.older, tt.newer, got, tt.want)
		}
	}
}

// reportOf is a report of one cell with these CPU times.
func reportOf(both ...float64) *report {
	r := newReport()
	for _, v := range both {
		r.add(cell{Subject: gatewaySubject, Store: postgresStore, Workload: countWorkload, Mode: bulk, Semantic: exactlyOnce}, map[string]float64{"both_us": v, "records_per_second": 1e6 / v})
	}
	return r
}

func TestCompare(t *testing.T) {
	older, newer := reportOf(20, 22, 21), reportOf(10, 11, 10.5)
	newer.add(cell{Subject: floorSubject, Store: postgresStore, Workload: countWorkload, Mode: bulk, Semantic: exactlyOnce}, map[string]float64{"both_us": 1})
	folder := t.TempDir()
	paths := []string{filepath.Join(folder, "old.json"), filepath.Join(folder, "new.json")}
	for i, r := range []*report{older, newer} {
		if err := r.write(paths[i]); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := command(t.Context(), append([]string{"compare"}, paths...), &out); err != nil {
		t.Fatal(err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"both_us old new new/old", "gateway postgres count bulk exactly-once 21.0 ±5% 10.5 ±5% 0.50 better",
		"47619 ±5% 95238 ±5% 2.00 better", "only in new: floor postgres count bulk exactly-once",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
	if strings.Contains(text, "?:") {
		t.Errorf("enough runs, and it says too few:\n%s", out.String())
	}
	older.Version++
	if err := older.write(paths[0]); err != nil {
		t.Fatal(err)
	}
	if err := command(t.Context(), append([]string{"compare"}, paths...), &out); err == nil {
		t.Error("a report of another version was compared")
	}
}

// The floor's verdict: what it costs decides, unless strangers were at work.
func TestJudgeFloor(t *testing.T) {
	for _, tt := range []struct {
		floor, others float64
		want, not     string
	}{
		{11, 0, "RATIO TO THE FLOOR, count in bulk: 2.00 of its CPU", "FLOOR: the"},
		{15.2, 5, "NO FLOOR: the floor costs 15.2 us", "IS IT"},
		{15.2, 90, "IS IT A FLOOR? The floor costs 15.2 us", "NO FLOOR"},
	} {
		r := reportOf(2 * tt.floor)
		r.add(cell{Subject: floorSubject, Store: postgresStore, Workload: countWorkload, Mode: bulk, Semantic: exactlyOnce},
			map[string]float64{"both_us": tt.floor, "records_per_second": 1e6 / tt.floor, "others_percent": tt.others})
		if r.judge(); !strings.Contains(r.Judgement, tt.want) || strings.Contains(r.Judgement, tt.not) {
			t.Errorf("%v us, others %v %%: %s", tt.floor, tt.others, r.Judgement)
		}
	}
}

func TestTargets(t *testing.T) {
	r := reportOf(16, 16.5, 18)
	var out bytes.Buffer
	r.targets(&out)
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"postgres: count in bulk: CPU of gateway and store, us <= 17 16.5 yes", "records/s >= 53000 60606 yes"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
	// What was not measured is one line, and no row.
	for line := range strings.Lines(out.String()) {
		if rest := "postgres: 20/s: p50, ms"; strings.Contains(line, rest) != strings.HasPrefix(line, "not measured: ") {
			t.Errorf("%q is not where it belongs: %s", rest, line)
		}
	}
	out.Reset()
	newReport().targets(&out)
	if text := out.String(); strings.Contains(text, "not measured:") || !strings.Contains(text, "nothing was measured that") {
		t.Errorf("of a report of other things all targets are named:\n%s", text)
	}
}

// What drifts is found in the load, the table and the store in which it does; what is not there drifts nowhere.
func TestTargetsOfDrift(t *testing.T) {
	r := newReport()
	add := func(store, workload string, values map[string]float64) {
		r.add(cell{Subject: gatewaySubject, Store: store, Workload: workload, Mode: bulk, Semantic: exactlyOnce}, values)
	}
	for n, resident := range []float64{100, 130, 120} {
		add(postgresStore, fmt.Sprintf("%s3000/s, %s10m0s", steadyWorkload, thirdOf(n+1)), map[string]float64{"resident_mib": resident, "p50_ms": 10})
	}
	for n, p99 := range []float64{10, 15, 30} {
		add(sqliteStore, fmt.Sprintf("%scalls by HTTP at 3 times the capacity, %s3m0s", overloadWorkload, thirdOf(n+1)), map[string]float64{"p99_ms": p99})
		add(sqliteStore, fmt.Sprintf("%sevents by HTTP at 3 times the capacity, %s3m0s", overloadWorkload, thirdOf(n+1)), map[string]float64{"p99_ms": 10})
	}
	add(postgresStore, growthWorkload+"1000 keys", map[string]float64{"resident_mib": 300, "limit_mib": 600})
	add(postgresStore, growthWorkload+"states of 990000 B", map[string]float64{"resident_mib": 750, "limit_mib": 600})
	add(postgresStore, growthWorkload+"without a limit", map[string]float64{"resident_mib": 1000})
	add(postgresStore, tablesWorkload+"small", map[string]float64{"room_kib_1": 32, "room_kib_3": 1024})
	add(postgresStore, tablesWorkload+"state", map[string]float64{"room_kib_1": 5000, "room_kib_3": 10_000})
	var out bytes.Buffer
	r.targets(&out)
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"steady: resident memory of the last third, times the first's <= 1.1 1.20 no", "postgres: steady: p50 of the last third, times the first's <= 1.5 1.00 yes",
		"sqlite: overload by HTTP: p99 of the last third, times the first's <= 1.5 3.00 no", "growth: resident memory, times the gateway's own limit <= 1 1.25 no",
		"room of any table in the end, times that after the first third <= 1.5 2.00 no",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
	for line := range strings.Lines(out.String()) {
		if rest := "sqlite: steady: the file"; strings.Contains(line, rest) != strings.HasPrefix(line, "not measured: ") {
			t.Errorf("%q is not where it belongs: %s", rest, line)
		}
	}
}

// A ratio to what may be no floor is neither met nor missed; that of the other floor is not touched.
func TestTargetsInDoubt(t *testing.T) {
	r := reportOf(16)
	for subject, cost := range map[string]float64{floorSubject: 15.2, ownSubject: 8} {
		r.add(cell{Subject: subject, Store: postgresStore, Workload: countWorkload, Mode: bulk, Semantic: exactlyOnce}, map[string]float64{"both_us": cost})
	}
	var out bytes.Buffer
	r.targets(&out)
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"times the floor's <= 1.5 1.05 in doubt", "floor with its own batches <= 1.5 2.00 no"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
}

// Where a tick of CPU time is more than a twentieth of a figure, the figure says so.
func TestCoarseFiguresAreMarked(t *testing.T) {
	for _, tt := range []struct {
		records float64
		store   string
		want    []string
		marked  bool
	}{
		{20_000, postgresStore, []string{"10.0", "20.0"}, false}, // 200 ms and 400 ms, in ticks of 10 ms
		{15_000, postgresStore, []string{"~10.0", " 20.0"}, true},
		{400, postgresStore, []string{"~10.0", "~20.0", "~0.00"}, true},
		{400, sqliteStore, []string{"~10.0", "~20.0", " 0.00"}, true}, // of SQLite there is no process
	} {
		var out bytes.Buffer
		r := newReport()
		values := map[string]float64{recordsMeasure: tt.records, "program_us": 10, "both_us": 20}
		if tt.records < 1000 {
			values["store_us"] = 0
		}
		r.add(cell{Subject: gatewaySubject, Store: tt.store, Workload: growthWorkload + "x", Mode: bulk, Semantic: exactlyOnce}, values)
		r.tables(&out)
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%v records: %q is not in:\n%s", tt.records, want, out.String())
			}
		}
		if strings.Contains(out.String(), "in steps of 10ms") != tt.marked {
			t.Errorf("%v records: the mark is explained when it is not there, or not when it is:\n%s", tt.records, out.String())
		}
	}
}

// Parts of a drain's rate are different rates for different subjects, and still one cell for compare.
func TestPartsOfADrainNameTheirRate(t *testing.T) {
	r := newReport()
	for subject, rate := range map[string]float64{gatewaySubject: 29_624, floorSubject: 5079} {
		r.add(cell{Subject: subject, Store: postgresStore, Workload: latencyWorkload + "50 %" + ofTheDrain, Mode: bulk, Semantic: exactlyOnce}, map[string]float64{"asked_per_second": rate, "p50_ms": 1})
	}
	var out bytes.Buffer
	r.tables(&out)
	for _, want := range []string{"50 % of the drain, 29624/s", "50 % of the drain, 5079/s"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in:\n%s", want, out.String())
		}
	}
}

// The document explains each column that a table can have.
func TestDocumentExplainsColumns(t *testing.T) {
	text, err := os.ReadFile("../docs/PERFORMANCE.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range sections {
		for _, name := range s.columns {
			if title := "`" + measureOf(name).title + "`"; !strings.Contains(string(text), title) {
				t.Errorf("docs/PERFORMANCE.md does not explain %s", title)
			}
		}
	}
}

// A gateway that has set itself a limit of memory tells it; one that has none tells what no machine has.
func TestLimitIsShown(t *testing.T) {
	for told, want := range map[float64]bool{512 << 20: true, 9.223372036854776e+18: false} {
		from := reading{at: time.Now()}
		to := reading{at: from.at.Add(time.Second), told: map[string]float64{tellLimit: told}}
		got, ok := to.since(from, 1)["limit_mib"]
		if ok != want || ok && got != 512 {
			t.Errorf("told %g: got %v, %v", told, got, ok)
		}
	}
}
