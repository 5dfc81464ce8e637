//go:build linux

package main

import (
	"bytes"
	"strings"
	"testing"
)

// What cannot be measured is refused before anything is built, and the error says what there is.
func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"-store", "oracle"}, "postgres,sqlite"},
		{[]string{"-workload", "nothing"}, "count,hot key"},
		{[]string{"-mode", "foo"}, "single,batch,bulk"},
		{[]string{"-mode", ""}, "single,batch,bulk"},
		{[]string{"-part", "drain,foo"}, "drain,latency,http,kill,idle"},
		{[]string{"-records", "x"}, "-h"},
		{[]string{"-records", "0"}, "more than 0"},
		{[]string{"-part", "drain", "-workload", "hot key", "-mode", "single"}, "modes that each workload has"},
		{[]string{"-part", "latency", "-mode", "batch"}, "single and bulk"},
		{[]string{"-profile", "p", "-part", "idle"}, "-part drain"},
		{[]string{"measure"}, "-h"},
		{[]string{"compare", "one.json"}, "usage"},
		{[]string{"compare", "a.json", "b.json"}, "a.json"},
		{[]string{"compare", "a.json", "b.json", "c.json"}, "c.json"},
		{[]string{"show"}, "usage"},
		{[]string{"growth", "-what", "foo"}, "keys,partitions"},
		{[]string{"growth", "-store", "oracle"}, "postgres,sqlite"},
		{[]string{"growth", "-store", "postgres,sqlite"}, "one of"},
		{[]string{"overload", "-what", "foo"}, "input,calls,events,kafka,store,commits"},
		{[]string{"overload", "-store", "sqlite", "-what", "store,commits"}, "-store postgres"},
		{[]string{"steady", "-store", "oracle"}, "postgres,sqlite"},
		{[]string{"steady", "fast"}, "fast"},
	} {
		if err := command(t.Context(), tt.args, new(bytes.Buffer)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %v, want an error with %q", tt.args, err, tt.want)
		}
	}
}

// Who asks for help has done nothing wrong, and is told all that there is.
func TestHelp(t *testing.T) {
	everything := []string{"-profile", "-json"}
	for _, choices := range [][]choice{commands[1:], parts, modes, workloadChoices(), stores} {
		for _, c := range choices {
			everything = append(everything, c.name, c.means)
		}
	}
	for _, tt := range []struct {
		args  []string
		wants []string
	}{
		{[]string{"-h"}, everything},
		{[]string{"--help"}, everything},
		{[]string{"help"}, everything},
		{[]string{"compare", "-h"}, []string{"OLD.json NEW.json"}},
		{[]string{"show", "-h"}, []string{"RESULT.json"}},
		{[]string{"growth", "-h"}, []string{growMailbox, growths[0].means, "-scale"}},
		{[]string{"overload", "-h"}, []string{slowCommits, troubles[0].means, "-for"}},
		{[]string{"steady", "-h"}, []string{"usage: bench steady [FLAG ...]", "-rate"}},
	} {
		var out bytes.Buffer
		if err := command(t.Context(), tt.args, &out); err != nil {
			t.Errorf("%v: %v", tt.args, err)
		}
		for _, want := range tt.wants {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%v: %q is not in:\n%s", tt.args, want, out.String())
			}
		}
	}
	for _, w := range workloads {
		if w.means == "" {
			t.Errorf("workload %q does not say what it is", w.name)
		}
	}
}
