//go:build unix

package killtest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// wrongOutputs begins every complaint about outputs: by it TestGuardsRemoved tells a test that found what it is for from one that broke.
const wrongOutputs = "wrong outputs"

// keysShown bounds how many wrong keys a report lists.
const keysShown = 10

// judge says what is wrong with the outputs of a counting function: each key's must be 1..n, in order, in one partition. "" when
// nothing is.
func judge(got map[string]*line, want map[string]int) string {
	var wrong []string
	lost, doubled, moved, strange := 0, 0, 0, 0
	all := maps.Clone(want)
	for key := range got {
		all[key] = want[key]
	}
	for _, key := range slices.Sorted(maps.Keys(all)) {
		l := got[key]
		if l == nil {
			l = &line{}
		}
		v := judgeLine(l, all[key])
		lost, doubled, moved, strange = lost+len(v.lost), doubled+len(v.doubled), moved+len(v.moved), strange+len(v.strange)
		if text := v.String(); text != "" {
			wrong = append(wrong, fmt.Sprintf("%s, %d records: %s", key, all[key], text))
		}
	}
	if len(wrong) == 0 {
		return ""
	}
	more := ""
	if n := len(wrong) - keysShown; n > 0 {
		more = fmt.Sprintf("\n  and %d more keys", n)
	}
	return fmt.Sprintf("%d lost, %d doubled, %d out of order, %d never asked for, in %d of %d keys\n  %s%s",
		lost, doubled, moved, strange, len(wrong), len(all), strings.Join(wrong[:min(len(wrong), keysShown)], "\n  "), more)
}

// verdict is what is wrong with one key's outputs.
type verdict struct {
	lost, doubled, moved, strange []int
	partitions                    int
	values                        []int
}

func judgeLine(l *line, n int) verdict {
	v := verdict{partitions: len(l.partitions), values: l.values}
	times := map[int]int{}
	highest := 0
	for _, x := range l.values {
		times[x]++
		switch {
		case x < 1 || x > n:
			v.strange = append(v.strange, x)
		case times[x] > 1:
			v.doubled = append(v.doubled, x)
		case x < highest:
			v.moved = append(v.moved, x)
		}
		highest = max(highest, x)
	}
	for x := 1; x <= n; x++ {
		if times[x] == 0 {
			v.lost = append(v.lost, x)
		}
	}
	return v
}

func (v verdict) String() string {
	var parts []string
	for _, p := range []struct {
		what   string
		values []int
	}{{"lost", v.lost}, {"doubled", v.doubled}, {"out of order", v.moved}, {"never asked for", v.strange}} {
		if len(p.values) > 0 {
			parts = append(parts, fmt.Sprintf("%s %s", p.what, short(p.values)))
		}
	}
	if v.partitions > 1 {
		parts = append(parts, fmt.Sprintf("in %d partitions", v.partitions))
	}
	if len(parts) == 0 {
		return ""
	}
	return strings.Join(parts, ", ") + "; it got " + short(v.values)
}

func short(values []int) string {
	if len(values) <= 40 {
		return fmt.Sprint(values)
	}
	return fmt.Sprintf("%v... (%d)", values[:40], len(values))
}

// verify reads a topic anew, from its start to its end, and fails the test unless its outputs are what they must be. Who writes to
// it must have ended.
func (w *world) verify(topic string, want map[string]int) {
	w.t.Helper()
	r := newReader(w.t, w.broker, topic)
	total := r.settle()
	if wrong := judge(r.lines(), want); wrong != "" {
		w.t.Errorf("%s in topic %s (seed %d): %s", wrongOutputs, topic, w.seed, wrong)
	}
	sum := 0
	for _, n := range want {
		sum += n
	}
	w.t.Logf("topic %s: read %d outputs of %d keys, want %d of %d", topic, total, len(r.lines()), sum, len(want))
}

// A verifier is trusted once it has found what it is for.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []int
		want   string
	}{
		{"right", []int{1, 2, 3}, ""},
		{"lost", []int{1, 3}, "lost [2]"},
		{"lost at the end", []int{1, 2}, "lost [3]"},
		{"doubled", []int{1, 2, 2, 3}, "doubled [2]"},
		{"out of order", []int{1, 3, 2}, "out of order [2]"},
		{"one too many", []int{1, 2, 3, 4}, "never asked for [4]"},
		{"begun anew", []int{1, 2, 1}, "lost [3], doubled [1]"},
		{"nothing", nil, "lost [1 2 3]"},
	} {
		got := judge(map[string]*line{"a": {values: c.values}, "b": {values: []int{1}}}, map[string]int{"a": 3, "b": 1})
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
	for name, got := range map[string]map[string]*line{
		"unknown key": {"a": {values: []int{1}}, "z": {values: []int{1}}},
		"partitions":  {"a": {values: []int{1}, partitions: map[int32]bool{1: true, 2: true}}},
	} {
		if judge(got, map[string]int{"a": 1}) == "" {
			t.Errorf("%s: nothing found", name)
		}
	}
}
