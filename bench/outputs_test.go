//go:build linux

package main

import (
	"strings"
	"testing"
)

// A verifier is trusted once it has found what it is for.
func TestOutputsAreJudged(t *testing.T) {
	type output struct {
		key, value string
		partition  int32
	}
	for _, tt := range []struct {
		name    string
		repeats bool
		outputs []output
		want    string
		doubt   map[string]int
	}{
		{"right", false, []output{{"a", "1", 0}, {"b", "1", 1}, {"a", "2", 0}}, "", nil},
		{"lost in the middle", false, []output{{"a", "2", 0}}, "lost, doubled or out of order", nil},
		{"lost at the end", false, []output{{"a", "1", 0}, {"b", "1", 1}}, "a: 1 outputs, want 2", nil},
		{"doubled", false, []output{{"a", "1", 0}, {"a", "1", 0}}, "lost, doubled or out of order", nil},
		{"doubled, which may be", true, []output{{"a", "1", 0}, {"a", "1", 0}, {"b", "1", 1}, {"a", "2", 0}, {"a", "1", 0}}, "", nil},
		{"lost, which may not be", true, []output{{"a", "1", 0}, {"a", "3", 0}}, "lost, doubled or out of order", nil},
		{"one too many", false, []output{{"a", "1", 0}, {"b", "1", 1}, {"a", "2", 0}, {"a", "3", 0}}, "a: 3 outputs, want 2", nil},
		{"stranger", false, []output{{"a", "1", 0}, {"b", "1", 1}, {"a", "2", 0}, {"c", "1", 0}}, "c: never asked for", nil},
		{"another partition", false, []output{{"a", "1", 0}, {"a", "2", 1}}, "partitions 0 and 1", nil},
		{"no count", false, []output{{"a", "x", 0}}, "is no count", nil},
		{"one that is in doubt", false, []output{{"a", "1", 0}, {"b", "1", 1}, {"a", "2", 0}, {"a", "3", 0}, {"c", "1", 0}}, "", map[string]int{"a": 1, "c": 1}},
		{"one that is in doubt did not come", false, []output{{"a", "1", 0}, {"b", "1", 1}, {"a", "2", 0}}, "", map[string]int{"a": 1}},
		{"more than are in doubt", false, []output{{"a", "1", 0}, {"b", "1", 1}, {"b", "2", 1}, {"b", "3", 1}, {"a", "2", 0}}, "b: 3 outputs, want 1 and at most 1", map[string]int{"b": 1}},
		{"a stranger twice", false, []output{{"a", "1", 0}, {"b", "1", 1}, {"a", "2", 0}, {"c", "1", 0}, {"c", "2", 0}}, "c: never asked for", map[string]int{"c": 1}},
	} {
		o := &outputs{counts: map[string]*counted{}, repeats: tt.repeats}
		var err error
		for _, out := range tt.outputs {
			if err == nil {
				_, err = o.take([]byte(out.key), []byte(out.value), out.partition)
			}
		}
		if err == nil {
			err = o.judge(expected{counts: map[string]int{"a": 2, "b": 1}, doubt: tt.doubt})
		}
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestWants(t *testing.T) {
	load := workload{keys: 3}.in(bulk)
	got := load.wants("p-", 7)
	if len(got) != 3 || got["p-0"] != 3 || got["p-1"] != 2 || got["p-2"] != 2 {
		t.Errorf("7 records of 3 keys: %v", got)
	}
	if got := load.wants("p-", 2); len(got) != 2 {
		t.Errorf("2 records of 3 keys: %v", got)
	}
	load.fan = 2
	if got := load.wants("p-", 3); len(got) != 6 || got["p-2-1"] != 1 {
		t.Errorf("3 records of 3 keys, 2 outputs each: %v", got)
	}
	load.fan = 1
	for i := range 20 {
		key := string(load.key("p-", i))
		l := &loop{r: &run{name: "p", load: load}}
		if got := l.record(key, i/3); got != i {
			t.Errorf("key %s, output %d: got record %d, want %d", key, i/3, got, i)
		}
	}
}

func TestParseMetrics(t *testing.T) {
	told, err := parseMetrics(strings.NewReader("# HELP x y\n# TYPE x counter\nx{a=\"b c\",d=\"}\"} 3\nx{a=\"q\"} 4\nplain 1.5e+06\nodd\n"))
	if err != nil {
		t.Fatal(err)
	}
	if told["x"] != 7 || told[`x{a="q"}`] != 4 || told["plain"] != 1.5e6 {
		t.Errorf("got %v", told)
	}
}
