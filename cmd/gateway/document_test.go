package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

var (
	shellBlock = regexp.MustCompile("(?ms)^[ \t]*```sh\n(.*?)^[ \t]*```")
	codeSpan   = regexp.MustCompile("`(gateway [^`]+)`")
	shellWords = regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s'"]+`)
)

// TestDocumentsShowCommandsThatExist: every command of this program that a document shows, in a block or in a sentence, is one, and its flags are
// its flags. What the commands do is tried elsewhere.
func TestDocumentsShowCommandsThatExist(t *testing.T) {
	names, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, name := range append(names, "../../README.md", "../../CHANGELOG.md", "../../CONTRIBUTING.md") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range commandsShown(string(text)) {
			seen++
			if err := checkCommandLine(line); err != nil {
				t.Errorf("%s shows: gateway %s: %v", filepath.Base(name), strings.Join(line, " "), err)
			}
		}
	}
	if seen < 100 {
		t.Errorf("%d commands are shown: the documents are not read", seen)
	}
}

// commandsShown are the arguments of each command.
func commandsShown(text string) (all [][]string) {
	var lines []string
	for _, b := range shellBlock.FindAllStringSubmatch(text, -1) {
		lines = append(lines, strings.Split(strings.ReplaceAll(b[1], "\\\n", " "), "\n")...)
	}
	for _, s := range codeSpan.FindAllStringSubmatch(text, -1) {
		lines = append(lines, strings.ReplaceAll(s[1], "\n", " "))
	}
	for _, line := range lines {
		words := shellWords.FindAllString(line, -1)
		if len(words) == 0 || words[0] != "gateway" && words[0] != "./gateway" {
			continue
		}
		var args []string
		for _, w := range words[1:] {
			if w == "#" || w == "|" || w == ">" || w == "&" || w == "&&" || strings.HasPrefix(w, "<") {
				break
			}
			args = append(args, strings.Trim(strings.TrimRight(w, ","), `'"`))
		}
		all = append(all, args)
	}
	return all
}

// checkCommandLine looks for the command and its flags. What stands for a value need not be one.
func checkCommandLine(args []string) error {
	if len(args) == 0 || args[0] == strings.ToUpper(args[0]) { // NOUN stands for any
		return nil
	}
	root := newRoot()
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	cmd, rest, err := root.Find(args)
	if err != nil {
		return err
	}
	if cmd == root && !strings.HasPrefix(args[0], "-") {
		return errors.New("there is no such command")
	}
	if cmd.HasSubCommands() && len(rest) > 0 && !strings.ContainsAny(rest[0], "/-[A") && strings.ToLower(rest[0]) == rest[0] {
		return errors.New("there is no such verb")
	}
	cmd.InitDefaultHelpFlag()
	cmd.InitDefaultVersionFlag()
	err = cmd.ParseFlags(rest)
	if missing := (*pflag.ValueRequiredError)(nil); errors.As(err, &missing) || errors.As(err, new(*pflag.InvalidValueError)) {
		return nil
	}
	return err
}

func TestCheckCommandLine(t *testing.T) {
	for line, good := range map[string]bool{
		"": true, "--help": true, "status": true, "addresses skip shop/cart ada --message 17": true, "egresses decide NAME --deliver NUMBER": true, "functions": true, "state export -o x": true, "run --store": true,
		"stats": false, "addresses skpi shop/cart": false, "addresses skip a/b c --mesage 1": false, "deadletters --all": false, "state gte a/b": false,
	} {
		if err := checkCommandLine(strings.Fields(line)); (err == nil) != good {
			t.Errorf("%q: got %v", line, err)
		}
	}
}
