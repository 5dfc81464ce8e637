//go:build unix

package nighttest

import (
	"context"
	"encoding/json"
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

// runbook is what an operator has at night: the commands of docs/OPERATIONS.md, by the section that shows them.
type runbook struct {
	t        *testing.T
	sections map[string][]string
	used     map[string]bool // by command
}

// first is the section where everybody begins.
const first = "Something is wrong"

var (
	heading = regexp.MustCompile(`(?m)^##+ (.*)$`)
	block   = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	comment = regexp.MustCompile(`\s+# `)
)

// openRunbook reads the commands of the section where everybody begins, and of that of each alert.
func openRunbook(t *testing.T) *runbook {
	t.Helper()
	text, err := os.ReadFile("../../../../docs/OPERATIONS.md")
	if err != nil {
		t.Fatal(err)
	}
	b := &runbook{t: t, sections: map[string][]string{}, used: map[string]bool{}}
	heads := heading.FindAllStringSubmatchIndex(string(text), -1)
	for i, h := range heads {
		name, end := string(text[h[2]:h[3]]), len(text)
		if name != first && !strings.HasPrefix(name, "Stategate") {
			continue
		}
		if i+1 < len(heads) {
			end = heads[i+1][0]
		}
		for _, found := range block.FindAllStringSubmatch(string(text[h[1]:end]), -1) {
			for line := range strings.Lines(found[1]) {
				if line = strings.TrimSpace(comment.Split(line, 2)[0]); line != "" && !strings.HasPrefix(line, "#") {
					b.sections[name] = append(b.sections[name], line)
				}
			}
		}
	}
	if len(b.sections[first]) == 0 || len(b.sections) < 5 {
		t.Fatalf("docs/OPERATIONS.md shows commands in the sections %q only", b.sections)
	}
	return b
}

// command is the one of a section that begins so. numbers are put in place of that which it shows, in order.
func (b *runbook) command(section, begin string, number ...uint64) string {
	b.t.Helper()
	var found []string
	for _, line := range b.sections[section] {
		if line == begin || strings.HasPrefix(line, begin+" ") {
			found = append(found, line)
		}
	}
	if len(found) == 0 {
		b.t.Fatalf("the section %s of docs/OPERATIONS.md does not show: %s; it has %q", section, begin, b.sections[section])
	}
	line := found[0]
	b.used[line] = true
	for _, n := range number {
		if !strings.Contains(line, "17") {
			b.t.Fatalf("%s shows no number", line)
		}
		line = strings.ReplaceAll(line, "17", fmt.Sprint(n))
	}
	return line
}

// checkUsed fails the test for a command that nobody has run.
func (b *runbook) checkUsed() {
	b.t.Helper()
	for section, lines := range b.sections {
		for _, line := range lines {
			if !b.used[line] {
				b.t.Errorf("the section %s of docs/OPERATIONS.md shows a command that this night did not need: %s", section, line)
			}
		}
	}
}

// operator types commands.
type operator struct {
	t    *testing.T
	book *runbook
	env  []string
}

func newOperator(t *testing.T, admin string) *operator {
	t.Helper()
	path := filepath.Dir(testgateway.Binary(t)) + string(filepath.ListSeparator) + os.Getenv("PATH")
	return &operator{t, openRunbook(t), testgateway.CleanEnviron("PATH="+path, "STATEGATE_URL="+admin, "NO_PROXY=*", "no_proxy=*")}
}

// try types a command and answers what it says.
func (o *operator) try(line string) (stdout, stderr string, err error) {
	ctx, cancel := context.WithTimeout(o.t.Context(), testgateway.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-c", line)
	cmd.Env = o.env
	var out, problems strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err = cmd.Run(); err != nil {
		err = fmt.Errorf("%s: %w: %s", line, err, problems.String())
	}
	return out.String(), problems.String(), err
}

// types is the command of the runbook, which must end well and say what is wanted.
func (o *operator) types(want, section, begin string, number ...uint64) string {
	o.t.Helper()
	line := o.book.command(section, begin, number...)
	stdout, stderr, err := o.try(line)
	if err != nil || !strings.Contains(stdout, want) {
		o.t.Fatalf("$ %s\n%s%s\n%v; want %q", line, stdout, stderr, err, want)
	}
	o.t.Logf("$ %s\n%s", line, stdout)
	return stdout
}

// until types a command of the runbook again and again until it ends well and says what is wanted.
func (o *operator) until(want, section, begin string, number ...uint64) string {
	o.t.Helper()
	return o.untilLine(want, o.book.command(section, begin, number...))
}

func (o *operator) untilLine(want, line string) (said string) {
	o.t.Helper()
	testgateway.Poll(o.t, want+" from: "+line, func() (bool, string) {
		stdout, stderr, err := o.try(line)
		said = stdout
		return err == nil && strings.Contains(stdout, want), fmt.Sprint(stdout, stderr, err)
	})
	o.t.Logf("$ %s\n%s", line, said)
	return said
}

// untilNothing types gateway stuck until nothing is stuck.
func (o *operator) untilNothing() {
	o.t.Helper()
	line := o.book.command(first, "gateway stuck")
	testgateway.Poll(o.t, "nothing to be stuck", func() (bool, string) {
		stdout, stderr, err := o.try(line)
		return err == nil && stdout == "" && strings.Contains(stderr, "nothing is stuck"), fmt.Sprint(stdout, stderr, err)
	})
}

// answers is a command that is not of the runbook, for what only programs read, and its JSON.
func (o *operator) answers(line string, into any) {
	o.t.Helper()
	stdout, _, err := o.try(line + " -o json")
	if err == nil {
		err = json.Unmarshal([]byte(stdout), into)
	}
	if err != nil {
		o.t.Fatalf("$ %s: %v", line, err)
	}
}

func TestRunbookIsRead(t *testing.T) {
	b := openRunbook(t)
	if got := b.command("StategateFunctionStuck", "gateway addresses skip", 4711); got != "gateway addresses skip shop/cart ada --message 4711" {
		t.Errorf("got %s", got)
	}
	if !slices.Contains(b.sections[first], "gateway stuck") {
		t.Errorf("the section %s has %q", first, b.sections[first])
	}
}
