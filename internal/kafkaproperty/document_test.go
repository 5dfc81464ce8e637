package kafkaproperty

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the table of properties into docs/OPERATIONS.md")

const (
	manual   = "../../docs/OPERATIONS.md"
	beginsAt = "<!-- made of internal/kafkaproperty: go test ./internal/kafkaproperty -rewrite -->\n"
	endsAt   = "<!-- up to here -->\n"
)

// TestManualTellsTheTable: what operators read about properties is what the code does with them.
func TestManualTellsTheTable(t *testing.T) {
	b, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), beginsAt)
	now, after, ok2 := strings.Cut(rest, endsAt)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", manual)
	}
	want := document()
	if *rewrite {
		if err := os.WriteFile(manual, []byte(before+beginsAt+want+endsAt+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if now != want {
		t.Errorf("%s differs from the table; -rewrite writes it. It has\n%s\nwant\n%s", manual, now, want)
	}
}

func document() string {
	var b strings.Builder
	names := slices.Sorted(maps.Keys(table))
	of := func(p *property) string {
		if p.role == both {
			return ""
		}
		return p.role.String()
	}
	b.WriteString("\n| property | only of a | effect |\n|---|---|---|\n")
	for _, name := range names {
		if p := table[name]; p.does != "" {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", name, of(p), p.does)
		}
	}
	grouped := func(reason func(*property) string) {
		by := map[string][]string{}
		for _, name := range names {
			if why := reason(table[name]); why != "" {
				by[why] = append(by[why], "`"+name+"`")
			}
		}
		for _, why := range slices.Sorted(maps.Keys(by)) {
			fmt.Fprintf(&b, "| %s | %s |\n", why, strings.Join(by[why], ", "))
		}
	}
	b.WriteString("\nWithout an effect, and nothing is said of them:\n\n| why | properties |\n|---|---|\n")
	grouped(func(p *property) string { return p.surplus })
	b.WriteString("\nWithout an effect, which a warning says with its reason:\n\n| why | properties |\n|---|---|\n")
	grouped(func(p *property) string { return p.because })
	b.WriteString("\nRefused, as any other `security.`, `sasl.` or `ssl.` property that is not in the first table:\n\n| why | properties |\n|---|---|\n")
	grouped(func(p *property) string { return p.refused })
	b.WriteString("\n")
	return b.String()
}
