//go:build unix

package documenttest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stategate/stategate/cmd/gateway/internal/testgateway"
)

// documents are those whose commands run here. docs/FIRST-STEPS.md is followed by cmd/gateway/internal/scaffold.
var documents = []string{"CONCEPTS.md", "HTTP.md", "MODULE.md", "PROTOCOL.md"}

// command is one command of a document, and what it says of it in the comment behind it.
type command struct{ document, line, comment string }

// tested is a command with the test that runs it and holds its answer against the text. The comment is part of what is known: another
// promise needs another look at the test.
type tested struct {
	command
	run func(t *testing.T, line string)
}

// known are all commands of the documents.
var known = []tested{
	{command{"CONCEPTS.md", "curl -d pen -H 'Content-Type: text/plain' localhost:8080/v1/call/shop/cart/ada", ""}, callCart},
	{command{"CONCEPTS.md", "curl 127.0.0.1:8081/v1/deadletters", "what was set aside"}, askDeadLetters},
	{command{"CONCEPTS.md", "curl 127.0.0.1:8081/v1/addresses/shop/cart/ada", "one address: state, mailbox, last error"}, askAddress},
	{command{"CONCEPTS.md", "gateway run --store postgres://gateway@db.internal/app", "on two machines: one works, one waits"}, runTwo},
	{command{"HTTP.md", `curl -X POST -H 'Idempotency-Key: order 4711' -H 'Content-Type: application/json' -d '{"sku":"A1"}' localhost:8080/v1/call/shop/cart/ada`, ""}, callOnce},
	{command{"MODULE.md", "gateway check", "module.yaml: each complaint as file:line:column, then what it declares"}, checkFolder},
	{command{"MODULE.md", "gateway check --strict --module a.yaml --module b", "a file and a folder as one application; warnings count as errors"}, checkSeveral},
	{command{"PROTOCOL.md", "echo a206340a0c0a03612e62120273741a016b1a2412220a18696f2e737461746566756e2e74797065732f737472696e6710011a040a026869 | xxd -r -p | " +
		"curl -s --data-binary @- -H 'Content-Type: application/octet-stream' http://127.0.0.1:8000/statefun | xxd -p -c 256", ""}, callFunction},
}

// TestCommands runs every command of the documents with bash, and fails for one that it does not know.
func TestCommands(t *testing.T) {
	var shown []command
	for _, name := range documents {
		c, problems := commandsOf(name, document(t, name))
		for _, p := range problems {
			t.Error(p)
		}
		shown = append(shown, c...)
	}
	for _, c := range shown {
		if !slices.ContainsFunc(known, func(k tested) bool { return k.command == c }) {
			t.Errorf("docs/%s shows a command that no test runs: %s # %s", c.document, c.line, c.comment)
		}
	}
	for i, k := range known {
		if !slices.Contains(shown, k.command) {
			t.Errorf("docs/%s does not show: %s # %s", k.document, k.line, k.comment)
			continue
		}
		t.Run(fmt.Sprintf("%s/%d", k.document, i), func(t *testing.T) { k.run(t, k.line) })
	}
}

func document(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../../../docs", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	block   = regexp.MustCompile("(?ms)^[ \t]*```([^\n]*)\n(.*?)^[ \t]*```[ \t]*$")
	comment = regexp.MustCompile(`\s+# `)
)

// commandsOf are the commands of a document's blocks. A line that ends with | or \ goes on in the next one. A block whose language is not
// one of those that hold no commands is a problem: nobody would run it.
func commandsOf(name, text string) (out []command, problems []string) {
	for _, b := range block.FindAllStringSubmatch(text, -1) {
		switch strings.TrimSpace(b[1]) {
		case "sh":
		case "", "yaml", "python":
			continue
		default:
			problems = append(problems, fmt.Sprintf("docs/%s has a block of %q, which this test does not read: commands are in blocks of sh", name, b[1]))
			continue
		}
		begun := ""
		for line := range strings.Lines(b[2]) {
			line = begun + strings.TrimSpace(line)
			if begun = ""; strings.HasSuffix(line, "|") {
				begun = line + " "
			} else if rest, ok := strings.CutSuffix(line, `\`); ok {
				begun = strings.TrimSpace(rest) + " "
			} else if line != "" && !strings.HasPrefix(line, "#") {
				parts := append(comment.Split(line, 2), "")
				out = append(out, command{name, parts[0], parts[1]})
			}
		}
		if begun != "" {
			problems = append(problems, fmt.Sprintf("docs/%s: a command does not end: %s", name, begun))
		}
	}
	return out, problems
}

func TestCommandsOf(t *testing.T) {
	const text = "x\n```sh\na -b   # says\n# alone\n\nc |\n  d\ne \\\n  f '#'\n```\ny\n```yaml\nno: command\n```\n  ```sh\n  in a list\n  ```\n"
	got, problems := commandsOf("X.md", text)
	want := []command{{"X.md", "a -b", "says"}, {"X.md", "c | d", ""}, {"X.md", "e f '#'", ""}, {"X.md", "in a list", ""}}
	if !slices.Equal(got, want) || len(problems) > 0 {
		t.Errorf("got %q and %q, want %q", got, problems, want)
	}
	for _, bad := range []string{"```bash\na\n```\n", "```console\n$ a\n```\n", "```sh\na |\n```\n"} {
		if _, problems := commandsOf("X.md", bad); len(problems) != 1 {
			t.Errorf("%q has the problems %q, want one", bad, problems)
		}
	}
}

// replace puts a place of the test where the document names one of its own; the command must name it.
func replace(t *testing.T, line, old, place string) string {
	t.Helper()
	if !strings.Contains(line, old) {
		t.Fatalf("%s does not name %s", line, old)
	}
	return strings.ReplaceAll(line, old, place)
}

// need skips the test on a machine without a tool that the command names.
func need(t *testing.T, tools ...string) {
	t.Helper()
	for _, tool := range append(tools, "bash") {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip("NOT RUN: there is no " + tool)
		}
	}
}

// environ has the gateway on its path, and nothing of the one who runs the tests that changes what curl does.
func environ(t *testing.T, home string, add ...string) []string {
	t.Helper()
	path := filepath.Dir(testgateway.Binary(t)) + string(filepath.ListSeparator) + os.Getenv("PATH")
	return testgateway.CleanEnviron(append(add, "PATH="+path, "HOME="+home, "CURL_HOME="+home, "NO_PROXY=*", "no_proxy=*")...)
}

// tryShell runs a command line in a folder as a reader does; any part of a pipe that fails is its error.
func tryShell(t *testing.T, folder, line string, env ...string) (said string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testgateway.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-eo", "pipefail", "-c", line)
	cmd.Dir, cmd.Env = folder, environ(t, t.TempDir(), env...)
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", line, err, problems.String())
	}
	return out.String(), nil
}

// shell is tryShell of a command that must end well.
func shell(t *testing.T, folder, line string, env ...string) string {
	t.Helper()
	said, err := tryShell(t, folder, line, env...)
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return said
}
