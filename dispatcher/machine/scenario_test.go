package machine_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var rewriteFlag = flag.Bool("rewrite", false, "write what the scenarios answer into their files")

const scenarios = "../../testdata/scenario"

// TestScenarios plays the stories of testdata/scenario: blocks of commands, a line of dashes, and what the machine answered. The
// commands are told in the folder's README.md.
func TestScenarios(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(scenarios, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := playScenario(t, string(want))
			if *rewriteFlag {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s tells another story (-recorded +played); if it is the right one, -rewrite:\n%s", file, diff)
			}
		})
	}
}

// playScenario answers the file with what the machine answers now.
func playScenario(t *testing.T, text string) string {
	s := &stage{t: t}
	out := &strings.Builder{}
	defer func() {
		if t.Failed() {
			t.Logf("up to here:\n%s", out)
		}
	}()
	blocks := strings.Split(strings.TrimRight(text, "\n"), "\n\n")
	for at, block := range blocks {
		if at > 0 {
			out.WriteString("\n")
		}
		commands, _, found := strings.Cut(block, "\n----")
		out.WriteString(commands + "\n")
		if !found {
			if !onlyComments(commands) {
				t.Fatalf("block without a line of dashes:\n%s", block)
			}
			continue
		}
		out.WriteString("----\n")
		for _, line := range strings.Split(commands, "\n") {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				s.command(line)
			}
		}
		answer := s.work()
		if answer == "" {
			answer = "nothing\n"
		}
		out.WriteString(answer)
	}
	return out.String()
}

func onlyComments(block string) bool {
	for _, line := range strings.Split(block, "\n") {
		if line != "" && !strings.HasPrefix(line, "#") {
			return false
		}
	}
	return true
}

// words splits a command; what stands in double quotes is one word.
func words(line string) (all []string) {
	word, quoted := "", false
	for _, r := range line + " " {
		switch {
		case r == '"':
			quoted = !quoted
		case r == ' ' && !quoted:
			if word != "" {
				all = append(all, word)
			}
			word = ""
		default:
			word += string(r)
		}
	}
	return all
}

// number reads a whole number, with some names for large ones.
func number(s string) (n int64) {
	switch s {
	case "max":
		return 1<<63 - 1
	}
	if _, err := fmt.Sscan(s, &n); err != nil {
		panic(fmt.Sprintf("number %q: %v", s, err))
	}
	return n
}
