//go:build unix

package killtest

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// samples is what /metrics says, in Prometheus' text format.
type samples []sample

type sample struct {
	name   string
	labels map[string]string
	value  float64
}

func parseSamples(text string) (samples, error) {
	var all samples
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		s, err := parseSample(line)
		if err != nil {
			return nil, fmt.Errorf("metric %q: %w", line, err)
		}
		all = append(all, s)
	}
	return all, nil
}

func parseSample(line string) (s sample, err error) {
	end := strings.IndexAny(line, "{ ")
	if end < 0 {
		return s, fmt.Errorf("no value")
	}
	s.name, s.labels = line[:end], map[string]string{}
	rest := line[end:]
	for rest[0] == '{' || rest[0] == ',' {
		if rest = rest[1:]; strings.HasPrefix(rest, "}") {
			break
		}
		name, quoted, ok := strings.Cut(rest, "=")
		if !ok {
			return s, fmt.Errorf("label without a value")
		}
		prefix, err := strconv.QuotedPrefix(quoted) // Prometheus escapes \ " and newline as Go does
		if err != nil {
			return s, fmt.Errorf("label %s: %w", name, err)
		}
		if s.labels[name], err = strconv.Unquote(prefix); err != nil {
			return s, fmt.Errorf("label %s: %w", name, err)
		}
		if rest = quoted[len(prefix):]; rest == "" {
			return s, fmt.Errorf("no end of labels")
		}
	}
	value, _, _ := strings.Cut(strings.TrimLeft(rest, "} "), " ")
	s.value, err = strconv.ParseFloat(value, 64)
	return s, err
}

// sum adds the samples of a name that have all the given labels; 0 when there is none.
func (all samples) sum(name string, labels map[string]string) (total float64) {
next:
	for _, s := range all {
		if s.name != name {
			continue
		}
		for k, v := range labels {
			if s.labels[k] != v {
				continue next
			}
		}
		total += s.value
	}
	return total
}

func TestSamples(t *testing.T) {
	all, err := parseSamples("# HELP x y\nplain 3\nx{a=\"1\",b=\"q\\\"}, \\n\"} 2.5 1700000000\nx{a=\"1\"} 1e2\nx{} 7\n\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		labels map[string]string
		want   float64
	}{{"plain", nil, 3}, {"x", nil, 109.5}, {"x", map[string]string{"a": "1"}, 102.5}, {"x", map[string]string{"b": "q\"}, \n"}, 2.5}, {"y", nil, 0}} {
		if got := all.sum(c.name, c.labels); got != c.want {
			t.Errorf("%s%v: got %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	for _, bad := range []string{"name", "x{a=1} 2", "x{a=\"1\"", "x{a} 1", "x one"} {
		if _, err := parseSamples(bad); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}
