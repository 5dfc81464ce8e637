package kafkaproperty

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// javaNames are all names that a client of Kafka 4.1.0 knows.
func javaNames(t *testing.T, role Role) []string {
	t.Helper()
	text, err := os.ReadFile("testdata/kafka-4.1.0-" + role.String() + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			names = append(names, line)
		}
	}
	if len(names) < 110 {
		t.Fatalf("%d names", len(names))
	}
	return names
}

// TestEveryNameIsKnown: no property of Java's clients is passed over without a decision.
func TestEveryNameIsKnown(t *testing.T) {
	for _, role := range []Role{Consumer, Producer} {
		for _, name := range javaNames(t, role) {
			if p := table[name]; p == nil || p.role&role == 0 {
				t.Errorf("%s %s is not in the table", role, name)
			}
		}
	}
}

// TestTableIsWhole: each entry tells one thing, and one about security never that it has no effect.
func TestTableIsWhole(t *testing.T) {
	java := append(javaNames(t, Consumer), javaNames(t, Producer)...)
	for name, p := range table {
		told := 0
		for _, is := range []bool{p.set != nil || p.does != "", p.because != "", p.surplus != "", p.refused != ""} {
			if is {
				told++
			}
		}
		if told != 1 || p.role == 0 || p.role > both || p.set != nil && p.does == "" {
			t.Errorf("%s: %+v", name, p)
		}
		if isSecurity(name) && (p.because != "" || p.surplus != "") {
			t.Errorf("%s has no effect, in silence or nearly", name)
		}
		if p.refused != "" && !isSecurity(name) {
			t.Errorf("%s is refused and is not about security", name)
		}
		if p.set != nil && !slices.Contains(java, name) && !strings.HasPrefix(name, "flink.") {
			t.Errorf("%s has an effect and is no name of Kafka 4.1", name)
		}
	}
}

// TestEveryPropertyIsAnswered: whatever is given is set, warned of, or refused; only what the table calls surplus is passed over.
func TestEveryPropertyIsAnswered(t *testing.T) {
	for _, role := range []Role{Consumer, Producer} {
		for _, name := range append(Names(both), "made.up", "ssl.made.up", "sasl.made.up", "security.made.up") {
			_, complaints := Translate(role, map[string]string{name: "\x00no value of anything\x00"})
			p := table[name]
			switch {
			case len(complaints) == 1 && complaints[0].Property == name && strings.Contains(complaints[0].Text, "property "+name):
				if isSecurity(name) && !complaints[0].Wrong && (p == nil || p.refused != "") {
					t.Errorf("%s %s: %q is no error", role, name, complaints[0].Text)
				}
				if strings.Contains(complaints[0].Text, "no value of anything") {
					t.Errorf("%s %s: %q shows the value", role, name, complaints[0].Text)
				}
			case len(complaints) == 0 && p != nil && (p.surplus != "" || name == "client.id" || name == "client.rack"):
			default:
				t.Errorf("%s %s: %v", role, name, complaints)
			}
		}
	}
}
