//go:build unix

package testgateway

import "testing"

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
		if got := all.Sum(c.name, c.labels); got != c.want {
			t.Errorf("%s%v: got %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	for _, bad := range []string{"name", "x{a=1} 2", "x{a=\"1\"", "x{a} 1", "x one"} {
		if _, err := parseSamples(bad); err == nil {
			t.Errorf("%q: got no error", bad)
		}
	}
}
