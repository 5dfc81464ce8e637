//go:build linux

package main

import (
	"slices"
	"strings"
	"testing"
)

// Input that is worked off as it comes was no overload, and its row says nothing.
func TestOverloadThatIsNone(t *testing.T) {
	for _, tt := range []struct {
		asked, done float64
		none        bool
	}{{33_193, 32_569, true}, {30_000, 27_000, true}, {30_000, 26_900, false}, {72_296, 37_767, false}} {
		v := &overloader{report: newReport()}
		v.overloaded(map[string]float64{"asked_per_second": tt.asked, "records_per_second": tt.done})
		if got := strings.HasPrefix(v.report.Judgement, "NO OVERLOAD: it kept up"); got != tt.none {
			t.Errorf("%v/s of %v/s: %q", tt.done, tt.asked, v.report.Judgement)
		}
	}
}

// What SQLite cannot suffer is left out, and named.
func TestOverloadLeavesOut(t *testing.T) {
	for _, tt := range []struct {
		store      string
		what, left []string
		told, err  bool
	}{
		{postgresStore, []string{tooMuchInput, storeAway, slowCommits}, []string{tooMuchInput, storeAway, slowCommits}, false, false},
		{sqliteStore, []string{tooMuchInput, kafkaAway, storeAway, slowCommits}, []string{tooMuchInput, kafkaAway}, true, false},
		{sqliteStore, []string{kafkaAway}, []string{kafkaAway}, false, false},
		{sqliteStore, []string{slowCommits}, []string{slowCommits}, false, true},
	} {
		v := &overloader{store: tt.store, what: tt.what, report: newReport()}
		if err := v.leaveOut(); (err != nil) != tt.err {
			t.Errorf("%s, %v: %v", tt.store, tt.what, err)
		}
		if !slices.Equal(v.what, tt.left) || strings.Contains(v.report.Judgement, "LEFT OUT on sqlite") != tt.told {
			t.Errorf("%s, %v: left are %v; %q", tt.store, tt.what, v.what, v.report.Judgement)
		}
	}
}

// Numbers that a small scale makes equal are measured once.
func TestGrowthMeasuresEqualSizesOnce(t *testing.T) {
	for scale, want := range map[float64][]int{
		1:     {1000, 10_000, 100_000, 1_000_000},
		0.02:  {1000, 2000, 20_000},
		0.002: {1000, 2000},
		0.001: {1000},
	} {
		if got := (&grower{scale: scale}).keyNumbers(); !slices.Equal(got, want) {
			t.Errorf("scale %v: got %v, want %v", scale, got, want)
		}
	}
}
