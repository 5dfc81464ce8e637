//go:build unix

package testgateway

import (
	"fmt"
	"strconv"
	"strings"
)

// Samples is what /metrics says, in Prometheus' text format.
type Samples []sample

type sample struct {
	name   string
	labels map[string]string
	value  float64
}

func parseSamples(text string) (Samples, error) {
	var all Samples
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

// Sum adds the samples of a name that have all the given labels; 0 when there is none.
func (all Samples) Sum(name string, labels map[string]string) (total float64) {
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
