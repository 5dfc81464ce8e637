package scaffold_test

import (
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

// guide is the document whose commands are run here.
const guide = "../../../../docs/FIRST-STEPS.md"

// step is one command of the guide with the output that it must have; none is written where it is not the same every time.
type step struct {
	command string
	output  []string
}

// block is a block of the guide: commands, or lines that the gateway shows.
type block struct {
	steps []step
	shown []string
}

// section reads the blocks of one section.
func section(t *testing.T, title string) (blocks []block) {
	t.Helper()
	text, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	kind, inside := "", false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch mark, isMark := strings.CutPrefix(line, "```"); {
		case strings.HasPrefix(line, "## "):
			inside = line == "## "+title
		case !inside:
		case isMark && kind == "":
			if kind = mark; kind != "console" && kind != "text" {
				t.Fatalf("section %s has a block %q: nothing runs it", title, kind)
			}
			blocks = append(blocks, block{})
		case isMark:
			kind = ""
		case kind == "text":
			blocks[len(blocks)-1].shown = append(blocks[len(blocks)-1].shown, line)
		case kind == "console":
			b := &blocks[len(blocks)-1]
			if command, ok := strings.CutPrefix(line, "$ "); ok {
				b.steps = append(b.steps, step{command: command})
			} else {
				last := &b.steps[len(b.steps)-1]
				last.output = append(last.output, line)
			}
		}
	}
	if len(blocks) == 0 {
		t.Fatalf("there is no section %s with commands", title)
	}
	return blocks
}

// script runs the steps one after the other in one shell, the output of each in a file of its own; "gateway dev" runs beside the rest
// until the end, which must be a good one.
func script(steps []step, folder, admin, events string) string {
	var b strings.Builder
	b.WriteString("trap 'test -z \"$dev\" || kill $dev 2>/dev/null' EXIT\n") // also when a step fails
	b.WriteString("fail() { echo \"step $1: $2\"; exit 1; }\n")
	for i, s := range steps {
		out := filepath.Join(folder, fmt.Sprintf("out.%d", i))
		if s.command == "gateway dev" {
			fmt.Fprintf(&b, "gateway dev --admin %s --listen %s >%s 2>&1 &\ndev=$!\n", admin, events, out)
			fmt.Fprintf(&b, "until grep -q 'curl http://[^ ]*/ ' %s; do kill -0 $dev || fail %d 'it has ended'; sleep 0.05; done\n", out, i)
			continue
		}
		command := strings.NewReplacer("127.0.0.1:8081", admin, "127.0.0.1:8080", events).Replace(s.command)
		fmt.Fprintf(&b, "{ %s\n} >%s 2>&1 || fail %d %q\n", command, out, i, "exit status $?")
	}
	b.WriteString("if [ -n \"$dev\" ]; then kill -TERM $dev; wait $dev || fail dev \"exit status $?\"; dev=; fi\n")
	return b.String()
}

// TestFirstSteps runs the guide: every command, in its order, with its output.
func TestFirstSteps(t *testing.T) {
	for _, language := range []string{"Go", "Python"} {
		t.Run(language, func(t *testing.T) {
			if _, err := exec.LookPath("python3"); err != nil && language == "Python" {
				t.Skip("there is no python3")
			}
			var steps []step
			var shown []string
			for _, b := range slices.Concat(section(t, "The program"), section(t, language)) {
				steps = append(steps, b.steps...)
				shown = append(shown, b.shown...)
			}
			follow(t, steps, shown)
		})
	}
}

func follow(t *testing.T, steps []step, shown []string) {
	home, folder := t.TempDir(), t.TempDir()
	admin, err := testgateway.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	events, err := testgateway.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("bash", "-c", script(steps, folder, admin, events))
	cmd.Dir = filepath.Dir(filepath.Dir(guide))
	cmd.Env = testgateway.CleanEnviron("HOME=" + home)
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOPATH", "GOENV"} { // they would be new in a new home
		value, err := exec.Command("go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		cmd.Env = append(cmd.Env, name+"="+strings.TrimSpace(string(value)))
	}
	said, failed := cmd.CombinedOutput()
	outputs := make([]string, len(steps))
	for i := range steps {
		text, _ := os.ReadFile(filepath.Join(folder, fmt.Sprintf("out.%d", i))) // the later ones are missing after a failure
		outputs[i] = string(text)
	}
	if failed != nil {
		for i, s := range steps {
			required := os.Getenv("CI") != "" || os.Getenv("STATEGATE_TEST_REQUIRE") != ""
			if !required && strings.Contains(string(said), fmt.Sprintf("step %d:", i)) && strings.Contains(s.command, "pip install") {
				t.Skipf("pip cannot install here: %s", outputs[i])
			}
		}
		t.Fatalf("%v: %s\nthe steps' output:\n%s", failed, said, strings.Join(outputs, "--\n"))
	}
	ran := 0
	for i, s := range steps {
		if s.command == "gateway dev" {
			inOrder(t, outputs[i], s.output)
			inOrder(t, outputs[i], shown)
			ran++
			continue
		}
		if want := strings.Join(s.output, "\n"); want != "" && want != strings.TrimSuffix(outputs[i], "\n") {
			t.Errorf("%s: got\n%swant\n%s", s.command, outputs[i], want)
		}
	}
	if ran != 1 {
		t.Errorf("the section runs gateway dev %d times", ran)
	}
}

// inOrder fails unless lines begin so, in this order.
func inOrder(t *testing.T, text string, lines []string) {
	t.Helper()
	rest := "\n" + text
	for _, line := range lines {
		at := strings.Index(rest, "\n"+line)
		if at < 0 {
			t.Fatalf("line %q is not shown, or not in its place:\n%s", line, text)
		}
		rest = rest[at+1:]
	}
}

// TestNothingOfOursIsFetched: what is written names our packages only where they lie beside it.
func TestNothingOfOursIsFetched(t *testing.T) {
	folder := t.TempDir()
	cmd := exec.Command(testgateway.Binary(t), "init", "go", folder)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	mod, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	ours := regexp.MustCompile(`(?m)^require (github\.com/stategate/\S+) \S+$`).FindAllStringSubmatch(string(mod), -1)
	if len(ours) != 1 || !strings.Contains(string(mod), "replace "+ours[0][1]+" => ./stategate-sdk\n") {
		t.Errorf("go.mod:\n%s", mod)
	}
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", ours[0][1])
	list.Dir, list.Env = folder, append(os.Environ(), "GOPROXY=off", "GOFLAGS=-mod=mod")
	if got, err := list.CombinedOutput(); err != nil || strings.TrimSpace(string(got)) != filepath.Join(folder, "stategate-sdk") {
		t.Errorf("%v: %s", err, got)
	}
}
