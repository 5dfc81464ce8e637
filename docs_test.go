package stategate_test

import (
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A promise names the test that holds it; here that test must exist. "folder: TestA, TestB" between backquotes is how
// documents name tests.
func TestDocumentsNameTestsThatExist(t *testing.T) {
	named := regexp.MustCompile("`([a-z][a-z0-9/]*): ((?:(?:Test|Fuzz)[A-Za-z0-9/_.-]*(?:, )?)+)`")
	found := 0
	for _, f := range files(t) {
		if path.Ext(f.name) != ".md" {
			continue
		}
		for _, m := range named.FindAllSubmatch(f.text, -1) {
			folder, tests := string(m[1]), strings.Split(string(m[2]), ", ")
			have := testsOf(t, folder)
			for _, name := range tests {
				found++
				if name, _, _ = strings.Cut(name, "/"); !slices.Contains(have, name) {
					t.Errorf("%s names %s in %s, which is not there", f.name, name, folder)
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("only %d tests are named in all documents", found)
	}
}

var testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)

// testsOf lists the tests in a folder, not in those below it.
func testsOf(t *testing.T, folder string) (names []string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Errorf("a document names tests in %s: %v", folder, err)
	}
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), ".go") {
			continue
		}
		text, err := os.ReadFile(path.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range testFunc.FindAllSubmatch(text, -1) {
			names = append(names, string(m[1]))
		}
	}
	return names
}

// Links between files of the repository lead somewhere.
func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#\s"]+)[^)]*\)`)
	for _, f := range files(t) {
		if path.Ext(f.name) != ".md" {
			continue
		}
		for _, m := range link.FindAllSubmatch(f.text, -1) {
			to := string(m[1])
			if strings.Contains(to, "://") {
				continue
			}
			if _, err := os.Stat(path.Join(path.Dir(f.name), to)); err != nil {
				t.Errorf("%s links to %s: %v", f.name, to, err)
			}
		}
	}
}
