package module

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// manual is docs/MODULE.md: what it says of each kind, and all its examples.
type manual struct {
	sections map[string]string         // by kind; "" is "The file"
	examples []string                  // documents of a kind and a spec
	files    []string                  // examples that are a file of their own: of the legacy format
	rows     map[string]map[string]row // by kind and path of the key
}

// row is what a table says of a key.
type row struct{ required string }

var (
	manualHeading = regexp.MustCompile("(?m)^## (.*)$")
	manualExample = regexp.MustCompile("(?s)```yaml\n(.*?)```")
)

func readManual(t *testing.T) *manual {
	t.Helper()
	data, err := os.ReadFile("../../../../docs/MODULE.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	m := &manual{sections: map[string]string{}, rows: map[string]map[string]row{}}
	headings := manualHeading.FindAllStringSubmatchIndex(text, -1)
	for i, h := range headings {
		end := len(text)
		if i+1 < len(headings) {
			end = headings[i+1][0]
		}
		kind := strings.Trim(text[h[2]:h[3]], "`")
		if kind == "The file" {
			kind = ""
		}
		m.sections[kind] = text[h[1]:end]
		m.rows[kind] = rowsOf(t, kind, text[h[1]:end])
	}
	for _, e := range manualExample.FindAllStringSubmatch(text, -1) {
		if strings.HasPrefix(e[1], "kind: ") {
			m.examples = append(m.examples, e[1])
		} else {
			m.files = append(m.files, e[1])
		}
	}
	return m
}

// rowsOf reads the table of a section: | `key` | required | default | meaning |.
func rowsOf(t *testing.T, kind, section string) map[string]row {
	rows := map[string]row{}
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 2 || !strings.HasPrefix(strings.TrimSpace(cells[1]), "`") {
			continue
		}
		if len(cells) != 6 {
			t.Errorf("%s: a row has %d cells, want 4: %s", kind, len(cells)-2, line)
			continue
		}
		key := strings.Trim(strings.TrimSpace(cells[1]), "`")
		if _, twice := rows[key]; twice {
			t.Errorf("%s: the table has %s twice", kind, key)
		}
		rows[key] = row{required: strings.TrimSpace(cells[2])}
	}
	return rows
}

// lookup finds the variables that examples name without a default.
func (m *manual) lookup(name string) (string, bool) {
	v, ok := map[string]string{"KAFKA_ADDRESS": "kafka-0:9092,kafka-1:9092", "AWS_SECRET": "hunter2"}[name]
	return v, ok
}

// Every kind has its section with an example; all examples together are one application without a complaint, and each with no more
// than an ingress and an endpoint beside it is one, too.
func TestModuleDocument(t *testing.T) {
	m := readManual(t)
	shown := map[string]int{}
	for _, e := range m.examples {
		kind, _, _ := strings.Cut(strings.TrimPrefix(e, "kind: "), "\n")
		shown[kind]++
		if !strings.Contains(m.sections[kind], e) {
			t.Errorf("an example of %s stands in the section of another kind", kind)
		}
	}
	for _, kind := range kinds {
		if shown[kind] == 0 {
			t.Errorf("%s has no example", kind)
		}
	}
	texts := append([]string{strings.Join(m.examples, "---\n")}, m.files...)
	for _, e := range m.examples {
		texts = append(texts, e+"---\n"+companions)
	}
	for _, text := range texts {
		module, complaints := Parse("MODULE.md", []byte(text), m.lookup)
		if module == nil || len(complaints) > 0 {
			t.Errorf("there are complaints:\n%s\nof:\n%s", complaints, text)
		}
	}
	if len(m.files) == 0 {
		t.Error("the legacy format is not shown")
	}
}

// companions serve all targets that examples name, as an ingress and an endpoint must be there.
const companions = `kind: io.statefun.endpoints.v2/http
spec: {functions: shop/cart, urlPathTemplate: "http://functions:8000/"}
---
kind: io.statefun.endpoints.v2/http
spec: {functions: billing/invoice, urlPathTemplate: "http://functions:8000/"}
---
kind: io.statefun.kafka.v1/ingress
spec: {id: beside/it, address: "kafka:9092", consumerGroupId: it, topics: [{topic: it, valueType: it, targets: [shop/cart]}]}
`

// The tables have exactly the keys that the parser knows, and say "yes" of exactly those that it cannot do without. What it knows is asked
// of itself: into each map of each module that there is, of this page and of the fixtures, goes a key that nobody knows, and the complaint
// lists those that are; and each key is taken out once, and the complaint says whether it is required.
func TestModuleDocumentKeys(t *testing.T) {
	m := readManual(t)
	known := map[string]map[string]bool{}
	wrong := map[string]bool{}
	for _, text := range m.corpus(t) {
		learn(t, known, text, m.lookup, func(kind, path string, missed bool) {
			r, documented := m.rows[kind][path]
			switch {
			case !documented: // which is said below
			case missed && r.required == "":
				wrong[kind+": "+path+" is required, at least sometimes: the table does not say so"] = true
			case !missed && r.required == "yes":
				wrong[kind+": "+path+" is not always required: the table says yes"] = true
			}
		})
	}
	for _, text := range slices.Sorted(maps.Keys(wrong)) {
		t.Error(text)
	}
	for kind, rows := range m.rows {
		if kind != "" && !slices.Contains(kinds, kind) {
			t.Errorf("there is no kind %s", kind)
		}
		for path := range rows {
			if !known[kind][path] {
				t.Errorf("%s: the table has %s, which the parser does not know", kind, path)
			}
		}
	}
	for _, kind := range append(slices.Clone(kinds), "") {
		if len(known[kind]) == 0 {
			t.Errorf("nothing was learned of kind %q", kind)
		}
		for _, path := range slices.Sorted(maps.Keys(known[kind])) {
			if _, ok := m.rows[kind][path]; !ok {
				t.Errorf("%s: the parser knows %s, which the table has not", kind, path)
			}
		}
	}
}

// everyForm has maps whose type is wrong: then the parser takes the keys of all types for known ones.
const everyForm = `kind: io.statefun.kinesis.v1/ingress
spec: {awsRegion: {type: any}, awsCredentials: {type: any}}
---
kind: io.statefun.kinesis.v1/egress
spec: {awsRegion: {type: any}, awsCredentials: {type: any}}
`

// corpus are modules of documents of a kind and a spec: the page's, and the good fixtures.
func (m *manual) corpus(t *testing.T) (texts []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(fixtures, "good", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 40 {
		t.Fatalf("%d fixtures", len(files))
	}
	texts = append(texts, everyForm)
	texts = append(texts, m.examples...)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		texts = append(texts, string(data))
	}
	return texts
}
