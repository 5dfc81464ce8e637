//go:build unix

package documenttest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// examples are the examples of docs/MODULE.md that are documents of a kind, and what they take from the environment.
func examples(t *testing.T) (shown, environment []string) {
	t.Helper()
	for _, b := range block.FindAllStringSubmatch(document(t, "MODULE.md"), -1) {
		if b[1] == "yaml" && strings.HasPrefix(b[2], "kind: ") {
			shown = append(shown, b[2])
		}
	}
	if len(shown) < 10 {
		t.Fatalf("docs/MODULE.md has %d examples", len(shown))
	}
	return shown, []string{"KAFKA_ADDRESS=kafka-0:9092,kafka-1:9092", "AWS_SECRET=hunter2"}
}

func isEndpoint(example string) bool {
	return strings.HasPrefix(example, "kind: io.statefun.endpoints.")
}

func write(t *testing.T, text string, path ...string) {
	t.Helper()
	name := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// misspelt has a key that StateFun's kind does not know, which is a warning.
func misspelt(t *testing.T, text string) string {
	t.Helper()
	if !strings.Contains(text, "  consumerGroupId: ") {
		t.Fatal("no example has a consumerGroupId")
	}
	return strings.Replace(text, "  consumerGroupId: ", "  consumerGruop: x\n  consumerGroupId: ", 1)
}

// declared holds the answer against the module: for each example there is a line that says what it declares.
func declared(t *testing.T, said string, shown []string) {
	t.Helper()
	lines := regexp.MustCompile(`(?m)^(endpoint|ingress|egress|process) `).FindAllString(said, -1)
	if len(lines) != len(shown) {
		t.Errorf("%d of %d examples are told in:\n%s", len(lines), len(shown), said)
	}
}

// checkFolder: of the examples of docs/MODULE.md, in the module.yaml of a folder, the command tells what they declare; with a key
// misspelt it complains of it first, with its place.
func checkFolder(t *testing.T, line string) {
	need(t)
	folder := t.TempDir()
	shown, env := examples(t)
	text := strings.Join(shown, "---\n")
	write(t, text, folder, "module.yaml")
	said := shell(t, folder, line, env...)
	if !strings.HasPrefix(said, "module.yaml: good\n") {
		t.Errorf("of the examples it says:\n%s", said)
	}
	declared(t, said, shown)

	write(t, misspelt(t, text), folder, "module.yaml")
	said = shell(t, folder, line, env...)
	if !regexp.MustCompile(`\Amodule\.yaml:\d+:\d+: .*consumerGruop.*\nmodule\.yaml: good, with 1 warning\n`).MatchString(said) {
		t.Errorf("of a key that is misspelt it says:\n%s", said)
	}
	declared(t, said, shown)
}

// checkSeveral: neither a.yaml, which has no endpoint, nor the folder b, which has nothing else, is an application; both together are. A
// key misspelt in one of them is an error then.
func checkSeveral(t *testing.T, line string) {
	need(t)
	folder := t.TempDir()
	shown, env := examples(t)
	var a, b []string
	for _, d := range shown {
		if isEndpoint(d) {
			b = append(b, d)
		} else {
			a = append(a, d)
		}
	}
	file := strings.Join(a, "---\n")
	write(t, file, folder, "a.yaml")
	write(t, strings.Join(b, "---\n"), folder, "b", "module.yaml")
	declared(t, shell(t, folder, line, env...), shown)
	for part, missing := range map[string]string{" --module a.yaml": "no ingress", " --module b": "no endpoint"} {
		if said, err := tryShell(t, folder, replace(t, line, part, ""), env...); err == nil || !strings.Contains(said, missing) {
			t.Errorf("without%s it says (%v):\n%s", part, err, said)
		}
	}
	write(t, misspelt(t, file), folder, "a.yaml")
	said, err := tryShell(t, folder, line, env...)
	if err == nil || !regexp.MustCompile(`(?m)^a\.yaml:\d+:\d+: .*consumerGruop`).MatchString(said) {
		t.Errorf("of a key that is misspelt it says (%v):\n%s", err, said)
	}
	if said, err := tryShell(t, folder, replace(t, line, " --strict", ""), env...); err != nil {
		t.Errorf("without --strict the warning is an error: %v\n%s", err, said)
	}
}
