//go:build unix

package migrationtest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/statefile"
)

const root = "../../../.."

// document is docs/MIGRATION.md, with its steps by name.
type document struct {
	text  string
	steps map[string]string
}

func readDocument(t *testing.T) *document {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "docs/MIGRATION.md"))
	if err != nil {
		t.Fatal(err)
	}
	d := &document{text: string(text), steps: map[string]string{}}
	for _, m := range regexp.MustCompile("(?s)<!-- step: ([a-z]+) -->\n```sh\n(.*?)```\n").FindAllStringSubmatch(d.text, -1) {
		d.steps[m[1]] = m[2]
	}
	if named := strings.Count(d.text, "<!-- step: "); named != len(d.steps) || named < 8 {
		t.Fatalf("%d steps are named, %d are found", named, len(d.steps))
	}
	return d
}

// metrics are the names in the document's table.
func (d *document) metrics() []string {
	return regexp.MustCompile(`\bstategate_[a-z_]+[a-z]\b`).FindAllString(d.section("\n## Metrics\n"), -1)
}

// section is the text from a heading up to the next.
func (d *document) section(heading string) string {
	_, rest, _ := strings.Cut(d.text, heading)
	section, _, _ := strings.Cut(rest, "\n## ")
	return section
}

// The settings on the right of the table are those that gateway config prints.
func TestSettingsAreThoseOfTheProgram(t *testing.T) {
	d := readDocument(t)
	known := map[string]bool{}
	settings, err := os.ReadFile(filepath.Join(root, "cmd/gateway/internal/config/setting.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`key: "([a-zA-Z]+)"`).FindAllStringSubmatch(string(settings), -1) {
		known[m[1]] = true
	}
	seen := 0
	for line := range strings.Lines(d.section("\n## Settings\n")) {
		cells := strings.Split(line, " | ")
		if len(cells) < 2 {
			continue
		}
		for _, m := range regexp.MustCompile("`([a-z]+[A-Za-z]*)`").FindAllStringSubmatch(cells[len(cells)-1], -1) {
			seen++
			if !known[m[1]] {
				t.Errorf("%s is no setting: %s", m[1], line)
			}
		}
	}
	if seen < 10 {
		t.Errorf("%d settings are named", seen)
	}
}

// The file that is shown is one.
func TestFormIsThatOfTheProgram(t *testing.T) {
	_, rest, _ := strings.Cut(readDocument(t).section("\n## The form of the file\n"), "```\n")
	file, _, _ := strings.Cut(rest, "```")
	done, err := statefile.Check(t.Context(), statefile.ImportConfig{}, nil, "shown", strings.NewReader(file))
	if done.Values != 2 || err != nil {
		t.Errorf("%+v, %v", done, err)
	}
}

// What the example calls is what is there.
func TestCodeIsThatOfTheExample(t *testing.T) {
	d := readDocument(t)
	var files strings.Builder
	for _, name := range []string{"functions.py", "module.yaml"} {
		text, err := os.ReadFile(filepath.Join(root, "testdata/statefun/migration", name))
		if err != nil {
			t.Fatal(err)
		}
		files.Write(text)
	}
	seen := 0
	for _, m := range regexp.MustCompile("(?s)```(?:python|yaml)\n(.*?)```").FindAllStringSubmatch(d.text, -1) {
		for line := range strings.Lines(m[1]) {
			line = strings.TrimSpace(line)
			if line == "" || line == "..." {
				continue
			}
			if seen++; !strings.Contains(files.String(), line) {
				t.Errorf("the example has no line %q", line)
			}
		}
	}
	if seen < 9 {
		t.Errorf("%d lines are shown", seen)
	}
}
